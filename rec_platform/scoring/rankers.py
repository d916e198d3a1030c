"""The rankers of a date as stored, and those of them that raise when contexts are scored: `scores` is made without these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.models.artefact import Artefact, from_rows
from rec_platform.models.contract import Scorer
from rec_platform.models.raising import said, tried
from rec_platform.models.registry import known_rankers, load_scorer
from rec_platform.partition import Partition
from rec_platform.pipeline import Sources
from rec_platform.stage import Reader
from rec_platform.tables import RANKER_MODELS

Floats = npt.NDArray[np.float64]


class StoredRankers(Mapping[str, Scorer]):
    """The rankers published as of a day, by name. Each is loaded when it is first asked for, and may raise then."""

    def __init__(self, artefacts: Mapping[str, Artefact], files: Sequence[str]) -> None:
        self._artefacts, self._files = artefacts, files
        self._loaded: dict[str, Scorer] = {}

    def __getitem__(self, name: str) -> Scorer:
        if name not in self._loaded:
            self._loaded[name] = load_scorer(self._artefacts[name], self._files)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._artefacts))

    def __len__(self) -> int:
        return len(self._artefacts)

    def __contains__(self, name: object) -> bool:
        return name in self._artefacts


def read_rankers(reader: Reader, day: date, *, files: Sequence[str] = ()) -> StoredRankers:
    """The rankers published as of a day by name; none where there were too few days, or nobody published any.

    `files`: those of `[rankers] files`, which read what they made; `ConfigError` for one that cannot be meant.
    """
    if not reader.published(RANKER_MODELS.name, day):
        return StoredRankers({}, files)
    known_rankers(files)
    rows = reader.read(RANKER_MODELS.name, [Partition(day)])
    return StoredRankers(from_rows(rows, place=f"{RANKER_MODELS.name} {day}"), files)


@dataclass(frozen=True)
class Rankers:
    """Rankers that contexts of a day are scored with, each until it raises.

    What one raises when it is loaded or asked for scores, another number of scores than of items and a score that is not
    finite count alike: the partition lacks its scores, and it is not asked about that partition again. Nothing else is
    guarded: not the steps before it, nor what is done with its scores, nor a `StorageFault`.

    Attributes:
        day: the day of the contexts.
        scorers: those that could be loaded, by name.
        unloadable: what loading the others raised, by name.
        raised: by country and name, what scoring raised; filled while contexts are scored.
    """

    day: date
    scorers: Mapping[str, Scorer]
    unloadable: Mapping[str, str] = field(default_factory=dict)
    raised: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, day: date, stored: Mapping[str, Scorer]) -> Rankers:
        loaded = {name: tried(partial(stored.__getitem__, name)) for name in stored}
        scorers = {name: one for name, one in loaded.items() if isinstance(one, Scorer)}
        return cls(day, scorers, {name: said(one) for name, one in loaded.items() if isinstance(one, Exception)})

    def lacks(self, country: str) -> dict[str, str]:
        """The rankers that gave no scores in a country, by name, with what was raised."""
        return {**self.unloadable, **dict(sorted(self.raised.get(country, {}).items()))}

    def apply(self, scorer: Scorer, frame: Frame, sources: Sources) -> Frame:
        """The frame with a ranker's scores; 0 where it raised, in this frame or in one of the country before it.

        A frame may hold contexts of several countries. Where it raises they are asked about one by one, so that it is missing
        where it raises and nowhere else, in whatever company contexts are scored.
        """
        scores, places = np.zeros(frame.n_items), _countries(frame)
        asked = [place for place in places if scorer.name not in self.raised.get(place, {})]
        if len(places) > 1 and len(asked) == len(places):
            whole = tried(partial(_scores, scorer, frame, sources))
            if not isinstance(whole, Exception):
                return frame.with_scores({scorer.name: whole})
        for place in asked:
            items, part = (slice(None), frame) if len(places) == 1 else _of_country(frame, place)
            found = tried(partial(_scores, scorer, part, sources))
            if isinstance(found, Exception):
                self.raised.setdefault(place, {})[scorer.name] = said(found)
            else:
                scores[items] = found
        return frame.with_scores({scorer.name: scores})


def _countries(frame: Frame) -> list[str]:
    """Those of contexts that have items; nobody is asked for the scores of nothing."""
    filled = frame.contexts.column(c.COUNTRY).filter(np.diff(frame.offsets) > 0)
    found: list[str] = pc.unique(filled).to_pylist()
    return found


def _of_country(frame: Frame, place: str) -> tuple[npt.NDArray[np.bool_], Frame]:
    """Which items are of a country, and its contexts."""
    mine = np.asarray(pc.equal(frame.contexts.column(c.COUNTRY), place))
    return np.repeat(mine, np.diff(frame.offsets)), frame.take(np.flatnonzero(mine))


def _scores(scorer: Scorer, frame: Frame, sources: Sources) -> Floats:
    """A ranker's scores. What it writes into the offsets before it raises stays with it."""
    lent = replace(frame, offsets=frame.offsets.copy())
    return np.asarray(scorer.apply(lent, sources).scores.column(scorer.name), dtype=np.float64)
