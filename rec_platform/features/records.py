"""All of a past but its plays, shared by timelines of parts of the profiles, and the title-side sums that those read.

What a context reads is either its own profile's past or sums per title as of a tick. So a timeline of some profiles' plays,
with the sums beside it, gives their contexts what a timeline of all plays would: `Records` makes such timelines, and the
sums. Whose plays are read where is up to others: bucket by bucket from files (sweep.py), or where a Spark cluster has them
(on_spark.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa

from rec_platform.config import SourceRules
from rec_platform.errors import ConfigError
from rec_platform.features.feature_set import FeatureSet
from rec_platform.timetravel.gathered import Gathering
from rec_platform.timetravel.histories import Histories
from rec_platform.timetravel.kernels import FOREVER, Int32, Int64
from rec_platform.timetravel.log import KEYS, SUMMED, Log, LogReader, Plays, Predicate, batches
from rec_platform.timetravel.timeline import Timeline

#: What the title-side sums may take at once, in bytes.
TICK_BYTES: Final = 1 << 29

#: Title-side sums by the filter whose plays they are of; "" is all plays.
Sides: TypeAlias = Mapping[str, Gathering]
Day = TypeVar("Day", int, date)


@dataclass(frozen=True)
class Reference:
    """What is known of titles, profiles and offers, and the source's rules.

    Attributes:
        titles, profiles, availability: as in rec_platform.tables; no availability rows means the source has none.
        rules: the source's rules.
    """

    titles: pa.Table
    profiles: pa.Table
    availability: pa.Table
    rules: SourceRules


@dataclass(frozen=True)
class Seen:
    """What all plays together say besides what is counted.

    Attributes:
        title_id: int64: the titles that were played, ascending.
        first_visible: int64: when the first play of each became visible.
        countries: where plays were.
    """

    title_id: Int64
    first_visible: Int64
    countries: Sequence[str]


@dataclass(frozen=True)
class Records:
    """See the module.

    Attributes:
        features: what will be read.
        timeline: one of no plays, with the codes of all titles, of all countries and of some profiles, and with when titles
            were first visible.
        predicates: the features' filters, by text.
    """

    features: FeatureSet
    timeline: Timeline
    predicates: Mapping[str, Predicate]

    @classmethod
    def of(cls, features: FeatureSet, seen: Seen, profile_id: Int64, reference: Reference) -> Records:
        """For timelines of the plays of some profiles."""
        reader, ref = LogReader(measures_of(features), {}), reference
        reader.profiles.codes(profile_id)
        reader.titles.codes(seen.title_id)
        reader.countries.codes(pa.array(seen.countries, pa.string()))
        bare = Timeline.of(reader, ref.titles, ref.profiles, ref.availability, rules=ref.rules)
        first_visible = np.full(len(bare.titles), FOREVER, dtype=np.int64)
        first_visible[bare.titles.codes(seen.title_id)] = seen.first_visible
        predicates = {one.text: one.bound(ref.titles, ref.rules) for one in features.filters}
        return cls(features, replace(bare, first_visible=first_visible), predicates)

    def asked(self, at: Int64, countries: Sequence[str], rehearse: Callable[[Timeline], object]) -> Sides:
        """Empty title-side sums, as of the ticks of some instants: those that are asked for while `rehearse` runs.

        It is given a timeline without plays, and does with no contexts what will be done with some.
        """
        n_titles = len(self.timeline.titles)
        sides = {name: Gathering(at, countries, n_titles) for name in ("", *self.predicates)}
        rehearse(self.without_plays(sides))
        return sides

    def take_in(self, plays: Plays, sides: Sides) -> None:
        """Add plays to the sums.

        Raises:
            ConfigError: a play is of a title that was not `Seen`.
            SchemaError: a column of the plays is missing.
        """
        everything, measures = self.timeline, measures_of(self.features)
        for batch in batches(plays):
            log = Log.of(batch, measures, everything.profiles, everything.titles, sides[""].countries)
            _require_known(log.title, "titles")
            sides[""].take_in(log)
            for name, holds in self.predicates.items():
                sides[name].take_in(log.where(np.asarray(holds(batch), dtype=np.bool_)))

    def without_plays(self, sides: Sides) -> Timeline:
        """What is known of titles, countries, profiles and offers, with the title-side sums."""
        return _with_subsets({name: replace(self.timeline, title_side=side) for name, side in sides.items()})

    def of_plays(self, plays: Plays, sides: Sides) -> Timeline:
        """As `without_plays`, with the past that these plays are: all of those of some of the profiles.

        Raises:
            ConfigError: a play is of a title that was not `Seen`, or of a profile that is none of these.
            SchemaError: a column of the plays is missing.
        """
        reader, everything = LogReader(measures_of(self.features), self.predicates), self.timeline
        reader.take_in(plays)
        (profiles, profile), (titles, title) = reader.profiles.ordered(), reader.titles.ordered()
        of_profile, of_title = everything.profiles.codes(profiles.ids), everything.titles.codes(titles.ids)
        _require_known(of_title, "titles")
        _require_known(of_profile, "profiles")
        log = reader.log(of_profile[profile], of_title[title], reader.countries.ordered()[1])
        logs = {"": log, **{name: log.where(mask) for name, mask in reader.masks().items()}}
        return _with_subsets({name: self._of(one, sides[name]) for name, one in logs.items()})

    def _of(self, log: Log, side: Gathering) -> Timeline:
        everything = self.timeline
        histories = Histories.of(log, len(everything.profiles), len(everything.titles))
        return replace(everything, histories=histories, title_side=side, _sweeps={}, _changes={})


def measures_of(features: FeatureSet) -> tuple[str, ...]:
    """The numeric columns of plays that features sum."""
    return (*SUMMED, *features.measures)


def columns_of(features: FeatureSet) -> tuple[str, ...]:
    """The columns of plays that features read."""
    return tuple(dict.fromkeys((*KEYS, *SUMMED, *features.play_columns)))


def bands(days: Sequence[Day], sides: Sides) -> Iterator[Sequence[Day]]:
    """Days, ascending, so many at a time as their ticks may take."""
    many = max(1, TICK_BYTES // max(sum(side.bytes_per_day for side in sides.values()), 1))
    for first in range(0, len(days), many):
        yield days[first : first + many]


def _with_subsets(timelines: dict[str, Timeline]) -> Timeline:
    """The timeline of all plays with those of the filters as its subsets."""
    return replace(timelines.pop(""), subsets=timelines)


def _require_known(codes: Int32, what: str) -> None:
    if (codes < 0).any():
        raise ConfigError(
            f"a later pass over the plays gave {what} that the first did not", place="swept features",
            repair="Give the same plays each time they are read.",
        )  # fmt: skip
