"""A ranker file, checked before anything is run with it: the contract, on drawn training sets with the features of a home.

Each ranker of the file is fitted, stored and asked for scores as `ranker_models` does it, and besides: nothing to learn from
gives no model; the same data gives the same bytes, and a file that is run anew, as another process does, reads them to the
same scores; neither the order of items nor the company of contexts changes a score.
The first fault of each ranker is told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rec_platform import columns as c
from rec_platform.config import Settings
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import PlatformError
from rec_platform.features.own_file import RANKERS, OwnFile
from rec_platform.models.artefact import Artefact, from_rows, to_rows
from rec_platform.models.contract import FeatureNote
from rec_platform.models.features import feature_notes
from rec_platform.models.own import OwnTrainer, declared_anew
from rec_platform.models.registry import known_rankers

CONTEXTS: Final = 60
ITEMS: Final = 20
#: Features that labels of drawn items follow.
_TOLD: Final = 3


@dataclass(frozen=True)
class CheckedRanker:
    """A ranker of a file; `reads` are the features that its scorer reads, empty where it could not be made."""

    trainer: OwnTrainer
    reads: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        one = self.trainer
        return {
            "name": one.name, "class": type(one.inner).__name__, "line": one.line, "code_version": one.code_version,
            "scale": one.scale, "reads": list(self.reads),
        }  # fmt: skip


@dataclass(frozen=True)
class CheckedRankers:
    """What a file declares and what is wrong with it."""

    file: Path
    imports: tuple[str, ...]
    rankers: tuple[CheckedRanker, ...]
    faults: tuple[PlatformError, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file), "imports": list(self.imports), "rankers": [one.to_json() for one in self.rankers],
            "faults": [{"fault": one.fault, "place": one.place, "repair": one.repair} for one in self.faults],
        }  # fmt: skip


def check_rankers(file: Path, settings: Settings) -> CheckedRankers:
    """Everything that can be said of a ranker file in a home with these settings."""
    others = [other for other in settings.rankers.files if Path(other).resolve() != file.resolve()]
    try:
        read = OwnFile.read(RANKERS, file)
        first, second, third = (declared_anew(read) for _ in range(3))
        known_rankers([*others, str(file)])
    except PlatformError as error:
        return CheckedRankers(file, (), (), (error,))
    found, faults = list[CheckedRanker](), list[PlatformError]()
    with threadpool_limits(limits=1):
        for trainer, again, never_fitted in zip(first, second, third, strict=True):
            reads: tuple[str, ...] = ()
            try:
                reads = _checked(trainer, again, never_fitted, settings)
            except PlatformError as error:
                faults.append(error)
            found.append(CheckedRanker(trainer, reads))
    return CheckedRankers(file, tuple(name for name, _ in read.beside), tuple(found), tuple(faults))


def _checked(trainer: OwnTrainer, again: OwnTrainer, never_fitted: OwnTrainer, settings: Settings) -> tuple[str, ...]:
    """The features that a ranker's scorer reads; raises for the first fault.

    `again`, `never_fitted`: the same ranker, of files that were run once more each.
    """
    notes = feature_notes(settings)
    _without_anything(trainer, notes, settings)
    frames, frame = [drawn(notes, seed=seed) for seed in (1, 2)], drawn(notes, seed=3)
    made, twice = (_fitted(one, frames, notes, settings) for one in (trainer, again))
    other = sorted(
        name for name in made.files.keys() | twice.files.keys() if made.files.get(name) != twice.files.get(name)
    )
    if other:
        repair = (
            "Draw from np.random.default_rng(seed), give libraries `seed` and one thread, sort what comes out of sets."
        )
        _refuse(trainer, f"makes two models of the same data: {', '.join(other)} is not the same", repair)
    scores = trainer.load(made).score(frame)
    if not np.array_equal(scores, never_fitted.load(_stored(made)).score(frame)):
        repair = "Let `load` make the scorer of the artefact alone, and of nothing that `fit` left elsewhere."
        _refuse(trainer, "scores otherwise when the file is run anew", repair)
    order = np.lexsort((np.random.default_rng(5).random(frame.n_items), frame.context_of_item))
    if not np.allclose(trainer.load(made).score(_ordered(frame, order)), scores[order], rtol=1e-9, atol=1e-12):
        repair = "Let a score depend on the features of its own item alone."
        _refuse(trainer, "gives an item another score when the items stand in another order", repair)
    return tuple(note.name for note in trainer.load(made).features)


def _without_anything(trainer: OwnTrainer, notes: Sequence[FeatureNote], settings: Settings) -> None:
    """Refuses a ranker that does not say that there is nothing to learn from."""
    frame = drawn(notes, seed=1)
    silent = frame.with_items({c.LABEL: np.zeros(frame.n_items)})
    for frames, what in (([], "no training set"), ([silent], "no context with a label above 0")):
        with _told(f"with {what}"):
            made = trainer.fit(frames, features=notes, config=settings.rankers, seed=settings.seed)
        if made is not None:
            _refuse(trainer, f"makes a model with {what}", "Return None where TrainingFrames.of(...) has no items.")


def _fitted(
    trainer: OwnTrainer, frames: Sequence[Frame], notes: Sequence[FeatureNote], settings: Settings
) -> Artefact:  # fmt: skip
    made = trainer.fit(frames, features=notes, config=settings.rankers, seed=settings.seed)
    if made is None:
        _refuse(trainer, "makes no model of contexts that hold both labels", "Return the artefact that `fit` made.")
    return made


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Says beside a fault in which case it showed."""
    try:
        yield
    except PlatformError as error:
        raise type(error)(f"{error.fault}, {what}", place=error.place, repair=error.repair) from error


