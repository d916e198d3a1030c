"""Rankers of a user's own: what the Python files of `[rankers] files` declare, held to the contract.

A file declares a ranker by a subclass of `RankerTrainer` that can be made without arguments (docs/models.md). Its artefacts
bear the identity of the file's code, modules beside it that it imports included (own_file.py): another code makes other
artefacts, so scores and lists made with them are stale with them, and an artefact is never read by other code than made it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import isabstract
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

import numpy as np

from rec_platform.config import RankerConfig
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ArtefactError, NumericError
from rec_platform.features.own_file import RANKERS, OwnFile
from rec_platform.models.artefact import MANIFEST, Artefact
from rec_platform.models.contract import FeatureNote, Floats, Ids, RankerTrainer, Scorer
from rec_platform.models.training import Thinned
from rec_platform.pipeline import Sources

SCALES: Final = ("", "probability", "log_odds")
#: Contexts that a ranker scores as soon as it is fitted, to see that it can.
TRIED: Final = 32
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


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
        scores = np.asarray(RANKERS.ran(self.file, lambda: self.inner.score(frame)))
        if scores.shape != (frame.n_items,) or scores.dtype.kind not in "fiu":
            fault = f"ranker {self.name!r} gave {scores.dtype} of shape {scores.shape} for {frame.n_items} items"
            RANKERS.refuse(self.file, fault, "Return one number per item from `score`.", self._line)
        return scores.astype(np.float64, copy=False)

    def apply(self, frame: Frame, sources: Sources) -> Frame:
        """As of every scorer; what is said of a score that is not finite names the file."""
        try:
            return super().apply(frame, sources)
        except NumericError as error:
            if RANKERS.place(self.file) in error.place:
                raise
            place = ", ".join(filter(None, (f"{error.place}; {RANKERS.place(self.file)}", self._line)))
            repair = "Let `score` be finite, also where features are NaN, which is missing."
            raise NumericError(error.fault, place=place, repair=repair) from error

    @property
    def _line(self) -> str:
        """Where `score` begins; empty where it does not stand in the file."""
        code: CodeType | None = getattr(type(self.inner).score, "__code__", None)
        return f"line {code.co_firstlineno}" if code is not None and code.co_filename == str(self.file) else ""

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        found = np.asarray(RANKERS.ran(self.file, lambda: self.inner.contributions(frame, rows)))
        wanted = (len(rows), len(self.features))
        if found.shape != wanted or found.dtype.kind not in "fiu":
            fault = f"ranker {self.name!r} explained {wanted[0]} items by {found.dtype} of shape {found.shape}, not {wanted}"
            RANKERS.refuse(
                self.file,
                fault,
                "Return a row per item and a column per feature from `contributions`; zeros say nothing.",
            )
        return found.astype(np.float64, copy=False)


@dataclass(frozen=True)
class OwnTrainer(RankerTrainer):
    """A ranker of a user's file. Each fit and each load has an instance of its own: a fit leaves nothing behind but its
    artefact, and dates that are fitted at once share nothing.

    Attributes:
        inner: one of what the file declares, for what it says of itself.
        file: where it stands.
        line: where its class begins; None where nothing in the file says so.
        code: the identity of the file's code, which comments and layout do not change.
        imports: the modules beside the file that belong to it.
        reads_words: whether its code may read what features say of themselves, so that a fit may hang on it.
    """

    inner: RankerTrainer
    file: Path
    line: int | None
    code: str
    imports: tuple[str, ...] = ()
    reads_words: bool = False

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
        nowhere = config.model_copy(update={"files": ()})  # where files stand makes no other model
        lent = _lent(frames)
        made = RANKERS.ran(self.file, lambda: self._anew().fit(lent, features=features, config=nowhere, seed=seed))
        if not all(np.array_equal(frame.offsets, mine.offsets) for frame, mine in zip(frames, lent, strict=True)):
            fault = f"`fit` of ranker {self.name!r} writes into the frames, which other models are fitted on"
            RANKERS.refuse(self.file, fault, "Make a copy first: frame.offsets.copy().")
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
                repair="`rec-platform run` makes the ranker_models of its date again (with --force where it finds nothing to "
                "do); or bring the file back as it was.",
            )  # fmt: skip
        scorer = RANKERS.ran(self.file, lambda: self._anew().load(artefact))
        if not isinstance(scorer, Scorer) or getattr(scorer, "name", None) != self.name:
            what = (
                f"the scorer {getattr(scorer, 'name', '')!r}" if isinstance(scorer, Scorer) else type(scorer).__name__
            )
            RANKERS.refuse(
                self.file, f"`load` of ranker {self.name!r} returned {what}", f"Return a Scorer named {self.name!r}."
            )
        notes = RANKERS.ran(self.file, lambda: scorer.features)
        if not isinstance(notes, tuple) or not all(isinstance(note, FeatureNote) for note in notes):
            fault = f"`features` of the scorer {self.name!r} are no tuple of FeatureNote"
            RANKERS.refuse(self.file, fault, "Return those it reads, in order: notes_of(artefact).")
        return OwnScorer(scorer, self.file)

    def _anew(self) -> RankerTrainer:
        return type(self.inner)()

    def _sealed(self, made: object) -> Artefact:
        """The artefact with the code's identity in its manifest."""
        if not isinstance(made, Artefact) or made.model != self.name:
            what = f"an artefact of model {made.model!r}" if isinstance(made, Artefact) else type(made).__name__
            repair = "Return Artefact.of(self.name, manifest, files), or None where there is nothing to learn from."
            RANKERS.refuse(self.file, f"`fit` of ranker {self.name!r} returned {what}", repair)
        manifest = made.manifest
        for key, kind in (("data", dict), ("features", list)):
            if not isinstance(manifest.get(key), kind):
                repair = "Make it by base_manifest(..., data=training.data(), features=training.notes(), ...)."
                RANKERS.refuse(self.file, f"the manifest of ranker {self.name!r} has no {key!r}", repair)
        files = {name: payload for name, payload in made.files.items() if name != MANIFEST}
        for name, payload in list[tuple[str, object]](files.items()):
            if not isinstance(payload, bytes):
                fault = f"file {name!r} of ranker {self.name!r} is {type(payload).__name__}, not bytes"
                RANKERS.refuse(self.file, fault, "Make it by npy_bytes(array) or json_bytes(value) of models.artefact.")
        return Artefact.of(self.name, {**manifest, "code_version": self.code_version, "code": self.code}, files)

    def _try(self, scorer: OwnScorer, frame: Frame) -> None:
        """Refuses scores that are not finite, also of nothing but missing values, or that hang on other contexts."""
        missing = {name: np.full(frame.n_items, np.nan, np.float32) for name in frame.features.column_names}
        given = frame.offsets.copy()
        for one, of in ((frame, ""), (frame.with_features(missing), " where every feature is missing")):
            for what, values in (
                ("the score", scorer.score(one)), ("a contribution", scorer.contributions(one, np.arange(one.n_items))),
            ):  # fmt: skip
                if not np.isfinite(values).all():
                    fault = f"ranker {self.name!r} gave {what} {values[~np.isfinite(values)][0]}{of}"
                    RANKERS.refuse(self.file, fault, "Let it be finite, also where features are NaN, which is missing.")
        if not np.array_equal(frame.offsets, given):
            fault = f"the scorer {self.name!r} writes into the frame, which other models score"
            RANKERS.refuse(self.file, fault, "Make a copy first: frame.offsets.copy().")
        whole = scorer.score(frame)
        if self.scale == "probability" and not ((whole >= 0) & (whole <= 1)).all():
            fault = (
                f"ranker {self.name!r} gave the score {whole[(whole < 0) | (whole > 1)][0]}, which is no probability"
            )
            RANKERS.refuse(
                self.file, fault, 'Return one from `score`; or scale = "log_odds", or none where scores only order.'
            )
        apart = np.concatenate([scorer.score(frame.take(np.array([row]))) for row in range(frame.n_contexts)])
        if np.allclose(apart, whole, rtol=1e-9, atol=1e-12):
            return
        if np.allclose(apart, whole, rtol=1e-4, atol=1e-4 * float(np.abs(whole).max())):
            fault = f"ranker {self.name!r} gives an item a score with other last digits among other contexts"
            RANKERS.refuse(
                self.file, fault, "Compute in float64: a float32 matrix product rounds by how many rows it is given."
            )
        repair = "Let a score depend on the features of its own item alone."
        RANKERS.refuse(self.file, f"ranker {self.name!r} gives an item another score among other contexts", repair)


