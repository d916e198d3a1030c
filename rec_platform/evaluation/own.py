"""Metrics and slices in files of the user's own: read, and tried on a drawn world before anything is judged by them.

A file declares metrics (`@metric`), accumulators (`Accumulator`) and slices (`@context_slice`, `@title_slice`). The
settings name the files whose numbers the stage stores; commands take one more `--with FILE`, over stored scores. Every
fault of a file is said at once, each with its line.

The trial is a world of some dozen contexts with equal scores, positives out of reach, contexts without a positive and one
without a candidate. A metric must give a number for every context of its population, and the same one whatever other
contexts are asked about: contexts are judged in chunks, and kinds of tie groups once.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError, PlatformError
from rec_platform.evaluation.accumulators import Accumulator, tally
from rec_platform.evaluation.expressions import COLUMNS, Expression
from rec_platform.evaluation.knowledge import Knowledge, Tastes, TitleFacts
from rec_platform.evaluation.metrics import STANDARD, Metric, Population, members
from rec_platform.evaluation.registry import ACCUMULATORS, ALL_METRICS
from rec_platform.evaluation.scored import RANDOM, SAMPLED, scored
from rec_platform.evaluation.slices import ALL, POPULARITY, PROFILE_BAND, TITLE_AGE
from rec_platform.evaluation.ties import Bools
from rec_platform.evaluation.view import CHANCES, EXPECTED, GENRES, LISTS, PLAYS, TASTES, Block, View
from rec_platform.features.own_file import METRICS, OwnFile, line_in

Measured = Metric | Accumulator
Thing = Measured | Expression
Kind = TypeVar("Kind", Metric, Accumulator, Expression)

#: What a metric may need; of these, what must be read besides scores.
NEEDS: Final = (LISTS, CHANCES, PLAYS, GENRES, TASTES, EXPECTED)
KNOWN: Final = frozenset({CHANCES, PLAYS, GENRES, TASTES})
#: The cut-off of a metric that is shown unless told otherwise.
SHOWN: Final = 10
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TRIED: Final = (1, 3, 50)


@dataclass(frozen=True)
class Own:
    """What files of the user's own declare."""

    metrics: tuple[Metric, ...] = ()
    accumulators: tuple[Accumulator, ...] = ()
    slices: tuple[Expression, ...] = ()

    def __add__(self, other: Own) -> Own:
        return Own(
            self.metrics + other.metrics, self.accumulators + other.accumulators, self.slices + other.slices
        )  # fmt: skip

    def __bool__(self) -> bool:
        return bool(self.metrics or self.accumulators or self.slices)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics people see: those of contexts, then those read from accumulators."""
        return (*(one.name for one in self.metrics), *(name for one in self.accumulators for name in one.readings))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset(need for one in self.measured for need in one.needs)

    @property
    def measured(self) -> tuple[Measured, ...]:
        return (*self.metrics, *self.accumulators)

    def shown(self, known: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Of the metrics and cut-offs there are its own, each at `SHOWN` (else its least cut-off)."""
        cuts = {name: sorted(k for one, k in known if one == name) for name in self.names}
        return [(name, SHOWN if SHOWN in found else found[0]) for name, found in cuts.items() if found]


#: No file of the user's own.
NONE: Final = Own()


def platforms(names: Collection[str]) -> Own:
    """What the platform has of these names besides what is made of all scores (`STANDARD`)."""
    metrics = tuple(one for one in ALL_METRICS if one.name in names and one not in STANDARD)
    return Own(metrics, tuple(one for one in ACCUMULATORS if not {*one.readings}.isdisjoint(names)))


def load(files: Sequence[str]) -> Own:
    """What Python files declare: file by file, by name within a file.

    Raises `ConfigError` for a file that is none or declares nothing, and for declarations that cannot be meant.
    """
    found = [_of_file(_python_file(file)) for file in files]
    whole = sum(found, Own())
    taken = list(whole.names)
    for name in sorted({name for name in taken if taken.count(name) > 1}):
        raise ConfigError(
            f"two files declare the metric {name!r}", place=", ".join(files), repair="Rename one of them."
        )
    return whole


def tried(files: Sequence[str]) -> Own:
    """The same, after each metric, accumulator and slice of contexts was tried on a drawn world."""
    found = [(Path(file), load((file,))) for file in files]
    for path, own in found:
        _raise(path, (fault for one in own.measured for fault in _on_trial(one, path)))
    return load(files)


def fingerprints(files: Sequence[str]) -> list[str]:
    """SHA-256 of each file, with the modules beside it that it imports: a changed metric makes stored numbers stale."""
    return [_fingerprint(OwnFile.read(METRICS, _python_file(file))) for file in files]


def _fingerprint(file: OwnFile) -> str:
    beside = "".join(f"\n{name}\n{text}" for name, text in file.beside)
    return hashlib.sha256((file.text + beside).encode()).hexdigest()


# --- reading a file --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fault:
    line: int | None
    fault: str
    repair: str


