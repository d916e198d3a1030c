"""A feature file, checked before anything is run with it: every fault at once, each with its line and its repair.

The file is run statement by statement, so that one that fails does not hide the next. What it declares is checked as a
whole together with the standard set, and its encoders are tried on a small drawn past (`sample.py`) in which every fact is
somewhere 0, missing or `NONE`. An encoder must give the same numbers twice, must not write into what it is given, and
must give each row what it would give it alone: the platform cuts rows into chunks as it likes.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from rec_platform import columns as c
from rec_platform.clock import DAY, window_text
from rec_platform.errors import ConfigError, PlatformError
from rec_platform.features import standard
from rec_platform.features.encoders import COLUMNS, Array, Encoder
from rec_platform.features.feature_set import FeatureSet, declarations, encoded, faults
from rec_platform.features.own_file import FEATURES, OwnFile, line_in, line_of
from rec_platform.features.sample import LAST, Sample
from rec_platform.timetravel.declared import OF_RECORDS, Fact
from rec_platform.timetravel.kernels import NONE
from rec_platform.timetravel.reading import compute

#: Calls that an encoder has no business making: storage, clocks, chance.
_IMPURE: Final = frozenset({
    "open", "exec", "eval", "input", "now", "utcnow", "today", "time", "random", "default_rng", "getenv", "environ",
    "read_parquet", "read_csv", "urlopen", "connect",
})  # fmt: skip
_ALONE: Final = 7
#: Days from an instant to one that is not there are more.
_FAR: Final = 1e7


@dataclass(frozen=True)
class Fault:
    """Something wrong in a file: what, in which line (None: the file as a whole), and what to do about it."""

    fault: str
    line: int | None
    repair: str

    def place(self, file: Path) -> str:
        return str(file) if self.line is None else f"{file}, line {self.line}"


@dataclass(frozen=True)
class CheckedFile:
    """What a file declares and what is wrong with it.

    Attributes:
        facts, encoders: its own, in the order of the file.
        lines: where each is declared, by name.
        faults: what keeps it from being used.
        notes: what is odd and does no harm.
    """

    file: Path
    facts: tuple[Fact, ...]
    encoders: tuple[Encoder, ...]
    lines: Mapping[str, int]
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]

    def raise_if_faulty(self) -> None:
        """`FaultyFile` naming every fault, if there is any."""
        if self.faults:
            said = "; ".join(f"line {one.line}: {one.fault}" if one.line else one.fault for one in self.faults)
            several = f" `rec-platform features check {self.file}` says what to do about each."
            repair = self.faults[0].repair + (several if len(self.faults) > 1 else "")
            raise FaultyFile(said, place=f"feature file {self.file}", repair=repair, checked=self)

    def row(self, one: Fact | Encoder) -> dict[str, Any]:
        """A declaration in one row for people."""
        what, reads = ("feature", ", ".join(one.reads)) if isinstance(one, Encoder) else ("fact", said(one))
        return {"line": self.lines[one.name], "what": what, "name": one.name, "unit": one.unit, "reads": reads,
                "about": one.about}  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.file),
            "facts": [fact.to_json() for fact in self.facts],
            "features": [
                {"name": one.name, "unit": one.unit, "reads": list(one.reads), "about": one.about}
                for one in self.encoders
            ],
            "faults": [
                {"fault": one.fault, "place": one.place(self.file), "line": one.line, "repair": one.repair}
                for one in self.faults
            ],
            "notes": list(self.notes),
        }


class FaultyFile(ConfigError):
    """A feature file that has faults; `checked` has each of them apart."""

    def __init__(self, fault: str, *, place: str, repair: str, checked: CheckedFile) -> None:
        self.checked = checked
        super().__init__(fault, place=place, repair=repair)


def said(fact: Fact) -> str:
    """What a fact reads, in short.

    >>> said(Fact("tv", "profile_title", "plays", 3, where="device == 'tv'"))
    "plays of profile_title, 3d, where device == 'tv'"
    """
    parts = [f"{fact.measure} of {fact.entity}"]
    if fact.entity == "profile_attribute":
        parts.append(
            f"sharing any of the {fact.attribute}" if fact.kind == "instant" else f"{fact.over} over {fact.attribute}"
        )
    if fact.measure not in OF_RECORDS:
        parts.append("all time" if fact.window is None else window_text(fact.micros))
    return ", ".join([*parts, *([f"where {fact.where}"] if fact.where else [])])


def check_file(file: Path, *, beside: FeatureSet | None = None) -> CheckedFile:
    """Everything that can be said of a feature file. A file that cannot be read is one fault, too.

    Args:
        beside: the features it is used together with; the standard set if not given.
    """
    others = FeatureSet.standard() if beside is None else beside
    try:
        ran = _Run.of(OwnFile.read(FEATURES, file))
    except ConfigError as error:
        line = re.match(r"line (\d+): ", error.fault)
        fault = Fault(error.fault[line.end() if line else 0 :], int(line[1]) if line else None, error.repair)
        return CheckedFile(file, (), (), {}, (fault,), ())
    found = [*ran.faults, *_of_declarations(ran, others)]
    if not ran.facts and not ran.encoders and not found:
        found.append(Fault("it declares no facts and no encoders", None, "See docs/features.md."))
    found += _of_encoders(ran, others)
    found.sort(key=lambda one: (one.line or 0, one.fault))
    return CheckedFile(file, tuple(ran.facts), tuple(ran.encoders), ran.lines, tuple(found), tuple(_notes(ran)))


# ------------------------------------------------------------------------------------------------- running the file


@dataclass
class _Run:
    """A file, run as far as it goes; `lost` are the names that statements which failed would have made."""

    facts: list[Fact]
    encoders: list[Encoder]
    lines: dict[str, int]
    faults: list[Fault]
    lost: set[str]

    @classmethod
    def of(cls, own: OwnFile) -> _Run:
        module, file, beside = own.opened(), own.path, {name for name, _ in own.beside}
        run, tree = cls([], [], {}, [], set()), ast.parse(own.text, str(file))
        future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        for node in tree.body:
            code = compile(ast.Module([*future, node], type_ignores=[]), str(file), "exec")
            before = dict(vars(module))
            declared = {id(one) for value in before.values() for one in declarations(value)}
            try:
                exec(code, module.__dict__)
            except Exception as error:
                run.lost |= _assigned(node)
                if not (isinstance(error, NameError) and error.name in run.lost):
                    run.faults.append(_raised(error, node, file))
            if not isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "module", None) in beside:
                run._note_lost(before, vars(module), node)
                run._take([one for value in vars(module).values() for one in declarations(value)], declared, node)
        return run

    def _note_lost(self, before: Mapping[str, Any], after: Mapping[str, Any], node: ast.stmt) -> None:
        """Names of a declaration that now stand for another one."""
        for name, first in before.items():
            second = after.get(name)
            if second is not first and isinstance(first, Fact | Encoder) and isinstance(second, Fact | Encoder):
                lost = f"{name!r} is given a second time, so the first (line {self.lines[first.name]}) is lost"
                self.faults.append(
                    Fault(lost, node.lineno, "Rename one of them: a fact and a function may not share one name.")
                )

    def _take(self, after: Iterable[Fact | Encoder], known: set[int], node: ast.stmt) -> None:
        """What a statement declared, or took from a module beside the file; what other imports bring is not its own."""
        for thing in {id(one): one for one in after if id(one) not in known}.values():
            self.lines[thing.name] = node.lineno
            if isinstance(thing, Fact):
                self.facts += [thing] if thing not in standard.FACTS else []
            else:
                self.encoders += [thing] if thing not in standard.ENCODERS else []


def _assigned(node: ast.stmt) -> set[str]:
    """The names that a statement would have given a value to, or that it gives to what it would have made."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    parts = list(ast.walk(node))
    texts = {one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return texts | {one.id for one in parts if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


def _raised(error: Exception, node: ast.stmt, file: Path) -> Fault:
    """What a statement raised, at the innermost line of the file that it came from, and of a module beside it."""
    line, where = line_in(str(file), error) or node.lineno, line_of(file, error)
    if where and not where.startswith("line "):
        return Fault(f"{where}: {type(error).__name__}: {error}", line, "Correct that line.")
    if isinstance(error, PlatformError):
        return Fault(f"{error.place}: {error.fault}", line, error.repair)
    return Fault(f"{type(error).__name__}: {error}", line, "Correct that line.")


# ---------------------------------------------------------------------------------------- what the declarations say


def _of_declarations(run: _Run, others: FeatureSet) -> Iterator[Fault]:
    """Names, types, units, unknown parameters and rings, the standard set beside them."""
    if run.facts or run.encoders:
        for error in faults([*others.facts, *run.facts], [*others.encoders, *run.encoders]):
            if run.lost & set(re.findall(r"'(\w+)'", error.fault)):
                continue
            own = [name for name in re.findall(r"\w+", f"{error.place} {error.fault}") if name in run.lines]
            said = error.fault if error.place == "feature set" else f"{error.place}: {error.fault}"
            yield Fault(said, run.lines[own[0]] if own else None, error.repair)
    for one in run.encoders:
        for name in ("unit", "about"):
            text = getattr(one, name)
            if not isinstance(text, str) or not text.strip():
                yield Fault(
                    f"encoder {one.name!r}: {name} is {text!r}", run.lines[one.name],
                    f"Give {name} as a short text; it stands in docs, reports and explanations.",
                )  # fmt: skip


def _notes(run: _Run) -> Iterator[str]:
    read = {name for one in run.encoders for name in one.reads}
    for fact in run.facts:
        if fact.name not in read:
            yield f"fact {fact.name!r} (line {run.lines[fact.name]}) is read by no encoder, so it is never computed"
        if not fact.about:
            yield f"fact {fact.name!r} (line {run.lines[fact.name]}) says nothing about itself"
    usual = sorted({one.unit for one in standard.ENCODERS})
    for one in run.encoders:
        if isinstance(one.unit, str) and one.unit and one.unit not in usual:
            yield f"unit {one.unit!r} of {one.name!r} is none of the standard set's: {', '.join(usual)}"
        impure = sorted(_IMPURE & set(getattr(getattr(one.function, "__code__", None), "co_names", ())))
        if impure:
            yield f"encoder {one.name!r} names {', '.join(impure)}: an encoder touches no storage, clock or chance"


# ------------------------------------------------------------------------------------------------ trying encoders


def _of_encoders(run: _Run, others: FeatureSet) -> Iterator[Fault]:
    """What goes wrong when encoders are run; those that read something unknown, or another faulty one, are left out."""
    sound = _sound(run, others)
    if not sound:
        return
    whole = FeatureSet((*others.facts, *run.facts), (*others.encoders, *sound))
    features = whole.select([one.name for one in sound])
    sample = Sample.drawn()
    for one, arguments in arguments_of(features, values_of(features, sample), np.diff(sample.frame.offsets)):
        if one not in run.encoders:
            continue
        for fault, repair in list(impurities(one, arguments)) or company(one, stirred(arguments)):
            yield Fault(f"encoder {one.name!r}: {fault}", run.lines[one.name], repair)


def arguments_of(
    features: FeatureSet, values: Mapping[str, Array], lengths: Array
) -> Iterator[tuple[Encoder, list[Array]]]:
    """Each encoder with what it is given, in order; those that read one which fails are left out.

    Args:
        values: facts and columns by name, a value per context or item.
        lengths: the number of items of each context.
    """
    known = dict(values)
    for one in features.order:
        if any(name not in known for name in one.reads):
            continue
        wide = features.feature_level(one.name) == "item"
        arguments = [
            np.repeat(known[name], lengths) if wide and features.level(name) == "context" else known[name]
            for name in one.reads
        ]
        yield one, arguments
        with contextlib.suppress(PlatformError), np.errstate(all="ignore"):
            known.setdefault(one.name, encoded(one, [values.copy() for values in arguments]))


def _sound(run: _Run, others: FeatureSet) -> list[Encoder]:
    """Of a file's encoders, the ones that can be run with what is declared: names known and unique, no rings."""
    facts = [fact.name for fact in (*others.facts, *run.facts)]
    if len(set(facts)) < len(facts) or set(facts) & set(COLUMNS):
        return []
    names = [one.name for one in (*others.encoders, *run.encoders)]
    ready = {*COLUMNS, *facts, *(one.name for one in others.encoders)}
    left, sound = [one for one in run.encoders if names.count(one.name) == 1], list[Encoder]()
    while fit := [one for one in left if set(one.reads) <= ready]:
        sound += fit
        ready |= {one.name for one in fit}
        left = [one for one in left if one not in fit]
    return [one for one in run.encoders if one in sound]


def values_of(features: FeatureSet, sample: Sample) -> dict[str, Array]:
    """The facts and columns that a set reads, of the sample's contexts and items."""
    frame = sample.frame
    asked = {"profile_id": frame.context(c.PROFILE), "country": frame.context(c.COUNTRY), "at": frame.context(c.AT),
             "offsets": frame.offsets, "title_id": frame.item(c.TITLE)}  # fmt: skip
    found: dict[str, Array] = dict(compute(sample.timeline(features.needed), features.needed, **asked))
    columns = {n: frame.context(n) if level == "context" else frame.item(n) for n, level in COLUMNS.items()}
    return {**columns, **found}


def impurities(one: Encoder, arguments: list[Array]) -> Iterator[tuple[str, str]]:
    """What is wrong with an encoder's answers: (fault, repair)."""
    given = [values.copy() for values in arguments]
    with np.errstate(all="ignore"):
        try:
            first = encoded(one, given).copy()
        except PlatformError as error:
            yield f"{error.fault}{_at_which(one, arguments)}", error.repair
            return
        touched = [name for name, a, b in zip(one.reads, given, arguments, strict=True) if not _same(a, b)]
        if touched:
            yield f"it writes into {', '.join(touched)}", "Make a copy first: np.where, or values.copy()."
            return
        if not _same(first, encoded(one, [values.copy() for values in arguments])):
            yield (
                "it gave other numbers for the same rows",
                "Let it depend on its parameters alone: no chance, no clock.",
            )
            return
        yield from company(one, arguments)
        yield from reckoned(one, arguments, first)


def reckoned(one: Encoder, arguments: list[Array], first: Array) -> Iterator[tuple[str, str]]:
    """Whether it reckons with `NONE`: its number is huge there, and the same for the instant beside it, which is no sign."""
    none = {name: values == NONE for name, values in zip(one.reads, arguments, strict=True) if values.dtype == np.int64}
    beside = [
        np.where(values == NONE, NONE + 1, values) if values.dtype == np.int64 else values for values in arguments
    ]
    with contextlib.suppress(PlatformError):
        again = encoded(one, [values.copy() for values in beside]).astype(np.float64)
        huge = (np.abs(again) > _FAR) & np.isclose(again, first.astype(np.float64), rtol=1e-9, atol=0)
        for name, there in none.items():
            for row in np.flatnonzero(huge & there)[:1]:
                yield (
                    f"it gives {first[row]:.3g} where there is no {name}: it reckoned with NONE, which stands there",
                    "Give NaN there: days_since(instant, at), or np.where(instant == NONE, np.nan, ...).",
                )


def company(one: Encoder, arguments: list[Array]) -> Iterator[tuple[str, str]]:
    """Whether a row's number depends on the rows beside it: (fault, repair). What cannot be run at all says nothing here."""
    with np.errstate(all="ignore"), contextlib.suppress(PlatformError):
        first = encoded(one, [values.copy() for values in arguments])
        if not _same(first[::_ALONE], _alone(one, [values[::_ALONE].copy() for values in arguments], first)):
            yield (
                "it gave a row other numbers when other rows stood beside it",
                "Work element by element: no sums, means, ranks or sorting over rows; declare a fact for those.",
            )


def stirred(arguments: list[Array]) -> list[Array]:
    """Arguments with numbers where one is the same in every row: a window or filter that nothing of the drawn past falls into.

    A mean over rows that are all 0 is not seen. Such rows may be impossible (more plays in an hour than in a week), so nothing
    but `company` is asked of them.
    """
    return [
        _varied(values) if len(values) and _same(values, np.full_like(values, values[0])) else values
        for values in arguments
    ]


def _varied(values: Array) -> Array:
    steps = np.arange(len(values)) % 5
    if values.dtype.kind == "f":
        return steps.astype(values.dtype)
    return LAST - steps * DAY if values.dtype == np.int64 else values


def _alone(one: Encoder, rows: list[Array], first: Array) -> Array:
    """Some rows again, each by itself; an encoder that cannot do that gives NaN of another kind: an empty array."""
    try:
        parts = [encoded(one, [values[i : i + 1] for values in rows]) for i in range(len(rows[0]))]
    except PlatformError:
        return first[:0]
    return np.concatenate(parts)


def _at_which(one: Encoder, arguments: list[Array]) -> str:
    """For an infinity: the arguments of the first row that gave one."""
    try:
        result = np.asarray(one(*[values.copy() for values in arguments]))
        row = int(np.flatnonzero(np.isinf(result))[0])
    except Exception:  # the user's own code, which may raise anything; the fault itself is told without an example
        return ""
    return f", for example for {', '.join(f'{n}={v[row].item()!r}' for n, v in zip(one.reads, arguments, strict=True))}"


def _same(left: Array, right: Array) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return bool(((left == right) | ((left != left) & (right != right))).all())
