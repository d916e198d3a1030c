"""How often titles were played in a country of late, as known at the last 00:00 UTC before a context."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rec_platform.clock import DAY
from rec_platform.contexts.segments import Ints, run_starts
from rec_platform.timetravel.timeline import Timeline

#: How far back popularity looks, in days.
POPULARITY_DAYS = 28


class TitlePlays:
    """Visible plays of titles in a country over the last `POPULARITY_DAYS` days, as of a tick; looked up in bulk."""

    def __init__(self, timeline: Timeline, country: str, at: int) -> None:
        titles, counts = timeline.country_title_plays(country, at, POPULARITY_DAYS)
        order = np.argsort(titles, kind="stable")
        self.titles: Ints = np.asarray(titles, dtype=np.int64)[order]
        self.counts: Ints = np.asarray(counts, dtype=np.int64)[order]

    def of(self, title_id: Ints) -> Ints:
        """The plays of each title; 0 for a title without any."""
        if not len(self.titles):
            return np.zeros(len(title_id), dtype=np.int64)
        position = np.minimum(np.searchsorted(self.titles, title_id), len(self.titles) - 1)
        return np.where(self.titles[position] == title_id, self.counts[position], 0)


def by_tick(timeline: Timeline, country: npt.NDArray[np.generic], at: Ints) -> Iterator[tuple[Ints, TitlePlays]]:
    """The rows of every country and tick among the contexts, with the popularity that holds for them."""
    timeline.ask_country_title_plays(POPULARITY_DAYS)
    tick, place = at // DAY, np.unique(country.astype(str), return_inverse=True)[1]
    order = np.lexsort((tick, place))
    starts = np.flatnonzero(run_starts(place[order], tick[order]))
    for rows in np.split(order, starts[1:]) if len(order) else []:
        yield rows, TitlePlays(timeline, str(country[rows[0]]), int(tick[rows[0]]) * DAY)
