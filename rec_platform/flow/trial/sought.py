"""Texts that filters look for and that nothing in the home has: `'Drama' in genres` where the data says `drama`."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from rec_platform.flow.trial.trial import Trial
from rec_platform.partition import Partition
from rec_platform.stage import Reader
from rec_platform.tables import PLAY_FACTS, TITLES
from rec_platform.timetravel.declared import Fact
from rec_platform.timetravel.filters import OF_TITLES, Sought

#: Values of a column that are shown, and how many of them for being like what was looked for.
SHOWN: Final = 8
ALIKE: Final = 3


@dataclass(frozen=True)
class Absent:
    """A text that the filter of a fact looks for in vain.

    Attributes:
        there: values of the column: those most like the text, then the most common ones; `of` is how many there are.
    """

    fact: str
    sought: Sought
    there: tuple[str, ...]
    of: int

    def __str__(self) -> str:
        what = "title" if self.sought.column in OF_TITLES else "play"
        place = f"anywhere in its {self.sought.column}" if self.sought.piece else f"in {self.sought.column}"
        more = f" and {self.of - len(self.there):,} more" if self.of > len(self.there) else ""
        have = f"there are: {', '.join(self.there)}{more}" if self.there else "that column is empty"
        return f"{self.fact}: no {what} has {self.sought.text!r} {place}; {have}"

    def to_json(self) -> dict[str, Any]:
        return {
            "fact": self.fact, "column": self.sought.column, "text": self.sought.text, "there": list(self.there), "of": self.of,
        }  # fmt: skip


def sought_in_vain(trial: Trial) -> list[Absent]:
    """What the new features' filters look for in columns in which nothing that was ever delivered has it."""
    looked_for = [(fact.name, one) for fact in trial.features.select(trial.added).needed for one in texts_of(fact)]
    values = _values(trial.reader(trial.first), {one for _, one in looked_for})
    return [
        Absent(name, one, nearest(one.text, values[one.column]), len(values[one.column]))
        for name, one in looked_for
        if not one.met(values[one.column])
    ]


def texts_of(fact: Fact) -> tuple[Sought, ...]:
    """What the fact's filter looks for; nothing if it has none."""
    return () if fact.filter is None else fact.filter.sought


def nearest(text: str, values: Mapping[str, int]) -> tuple[str, ...]:
    """The values most like a text, upper case or lower, then the most common ones.

    >>> nearest("Drama", {"comedy": 9, "crime": 5, "drama": 3})
    ('drama', 'comedy', 'crime')
    """
    folded: dict[str, list[str]] = {}
    for value in values:
        folded.setdefault(value.casefold(), []).append(value)
    like = difflib.get_close_matches(text.casefold(), folded, n=ALIKE)
    common = sorted(values, key=lambda value: (-values[value], value))
    return tuple(dict.fromkeys([*(value for one in like for value in folded[one]), *common]))[:SHOWN]


def _values(reader: Reader, wanted: Iterable[Sought]) -> Mapping[str, Counter[str]]:
    """The values of the columns looked into, with how many rows have each.

    Plays are read from the newest on, and no more of them once all is found.
    """
    of_titles = sorted({one.column for one in wanted if one.column in OF_TITLES})
    found: dict[str, Counter[str]] = {one.column: Counter() for one in wanted}
    if of_titles:
        _count(found, reader.read(TITLES.name, [Partition()], of_titles))
    for plays in _of_plays(reader, sorted(found.keys() - of_titles)):
        _count(found, plays)
        if all(one.met(found[one.column]) for one in wanted if one.column not in of_titles):
            break
    return found


def _of_plays(reader: Reader, columns: Sequence[str]) -> Iterator[pa.Table]:
    for partition in reversed(reader.published(PLAY_FACTS.name) if columns else []):
        yield reader.read(PLAY_FACTS.name, [partition], columns)


def _count(found: Mapping[str, Counter[str]], rows: pa.Table) -> None:
    for name in rows.column_names:
        column = rows.column(name)
        texts = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        for one in pc.value_counts(texts.cast(pa.string()).drop_null()).to_pylist():
            found[name][one["values"]] += one["counts"]
