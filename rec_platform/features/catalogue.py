"""Every fact and feature there is, what each reads, and what each costs, measured.

Costs are CPU-seconds per million item rows, on a sample of contexts with their items. Facts of a kind share a walk, so
there are two honest answers to what one costs:

    alone    nothing else is read: the fact by itself; a feature with all it reads, and its encoder
    added    everything else is read anyway: what leaving the fact out of the whole set saves; of a feature, its encoder

What is set up once per tick (rolling titles forward) is left out: a warm reader is measured, the best of three times.
`state` is what stays in memory for a fact besides plays and reference data as any timeline holds them; `row` is its
output per row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, Final

import numpy as np

from rec_platform import columns as c
from rec_platform.clock import window_text
from rec_platform.features.check import arguments_of, said, values_of
from rec_platform.features.feature_set import FeatureSet
from rec_platform.features.sample import Sample
from rec_platform.timetravel.declared import OF_RECORDS, Fact
from rec_platform.timetravel.reading import DeclaredReader
from rec_platform.timetravel.timeline import countries_of

Row = dict[str, Any]
Progress = Callable[[str, float], None]

_TIMES: Final = 3
_MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Cost:
    """See the module: CPU-seconds per million rows, bytes that stay, bytes per row."""

    alone: float
    added: float
    state: int
    row: int


def catalogue(features: FeatureSet) -> list[Row]:
    """One row per fact that is read and per encoder: what it is, of what, over which window, as of when, from which facts."""
    facts = {fact.name for fact in features.needed}
    rows: list[Row] = [
        {
            "what": "fact", "name": fact.name, "unit": fact.unit, "per": fact.level, "window": _window(fact),
            "as of": f"last full {fact.tick}" if fact.by_tick else "the instant", "reads": said(fact), "facts": [],
            "about": fact.about,
        }
        for fact in features.needed
    ]  # fmt: skip
    for one in features.encoders:
        behind = sorted(features.closure(one) & facts)
        read = [fact for fact in features.needed if fact.name in behind]
        ticks = sorted({f"last full {fact.tick}" for fact in read if fact.by_tick})
        exact = not ticks or not all(fact.by_tick for fact in read) or c.AT in features.closure(one)
        as_of = ", ".join([*(["the instant"] if exact else []), *ticks])
        rows.append(
            {
                "what": "feature", "name": one.name, "unit": one.unit,
                "per": features.feature_level(one.name), "window": "", "as of": as_of,
                "reads": ", ".join(one.reads), "facts": behind, "about": one.about,
            }
        )  # fmt: skip
    return rows


def _window(fact: Fact) -> str:
    if fact.measure in OF_RECORDS:
        return "record"
    return "all time" if fact.window is None else window_text(fact.micros)


def costs(
    features: FeatureSet, sample: Sample, progress: Progress = lambda _what, _share: None
) -> tuple[dict[tuple[str, str], Cost], float]:
    """What each fact that is read and each encoder costs, by (fact or feature, name), and the resolution of it.

    The resolution is how far measurements of the whole before, amid and after the others lie apart; what leaving a fact
    out seems to save and is below it was not told from 0. An encoder is measured by itself, so it has no such bound.
    """
    work, needed, found = _Measured(sample), features.needed, dict[tuple[str, str], Cost]()
    whole, alone, rest = [work.seconds(needed)], dict[str, float](), dict[str, float]()
    steps = len(needed) + len(features.encoders)
    for done, fact in enumerate(needed):
        progress(f"measuring {fact.name}", done / steps)
        alone[fact.name] = work.seconds([fact])
        rest[fact.name] = work.seconds([other for other in needed if other != fact])
        if done in (len(needed) // 2, len(needed) - 1):
            whole.append(work.seconds(needed))
    for fact in needed:
        added = max(min(whole) - rest[fact.name], 0.0)
        found["fact", fact.name] = Cost(alone[fact.name], added, work.state(fact), 8)
    lengths = np.diff(sample.frame.offsets)
    with np.errstate(all="ignore"):
        for done, (one, arguments) in enumerate(arguments_of(features, values_of(features, sample), lengths)):
            progress(f"measuring {one.name}", (len(needed) + done) / steps)
            own = work.per_million(lambda one=one, arguments=arguments: one(*arguments))  # type: ignore[misc]
            behind = [fact for fact in needed if fact.name in features.closure(one)]
            found["feature", one.name] = Cost(own + work.seconds(behind), own, 0, 4)
    return found, max(whole) - min(whole)


@dataclass(frozen=True)
class _Measured:
    """Measurements on one sample."""

    sample: Sample

    def per_million(self, job: Callable[[], Any]) -> float:
        """CPU-seconds of a job, best of `_TIMES`, per million item rows of the sample."""
        best = float("inf")
        for _ in range(_TIMES):
            start = time.process_time()
            job()
            best = min(best, time.process_time() - start)
        return best * _MILLION / max(self.sample.frame.n_items, 1)

    def seconds(self, facts: Sequence[Fact]) -> float:
        """Reading these facts together from a reader that is warm."""
        if not facts:
            return 0.0
        job = self._reading(facts)[1]
        job()
        return self.per_million(job)

    def state(self, fact: Fact) -> int:
        """Bytes of arrays that a timeline and reader hold after reading the fact, beyond what they hold for none."""
        none, (reader, job) = self.sample.timeline(()), self._reading([fact])
        job()
        return max(_held(reader) - _held(none), 0)

    def _reading(self, facts: Sequence[Fact]) -> tuple[object, Callable[[], Any]]:
        frame, timeline = self.sample.frame, self.sample.timeline(facts)
        country = frame.context(c.COUNTRY)
        reader = DeclaredReader(timeline, facts, countries_of(country))
        asked = {"profile_id": frame.context(c.PROFILE), "country": country, "at": frame.context(c.AT),
                 "offsets": frame.offsets, "title_id": frame.item(c.TITLE)}  # fmt: skip
        return (timeline, reader), lambda: reader.read(**asked)


def _held(root: object) -> int:
    """Bytes of all arrays that can be reached from an object, each once."""
    seen: set[int] = set()
    arrays: dict[int, int] = {}
    waiting = [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, np.ndarray):
            whole = thing if thing.base is None or not isinstance(thing.base, np.ndarray) else thing.base
            arrays[id(whole)] = whole.nbytes
        else:
            waiting.extend(_inside(thing))
    return sum(arrays.values())


def _inside(thing: object) -> Iterator[object]:
    if isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, list | tuple | set):
        yield from thing
    elif is_dataclass(thing) or type(thing).__module__.startswith("rec_platform"):
        yield from getattr(thing, "__dict__", {}).values()
