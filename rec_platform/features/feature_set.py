"""A feature set: facts and the encoders that read them, checked as a whole before anything is computed."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rec_platform import columns as c
from rec_platform.config import FeatureConfig
from rec_platform.errors import ConfigError
from rec_platform.features import arithmetic, standard
from rec_platform.features.encoders import COLUMNS, Array, Encoder
from rec_platform.features.encoding import encoded
from rec_platform.features.identity import code_identity
from rec_platform.features.own_file import FEATURES, OwnFile
from rec_platform.timetravel.declared import APART, FACTS_VERSION, Fact, filters_of, measures_of, play_columns_of
from rec_platform.timetravel.filters import Filter


@dataclass(frozen=True)
class Grain:
    """Contexts for which a feature is the same, title by title: all between two ticks, or all of a country.

    Attributes:
        tick: the distance of the ticks in microseconds.
        apart: each country is apart.
    """

    tick: int
    apart: bool


@dataclass(frozen=True)
class FeatureSet:
    """Facts and encoders. Making one checks it; `ConfigError` names the encoder, the parameter and the repair.

    Attributes:
        facts: what encoders may read; those nobody reads are never computed.
        encoders: one per feature, in the order of the features.
        hidden: encoders that others read but that are no features themselves.
    """

    facts: tuple[Fact, ...]
    encoders: tuple[Encoder, ...]
    hidden: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for fault in faults(self.facts, self.encoders):
            raise fault

    @classmethod
    def standard(cls) -> FeatureSet:
        """The platform's own features (docs/features.md)."""
        return cls(standard.FACTS, standard.ENCODERS)

    @classmethod
    def from_config(cls, config: FeatureConfig) -> FeatureSet:
        """The standard features and those of the user's files, without the ones left out."""
        facts, features = list(standard.FACTS), list(standard.ENCODERS)
        for file in config.files:
            more_facts, more_features = declared_in(Path(file))
            facts += more_facts
            features += more_features
        try:
            whole = cls(tuple(facts), tuple(features))
        except ConfigError as error:
            place = f"{error.place} with {', '.join(config.files)}"
            repair = f"{error.repair} `rec-platform features check FILE` names the line."
            raise ConfigError(error.fault, place=place, repair=repair) from None
        for name in config.leave_out:
            if name not in whole.names:
                raise _unknown(name, whole.names, fault="there is no feature", place="features.leave_out")
        return whole.select([name for name in whole.names if name not in config.leave_out])

    def select(self, names: Sequence[str]) -> FeatureSet:
        """The set of some of its features, in the set's order; `ConfigError` for a name that is not a feature.

        Encoders that those read stay, hidden: computed, but no features.
        """
        for name in names:
            if name not in self._encoders:
                raise _unknown(name, self.names, fault="there is no feature", place="feature set")
        read = {found for name in names for found in self.closure(self._encoders[name])}
        inner = {name for name in read if name not in self._facts and name not in COLUMNS}
        kept = tuple(one for one in self.encoders if one.name in inner or one.name in names)
        facts = tuple(fact for fact in self.facts if fact.name in read)
        return FeatureSet(facts, kept, frozenset(inner - set(names)))

    def closure(self, one: Encoder) -> frozenset[str]:
        """Everything an encoder reads, through other encoders too."""
        found: set[str] = set()
        waiting = list(one.reads)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                if name not in self._facts and name not in COLUMNS:
                    waiting += self._encoders[name].reads
        return frozenset(found)

    @cached_property
    def _facts(self) -> dict[str, Fact]:
        return {fact.name: fact for fact in self.facts}

    @cached_property
    def _encoders(self) -> dict[str, Encoder]:
        return {one.name: one for one in self.encoders}

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in order."""
        return tuple(one.name for one in self.encoders if one.name not in self.hidden)

    @cached_property
    def needed(self) -> tuple[Fact, ...]:
        """The facts that encoders read, in declared order."""
        read = {name for one in self.encoders for name in one.reads}
        return tuple(fact for fact in self.facts if fact.name in read)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters of the facts that encoders read."""
        return filters_of(self.needed)

    @property
    def measures(self) -> tuple[str, ...]:
        """The numeric columns of plays that those facts sum, besides those that every timeline holds."""
        return measures_of(self.needed)

    @property
    def play_columns(self) -> tuple[str, ...]:
        """The columns of plays that those facts read by name."""
        return play_columns_of(self.needed)

    @property
    def columns(self) -> tuple[str, ...]:
        """The context and item columns that encoders read."""
        read = {name for one in self.encoders for name in one.reads if name not in self._facts}
        return tuple(name for name in COLUMNS if name in read)

    @cached_property
    def order(self) -> tuple[Encoder, ...]:
        """The encoders such that each comes after those it reads."""
        done: dict[str, Encoder] = {}
        for one in self.encoders:
            self._visit(one, done)
        return tuple(done.values())

    def _visit(self, one: Encoder, done: dict[str, Encoder]) -> None:
        if one.name in done:
            return
        for name in one.reads:
            if name not in self._facts and name not in COLUMNS:
                self._visit(self._encoders[name], done)
        done[one.name] = one

    def level(self, name: str) -> str:
        """Whether a fact, column or feature has a value per `context` or per `item`."""
        if name in self._facts:
            return self._facts[name].level
        return COLUMNS[name] if name in COLUMNS else self.feature_level(name)

    def feature_level(self, name: str) -> str:
        """Whether a feature has one value per `context` (repeated to its items) or one per `item`."""
        reads = self._encoders[name].reads
        return "item" if any(self.level(read) == "item" for read in reads) else "context"

    def grain_of(self, name: str) -> Grain | None:
        """Of which contexts a feature is the same, title by title.

        None for a feature of contexts, and for one that reads anything else than a title's country and facts as of ticks.
        """
        read = self.closure(self._encoders[name])
        facts = [self._facts[one] for one in read if one in self._facts]
        columns = {one for one in read if one in COLUMNS}
        if self.feature_level(name) == "context" or columns - {c.COUNTRY} or not all(one.by_tick for one in facts):
            return None
        apart = bool(columns) or any(one.entity in APART for one in facts)
        return Grain(min(one.tick_micros for one in facts), apart)

    @cached_property
    def by_grain(self) -> Mapping[Grain | None, FeatureSet]:
        """The set in parts, by `grain_of` their features."""
        found: dict[Grain | None, list[str]] = {}
        for name in self.names:
            found.setdefault(self.grain_of(name), []).append(name)
        return {grain: self.select(names) for grain, names in found.items()}

    @cached_property
    def _steps(self) -> tuple[_Step, ...]:
        """The encoders in order, each with what it reads."""
        return tuple(self._step(one) for one in self.order)

    def _step(self, one: Encoder) -> _Step:
        by_item = self.feature_level(one.name) == "item"
        reads = tuple((name, by_item and self.level(name) == "context") for name in one.reads)
        return _Step(one, reads, one.name not in self.hidden)

    def encode(self, values: Mapping[str, Array], lengths: Array) -> Iterator[tuple[str, Array]]:
        """The features one by one, a number per context or per item as `feature_level` says, in the encoder's own type.

        Args:
            values: facts and columns by name, a value per context or per item as `level` says.
            lengths: the number of items of each context.

        Raises:
            ConfigError: an encoder raised, or returned something that is not a float per row.
            NumericError: an encoder returned an infinity, or a number that is one as float32.
        """
        known, wide = dict(values), {}
        with np.errstate(all="ignore"):
            for step in self._steps:
                arguments = []
                for name, repeated in step.reads:
                    if repeated and name not in wide:
                        wide[name] = np.repeat(known[name], lengths)
                    arguments.append(wide[name] if repeated else known[name])
                result = encoded(step.encoder, arguments)
                known.setdefault(step.encoder.name, result)
                if step.shown:
                    yield step.encoder.name, result

    def to_json(self) -> dict[str, Any]:
        """The declarations without their words: facts that are read, and encoders with what they read."""
        return {
            "facts": [fact.without_words() for fact in self.needed],
            "features": [{"name": one.name, "reads": list(one.reads)} for one in self.encoders],
            "hidden": sorted(self.hidden),
        }

    @cached_property
    def digest(self) -> str:
        """A hash that changes whenever a declaration or the code of an encoder does. Words (`unit`, `about`) change no number."""
        whole = {
            "version": FACTS_VERSION,
            "set": self.to_json(),
            "code": {one.name: one.identity for one in self.encoders},
            "helpers": code_identity(Path(arithmetic.__file__).read_text(encoding="utf-8")),
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class _Step:
    """An encoder, what it reads, each with whether it is repeated from contexts to items, and whether it is a feature."""

    encoder: Encoder
    reads: tuple[tuple[str, bool], ...]
    shown: bool


def faults(facts: Sequence[Fact], features: Sequence[Encoder]) -> Iterator[ConfigError]:
    """Everything that keeps these declarations from being a feature set, each naming its fact or encoder in its place."""
    theirs = {"fact": [fact.name for fact in standard.FACTS], "encoder": [one.name for one in standard.ENCODERS]}
    for kind, names in (("fact", [fact.name for fact in facts]), ("encoder", [one.name for one in features])):
        for name in sorted({name for name in names if names.count(name) > 1}):
            said, repair = f"{kind} {name!r} is declared twice", "Rename one of them."
            if name in theirs[kind]:
                said, repair = f"{kind} {name!r} is the standard set's, too", "Rename yours, or read the standard one."
            yield ConfigError(said, place="feature set", repair=repair)
    for name in sorted(set(COLUMNS) & {fact.name for fact in facts}):
        yield ConfigError(
            f"fact {name!r} has the name of a column", place="feature set", repair="Give it another name."
        )
    ready = {*COLUMNS, *(fact.name for fact in facts)}
    known = list(dict.fromkeys([*(fact.name for fact in facts), *COLUMNS, *(one.name for one in features)]))
    for one in features:
        for name in one.reads:
            if name not in known:
                fault = "no fact, column or encoder is called"
                others = [other for other in known if other != one.name]
                yield _unknown(name, others, fault=fault, place=f"encoder {one.name!r}", columns=tuple(COLUMNS))
    yield from _rings({one.name: [n for n in one.reads if n in known and n not in ready] for one in features})
    if not features:
        yield ConfigError("no features are left", place="feature set", repair="Leave fewer out, or declare some.")


def _rings(reads: Mapping[str, Sequence[str]]) -> Iterator[ConfigError]:
    """Encoders that read each other, each ring once."""
    told: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> Iterator[ConfigError]:
        if name in path:
            ring = path[path.index(name) :]
            if not told & set(ring):
                said = " -> ".join((*ring, name))
                yield ConfigError(f"encoders read each other: {said}", place="feature set", repair="Break the ring.")
            told.update(ring)
        elif name not in done:
            for other in reads[name]:
                yield from walk(other, (*path, name))
            done.add(name)

    done: set[str] = set()
    for name in reads:
        yield from walk(name, ())


def _unknown(
    name: str, known: Sequence[str], *, fault: str, place: str, columns: Sequence[str] = ()
) -> ConfigError:  # fmt: skip
    """A name that nothing has, with the nearest of those known; of these, columns are what `features list` does not list."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    besides = f", and the columns {', '.join(columns)}" if columns else ""
    there = f"There are the {len(set(known) - set(columns))} that `rec-platform features list` lists{besides}."
    return ConfigError(f"{fault} {name!r}", place=place, repair=hint + there)


@dataclass(frozen=True)
class OwnEncoder(Encoder):
    """An encoder of a file of the user's own.

    Attributes:
        code: the identity of the file's code, with that of the modules beside it.
    """

    code: str

    @property
    def identity(self) -> str:
        """What was run: the file may be another one by now."""
        return self.code


def declared_in(file: Path) -> tuple[Sequence[Fact], Sequence[Encoder]]:
    """The facts and encoders that a user's Python file declares, in the order of the file.

    Declared is what a name of the file stands for, alone or in a list or tuple. The file is run, once per content; it may
    import modules of its own folder (own_file.py). Facts and encoders that it takes from those by name are its own, those of
    the platform are not.

    Raises:
        ConfigError: the file is not there, is not Python, raises, or declares nothing.
    """
    return _declared(OwnFile.read(FEATURES, file))


def declarations(value: object) -> list[Fact | Encoder]:
    """The facts and encoders that a value of a module is, or holds in a list or tuple."""
    held = value if isinstance(value, list | tuple) else [value]
    return [one for one in held if isinstance(one, Fact | Encoder)]


@lru_cache(maxsize=64)
def _declared(file: OwnFile) -> tuple[Sequence[Fact], Sequence[Encoder]]:
    module = file.run()
    own = list({id(one): one for value in vars(module).values() for one in declarations(value)}.values())
    standard_facts = set(standard.FACTS)
    facts = tuple(thing for thing in own if isinstance(thing, Fact) and thing not in standard_facts)
    features = tuple(
        OwnEncoder(one.name, one.reads, one.function, one.unit, one.about, file.code)
        if getattr(one.function, "__module__", "").startswith(module.__name__)  # and not, say, `as_is` of a fact
        else one
        for one in own
        if isinstance(one, Encoder) and one not in standard.ENCODERS
    )
    if not facts and not features:
        FEATURES.refuse(file.path, "it declares no facts and no encoders", "See docs/features.md.")
    return facts, features
