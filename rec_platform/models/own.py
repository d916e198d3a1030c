"""Rankers of a user's own: what the Python files of `[rankers] files` declare, held to the contract.

A file declares a ranker by a subclass of `RankerTrainer` that can be made without arguments (docs/models.md). Its artefacts
bear the identity of the file's code: another code makes other artefacts, so scores and lists made with them are stale with
them, and an artefact is never read by other code than made it.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from inspect import isabstract
from pathlib import Path
from types import ModuleType
from typing import Final, NoReturn, TypeVar

import numpy as np

from rec_platform.config import RankerConfig
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ArtefactError, ConfigError, PlatformError
from rec_platform.features.encoders import code_identity
from rec_platform.models.artefact import MANIFEST, Artefact
from rec_platform.models.contract import FeatureNote, Floats, Ids, RankerTrainer, Scorer

Result = TypeVar("Result")
SCALES: Final = ("", "probability", "log_odds")
#: Contexts that a ranker scores as soon as it is fitted, to see that it can.
TRIED: Final = 32
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_CORRECT: Final = "Correct the file; docs/models.md has the contract."


@dataclass(frozen=True)
class OwnScorer(Scorer):
    """A scorer of a user's file: what it returns is checked, what it raises names the line."""

    inner: Scorer
    file: Path

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return self.inner.features

    def score(self, frame: Frame) -> Floats:
        scores = np.asarray(_ran(self.file, lambda: self.inner.score(frame)))
        if scores.shape != (frame.n_items,) or scores.dtype.kind not in "fiu":
            fault = f"ranker {self.name!r} gave {scores.dtype} of shape {scores.shape} for {frame.n_items} items"
            _refuse(self.file, fault, "Return one number per item from `score`.")
        return scores.astype(np.float64, copy=False)

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        found = np.asarray(_ran(self.file, lambda: self.inner.contributions(frame, rows)))
        wanted = (len(rows), len(self.features))
        if found.shape != wanted or found.dtype.kind not in "fiu":
            fault = f"ranker {self.name!r} explained {wanted[0]} items by {found.dtype} of shape {found.shape}, not {wanted}"
            _refuse(
                self.file,
                fault,
                "Return a row per item and a column per feature from `contributions`; zeros say nothing.",
            )
        return found.astype(np.float64, copy=False)


@dataclass(frozen=True)
class OwnTrainer(RankerTrainer):
    """A ranker of a user's file.

    Attributes:
        inner: what the file declares.
        file: where it stands.
        code: the identity of the file's code, which comments and layout do not change.
    """

    inner: RankerTrainer
    file: Path
    code: str

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.inner.name

    @property
    def code_version(self) -> int:  # type: ignore[override]
        return self.inner.code_version

    @property
    def scale(self) -> str:  # type: ignore[override]
        return self.inner.scale

    def fit(
        self, frames: Sequence[Frame], *, features: Sequence[FeatureNote], config: RankerConfig, seed: int
    ) -> Artefact | None:
        """The model, having been stored and having scored a few contexts: what cannot score is refused here."""
        made = _ran(self.file, lambda: self.inner.fit(frames, features=features, config=config, seed=seed))
        if made is None:
            return None
        artefact = self._sealed(made)
        sample = next((frame for frame in frames if frame.n_items), None)
        if sample is not None:
            self._try(self.load(artefact), sample.take(np.arange(min(sample.n_contexts, TRIED))))
        return artefact

    def load(self, artefact: Artefact) -> OwnScorer:
        """The scorer of an artefact; `ArtefactError` if other code than the file's made it."""
        if artefact.manifest.get("code") != self.code:
            raise ArtefactError(
                "made by other code than the file holds now", place=f"artefact of model {self.name}, ranker file {self.file}",
                repair="`rec-platform run` makes the ranker_models of its date again; or bring the file back as it was.",
            )  # fmt: skip
        scorer = _ran(self.file, lambda: self.inner.load(artefact))
        if not isinstance(scorer, Scorer) or getattr(scorer, "name", None) != self.name:
            what = (
                f"the scorer {getattr(scorer, 'name', '')!r}" if isinstance(scorer, Scorer) else type(scorer).__name__
            )
            _refuse(
                self.file, f"`load` of ranker {self.name!r} returned {what}", f"Return a Scorer named {self.name!r}."
            )
        return OwnScorer(scorer, self.file)

    def _sealed(self, made: object) -> Artefact:
        """The artefact with the code's identity in its manifest."""
        if not isinstance(made, Artefact) or made.model != self.name:
            what = f"an artefact of model {made.model!r}" if isinstance(made, Artefact) else type(made).__name__
            repair = "Return Artefact.of(self.name, manifest, files), or None where there is nothing to learn from."
            _refuse(self.file, f"`fit` of ranker {self.name!r} returned {what}", repair)
        manifest = made.manifest
        for key, kind in (("data", dict), ("features", list)):
            if not isinstance(manifest.get(key), kind):
                repair = "Make it by base_manifest(..., data=training.data(), features=training.notes(), ...)."
                _refuse(self.file, f"the manifest of ranker {self.name!r} has no {key!r}", repair)
        files = {name: payload for name, payload in made.files.items() if name != MANIFEST}
        return Artefact.of(self.name, {**manifest, "code_version": self.code_version, "code": self.code}, files)

    def _try(self, scorer: OwnScorer, frame: Frame) -> None:
        """Refuses scores that are not finite, also of nothing but missing values, or that hang on other contexts."""
        missing = {name: np.full(frame.n_items, np.nan, np.float32) for name in frame.features.column_names}
        whole = scorer.score(frame)
        for scores, of in (
            (whole, ""),
            (scorer.score(frame.with_features(missing)), " where every feature is missing"),
        ):
            if not np.isfinite(scores).all():
                fault = f"ranker {self.name!r} gave the score {scores[~np.isfinite(scores)][0]}{of}"
                _refuse(self.file, fault, "A score is finite; features may be NaN, which is missing.")
        parts = [frame.take(np.array([row])) for row in range(frame.n_contexts)]
        apart = np.concatenate([scorer.score(part) for part in parts])
        if not np.allclose(apart, whole, rtol=1e-9, atol=1e-12):
            repair = "Let a score depend on the features of its own item alone."
            _refuse(self.file, f"ranker {self.name!r} gives an item another score among other contexts", repair)
        scorer.contributions(frame, np.arange(frame.n_items))