def _python_file(file: str) -> Path:
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        fault = "no such file" if path.suffix == ".py" and not path.exists() else "not a Python file"
        raise ConfigError(fault, place=file, repair="Name a .py file that declares metrics.")
    return path


def _of_file(path: Path) -> Own:
    known = {id(one) for one in (*ALL_METRICS, *ACCUMULATORS)}
    module = OwnFile.read(METRICS, path).run()
    named = {id(thing): thing for thing in vars(module).values()}  # a name may stand for another
    things = [thing for which, thing in named.items() if which not in known]
    own = Own(_by_name(things, Metric), _by_name(things, Accumulator), _by_name(things, Expression))
    if not own:
        raise ConfigError(
            "no metric in it", place=str(path),
            repair="Decorate a function with @metric(name, about=...) or @context_slice(about=...), or make an Accumulator.",
        )  # fmt: skip
    _raise(path, _of_declarations(own))
    return own


def _by_name(things: Sequence[Any], kind: type[Kind]) -> tuple[Kind, ...]:
    return tuple(sorted((thing for thing in things if isinstance(thing, kind)), key=lambda one: one.name))


def _raise(path: Path, faults: Iterator[_Fault] | Sequence[_Fault]) -> None:
    """`ConfigError` with every fault, if there is any."""
    found = sorted(set(faults), key=lambda one: (one.line or 0, one.fault))
    if found:
        said = "; ".join(f"line {one.line}: {one.fault}" if one.line else one.fault for one in found)
        raise ConfigError(said, place=METRICS.place(path), repair=found[0].repair)


def _raised(error: Exception, path: Path) -> _Fault:
    """What was raised, at the innermost line of the file that it came from."""
    line = line_in(str(path), error)
    if isinstance(error, PlatformError):
        return _Fault(line, error.fault, error.repair)
    return _Fault(line, f"{type(error).__name__}: {error}", "Correct that line.")


# --- what the declarations say ---------------------------------------------------------------------------------------


def _of_declarations(own: Own) -> Iterator[_Fault]:
    taken = [*(one.name for one in ALL_METRICS), *(name for one in ACCUMULATORS for name in one.readings)]
    counted = [one.name for one in ACCUMULATORS]
    columns = [ALL, POPULARITY, PROFILE_BAND, TITLE_AGE, *COLUMNS["context"]]
    for one in own.metrics:
        yield from _of_name(one, one.name, taken)
        yield from _of_needs(one)
        yield from _of_signature(one, ("groups or view", "k"))
    for counter in own.accumulators:
        yield from _of_name(counter, counter.name, counted)
        yield from _of_needs(counter)
        yield from _of_signature(counter, ("view", "k"))
        if not counter.readings:
            yield _Fault(_line(counter), f"accumulator {counter.name!r}: nothing is read from it", "Give it readings.")
        for name in counter.readings:
            yield from _of_name(counter, name, taken)
    for part in own.slices:
        yield from _of_name(part, part.name, columns)
        for name in part.reads:
            if name not in COLUMNS[part.of]:
                yield _Fault(
                    _line(part), f"slice {part.name!r} reads {name!r}, which no {part.of} has",
                    f"Name its parameters for columns: {', '.join(COLUMNS[part.of])}.",
                )  # fmt: skip


def _of_name(thing: Thing, name: str, taken: list[str]) -> Iterator[_Fault]:
    """What is wrong with a name; it is taken from then on."""
    if not _NAME.fullmatch(name) or name.endswith(SAMPLED):
        yield _Fault(
            _line(thing), f"{name!r} is no name for {_what(thing)}",
            f"Use lower-case letters, digits and underscores, a letter first, at most 63, not {SAMPLED} at the end.",
        )  # fmt: skip
    if name in taken:
        yield _Fault(_line(thing), f"{name!r} is taken", f"Give {_what(thing)} a name of its own.")
    taken.append(name)


def _of_needs(one: Measured) -> Iterator[_Fault]:
    for name in sorted(set(one.needs) - set(NEEDS)):
        yield _Fault(_line(one), f"{one.name!r} needs {name!r}, which no view has", f"There are: {', '.join(NEEDS)}.")
    if one.population not in list(Population):
        there = ", ".join(Population)
        yield _Fault(_line(one), f"{one.name!r} is of population {one.population!r}", f"There are: {there}.")


def _of_signature(one: Measured, parameters: tuple[str, ...]) -> Iterator[_Fault]:
    try:
        inspect.signature(_function(one)).bind(*parameters)
    except TypeError:
        yield _Fault(
            _line(one), f"{one.name!r} cannot be called with ({', '.join(parameters)})",
            f"Give its function exactly the parameters {' and '.join(parameters)}.",
        )  # fmt: skip


def _function(thing: Thing) -> Callable[..., Any]:
    """The function that the user wrote."""
    if isinstance(thing, Accumulator):
        return thing.take
    if isinstance(thing, Expression):
        return thing.function
    return thing.value if thing.by_group is None else thing.by_group.part


def _line(thing: Thing) -> int | None:
    code = getattr(_function(thing), "__code__", None)
    return None if code is None else int(code.co_firstlineno)