def _refuse(trainer: OwnTrainer, fault: str, repair: str) -> NoReturn:
    where = "" if trainer.line is None else f"line {trainer.line}"
    RANKERS.refuse(trainer.file, f"ranker {trainer.name!r} {fault}", repair, where)


def _stored(artefact: Artefact) -> Artefact:
    """The artefact after a trip through the rows of a model table."""
    return from_rows(to_rows([artefact]), place="rankers check")[artefact.model]


def _ordered(frame: Frame, order: np.ndarray[Any, np.dtype[np.int64]]) -> Frame:
    items, features = (part.take(pa.array(order)) for part in (frame.items, frame.features))
    return Frame(frame.contexts, frame.offsets, items, features, pa.table({}))


def drawn(notes: Sequence[FeatureNote], *, seed: int) -> Frame:
    """A training frame with these features: all at least 0, a tenth missing, and labels that follow the first of them."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(ITEMS // 2, ITEMS + 1, CONTEXTS)
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int64)
    n = int(offsets[-1])
    features = {note.name: draw.gamma(1.0, 10.0, n).astype(np.float32) for note in notes}
    told = sum((values for values in list(features.values())[:_TOLD]), np.zeros(n, np.float32))
    label = (draw.random(n) < 0.3 * told / max(float(told.mean()), 1.0)).astype(np.float64)
    for values in features.values():
        values[draw.random(n) < 0.1] = np.nan
    items = {
        c.TITLE: draw.integers(0, 1000, n), c.LABEL: label, c.WEIGHT: draw.uniform(0.5, 1.5, n),
        c.ITEM_INCLUSION_PROBABILITY: np.where(label > 0, 1.0, 0.25),
    }  # fmt: skip
    contexts = pa.table({
        c.PROFILE: np.arange(CONTEXTS) % 40, c.COUNTRY: pa.array(["FR"] * CONTEXTS),
        c.CONTEXT_ID: np.arange(CONTEXTS) + 1_000 * seed,
    })  # fmt: skip
    return Frame.of(contexts, offsets, items=items, features=features)