def declared_in(file: str) -> tuple[OwnTrainer, ...]:
    """The rankers that a file declares, in its order.

    Raises:
        ConfigError: the file is not there, is not Python, raises, declares no ranker, or one that cannot be meant.
    """
    path = Path(file)
    try:
        return _declared(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        _refuse(path, f"it cannot be read: {error}", "Give the path of a .py file in [rankers] files, or take it out.")


@lru_cache(maxsize=64)
def _declared(path: Path, source: str) -> tuple[OwnTrainer, ...]:
    """Run once per content, so that a class stays the same class."""
    module, code = _module(path, source), code_identity(source)
    lines = {node.name: node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)}
    mine = [
        one
        for one in dict.fromkeys(map(_trainer_class, vars(module).values()))
        if one and one.__module__ == module.__name__
    ]
    bases = {base for one in mine for base in one.__mro__[1:]}
    classes = [one for one in mine if not (isabstract(one) and one in bases)]
    if not classes:
        _refuse(path, "no ranker in it", "Declare a subclass of RankerTrainer; docs/models.md has one.")
    return tuple(OwnTrainer(_made(one, path, lines.get(one.__name__)), path, code) for one in classes)


def _trainer_class(thing: object) -> type[RankerTrainer] | None:
    return thing if isinstance(thing, type) and issubclass(thing, RankerTrainer) else None


def _module(path: Path, source: str) -> ModuleType:
    """The file, run as a module of its own; registered, since dataclasses look their module up."""
    name = f"ranker_file_{hashlib.sha256(f'{path} {source}'.encode()).hexdigest()[:16]}"
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = str(path)
    try:
        _ran(path, lambda: exec(compile(source, str(path), "exec"), module.__dict__))
    except PlatformError:
        del sys.modules[name]
        raise
    return module


def _made(kind: type[RankerTrainer], path: Path, line: int | None) -> RankerTrainer:
    """One of a class; refused if it cannot be made, or says of itself what cannot be."""
    if isabstract(kind):
        lacking = ", ".join(sorted(kind.__abstractmethods__))
        _refuse(path, f"class {kind.__name__} has no {lacking}", _CORRECT, line)
    try:
        made = kind()
    except Exception as error:
        _refuse(path, f"class {kind.__name__} cannot be made: {error}", "Let it be made without arguments.", line)
    name, version = getattr(made, "name", None), getattr(made, "code_version", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        repair = "Use lower-case letters, digits and underscores, a letter first, at most 63."
        _refuse(path, f"class {kind.__name__}: {name!r} is no `name` of a ranker", repair, line)
    if not isinstance(version, int):
        _refuse(path, f"class {kind.__name__}: {version!r} is no `code_version`", "Begin with code_version = 1.", line)
    if made.scale not in SCALES:
        repair = "It is probability, log_odds, or empty where scores only order."
        _refuse(path, f"class {kind.__name__}: {made.scale!r} is no `scale`", repair, line)
    return made


def _ran(file: Path, call: Callable[[], Result]) -> Result:
    """What a call into a file returns; what it raises as a `ConfigError` that names the innermost line of the file."""
    try:
        return call()
    except PlatformError:
        raise
    except SyntaxError as error:
        _refuse(file, f"not Python: {error.msg}", "Correct that line.", error.lineno, error)
    except Exception as error:
        lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == str(file)]
        _refuse(file, f"{type(error).__name__}: {error}", _CORRECT, lines[-1] if lines else None, error)


def _refuse(
    file: Path, fault: str, repair: str, line: int | None = None, cause: Exception | None = None
) -> NoReturn:  # fmt: skip
    said = fault if line is None else f"line {line}: {fault}"
    raise ConfigError(said, place=f"ranker file {file}", repair=repair) from cause