def _what(thing: Thing) -> str:
    return {Metric: "a metric", Accumulator: "an accumulator", Expression: "a slice"}[type(thing)]


# --- the trial -------------------------------------------------------------------------------------------------------


def _on_trial(one: Measured, path: Path) -> Iterator[_Fault]:
    """What goes wrong when a metric or accumulator is asked about the drawn world."""
    try:
        with np.errstate(all="ignore"):
            for fault, repair in _of_metric(one) if isinstance(one, Metric) else _of_accumulator(one):
                yield _Fault(_line(one), f"{one.name!r} {fault}", repair)
    except Exception as error:
        found = _raised(error, path)
        yield _Fault(found.line or _line(one), f"{one.name!r} raised {found.fault}", found.repair)


def _of_metric(one: Metric) -> Iterator[tuple[str, str]]:
    for model in (RANDOM, _MODEL):
        for k in one.cutoffs(_TRIED):
            frame, told = _world(), f"of {model} at k = {k}" if one.cut else f"of {model}"
            found = np.asarray(one.of(_view(frame, model), k))
            if found.shape != (frame.n_contexts,) or found.dtype.kind not in "fiub":
                yield (
                    f"returned {found.dtype} of shape {found.shape} for {frame.n_contexts} contexts {told}",
                    "Return one number per context: `groups.total(...)` adds up a number per tie group.",
                )
                return
            inside = _members(one, frame, model)
            if not np.isfinite(found[inside]).all():
                yield (
                    f"is {found[inside][~np.isfinite(found[inside])][0]} for a context of its population {told}",
                    "Return a finite number for each, or name a smaller population (`population=Population...`).",
                )
                return
            for some in (np.flatnonzero(inside)[::2], np.flatnonzero(inside)[1::2]):
                if not np.allclose(one.of(_view(frame.take(some), model), k), found[some], rtol=1e-9, atol=1e-12):
                    yield (
                        f"gives a context another number among fewer others {told}",
                        "Let each number depend on its own context alone.",
                    )
                    return


def _of_accumulator(one: Accumulator) -> Iterator[tuple[str, str]]:
    frame = _world()
    n, group = frame.n_contexts, np.arange(frame.n_contexts) % 3
    for k in one.cutoffs(_TRIED):
        added = one.take(_view(frame, _MODEL), k)
        lengths = {len(added.context), len(added.ids), *([] if added.amount is None else [len(added.amount)])}
        if len(lengths) > 1 or (len(added.context) and not 0 <= added.context.min() <= added.context.max() < n):
            yield (
                f"adds to contexts outside the {n} given, or rows of different lengths",
                "`Added` has a row per addition: the row of its context, its cell, its amount.",
            )
            return
        sums = tally(added, np.ones(n), group, np.ones(n, dtype=np.bool_))
        for name, reading in one.readings.items():
            value: object = reading(sums)
            if not isinstance(value, float | int | np.number):
                yield f"reads {name!r} as {type(value).__name__}", "A reading takes a tally and returns a number."
                return


def _members(one: Metric, frame: Frame, model: str) -> Bools:
    view = _view(frame, model)
    return members(one.population, view.truth, view.block.has_taste)


_MODEL: Final = "mine"
_TITLES: Final = 12


def _view(frame: Frame, model: str) -> View:
    facts = TitleFacts.of({t: t * t for t in range(_TITLES)}, {t: [f"g{t % 3}", f"h{t % 2}"] for t in range(_TITLES)})
    tastes = Tastes.of(facts, np.array([0, 0, 1, 2]), np.array([0, 1, 5, 11]))
    known = Knowledge(facts, tastes, dict.fromkeys((_MODEL, RANDOM), "log_odds"))
    return View(Block(frame, scored(frame, (_MODEL, known.expected)), known, longest=max(_TRIED), seed=1), model)


def _world(contexts: int = 24) -> Frame:
    """Full lists with many ties; the last context has no candidate, those before it hold every case that a log does."""
    draw = np.random.default_rng(3)
    m = contexts * _TITLES
    label = draw.choice([0.0, 0.0, 0.0, 1.0, 2.0], m) * np.repeat(np.arange(contexts) % 5 > 0, _TITLES)
    reachable = (label == 0) | (draw.random(m) < 0.8)
    label[:_TITLES] = 1.0  # everything was watched
    reachable[-_TITLES:] = False
    rows = pa.table(
        {
            c.PROFILE: np.arange(contexts) % 7, c.CONTEXT_ID: np.arange(contexts),
            c.COUNTRY: np.array(["FR", "GB"])[np.arange(contexts) % 2],
        }
    )  # fmt: skip
    items = {c.TITLE: np.tile(np.arange(_TITLES), contexts), c.LABEL: label, c.REACHABLE: reachable}
    scores = {
        _MODEL: draw.integers(-2, 3, m) + label / 2, "popularity": np.tile(np.arange(_TITLES) // 4, contexts) * 1.0,
        RANDOM: np.zeros(m),
    }  # fmt: skip
    return Frame.of(rows, np.arange(contexts + 1) * _TITLES, items=items, scores=scores)