def _lent(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The frames with offsets of their own: what is written there stays there, also where `fit` raises. Columns are read-only."""
    mine = [replace(frame, offsets=frame.offsets.copy()) for frame in frames]
    return replace(frames, frames=tuple(mine)) if isinstance(frames, Thinned) else mine


def declared_in(file: str) -> tuple[OwnTrainer, ...]:
    """The rankers that a file declares, in its order.

    Raises:
        ConfigError: the file is not there, is not Python, raises, declares no ranker, or one that cannot be meant.
    """
    return _declared(OwnFile.read(RANKERS, Path(file)))


@lru_cache(maxsize=64)
def _declared(file: OwnFile) -> tuple[OwnTrainer, ...]:
    """Run once per content, so that a class stays the same class."""
    return declared_anew(file)


def declared_anew(file: OwnFile) -> tuple[OwnTrainer, ...]:
    """The rankers of a file that is run now, whether or not it was before: nothing that ran leaves anything to it."""
    classes = _classes(file.run())
    if not classes:
        RANKERS.refuse(file.path, "no ranker in it", "Declare a subclass of RankerTrainer; docs/models.md has one.")
    lines = {node.name: node.lineno for node in ast.walk(ast.parse(file.text)) if isinstance(node, ast.ClassDef)}
    names, found = tuple(name for name, _ in file.beside), dict[str, OwnTrainer]()
    for one in classes:
        line = lines.get(one.__name__)
        made = OwnTrainer(_made(one, file.path, line), file.path, line, file.code, names, file.reads_words)
        if made.name in found:
            first = type(found[made.name].inner).__name__
            fault = f"class {one.__name__} has the name of {first}, {made.name!r}"
            RANKERS.refuse(file.path, fault, "Give each ranker a name of its own.", _at(line))
        found[made.name] = made
    return tuple(found.values())


def _classes(module: ModuleType) -> list[type[RankerTrainer]]:
    """The rankers that a module defines, in its order. What others build on and cannot be one itself is none."""
    mine = [
        one
        for one in dict.fromkeys(map(_trainer_class, vars(module).values()))
        if one and one.__module__ == module.__name__
    ]
    bases = {base for one in mine for base in one.__mro__[1:]}
    return [one for one in mine if one not in bases or (hasattr(one, "name") and not isabstract(one))]


def _trainer_class(thing: object) -> type[RankerTrainer] | None:
    return thing if isinstance(thing, type) and issubclass(thing, RankerTrainer) else None


def _at(line: int | None) -> str:
    return "" if line is None else f"line {line}"


def _made(kind: type[RankerTrainer], path: Path, line: int | None) -> RankerTrainer:
    """One of a class; refused if it cannot be made, or says of itself what cannot be."""
    if isabstract(kind):
        RANKERS.refuse(
            path, f"class {kind.__name__} has no {', '.join(sorted(kind.__abstractmethods__))}", where=_at(line)
        )
    try:
        made = kind()
    except Exception as error:
        fault = f"class {kind.__name__} cannot be made: {error}"
        RANKERS.refuse(path, fault, "Let it be made without arguments.", _at(line), error)
    name, version = getattr(made, "name", None), getattr(made, "code_version", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        repair = "Use lower-case letters, digits and underscores, a letter first, at most 63."
        RANKERS.refuse(path, f"class {kind.__name__}: {name!r} is no `name` of a ranker", repair, _at(line))
    if not isinstance(version, int):
        fault = f"class {kind.__name__}: {version!r} is no `code_version`"
        RANKERS.refuse(path, fault, "Begin with code_version = 1.", _at(line))
    if made.scale not in SCALES:
        repair = "It is probability, log_odds, or empty where scores only order."
        RANKERS.refuse(path, f"class {kind.__name__}: {made.scale!r} is no `scale`", repair, _at(line))
    return made
