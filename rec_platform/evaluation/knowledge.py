"""What is known of titles and profiles as of the day, which numbers about lists compare them with.

A title without a genre has the genre `unknown`, and so is like another without one. Popularity is the share of plays, one
added to each title's count so that a title nobody played yet has one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from rec_platform.errors import SchemaError
from rec_platform.evaluation.ties import Bools, Floats, Ints

UNKNOWN: Final = "unknown"
#: How a score tells a probability: it is one, or it is the logarithm of the odds.
PROBABILITY, LOG_ODDS = "probability", "log_odds"


@dataclass(frozen=True)
class TitleFacts:
    """T titles as of the day.

    Attributes:
        titles: int64, ascending.
        plays: int64, T values: plays in the window that popularity is measured on; None if not known.
        offsets, codes: int64: title i has the genres names[codes[offsets[i]:offsets[i + 1]]], at least one.
        names: the genres; `unknown` is the last.
    """

    titles: Ints
    plays: Ints | None
    offsets: Ints
    codes: Ints
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, plays: Mapping[int, int] | None = None, genres: Mapping[int, Iterable[str]] | None = None
    ) -> TitleFacts:
        """From plays and genres by title id; a title that only one of them names has 0 plays, or unknown genres.

        >>> TitleFacts.of({7: 3}, {8: ["drama"]}).names
        ('drama', 'unknown')
        """
        genres = genres or {}
        titles = np.array(sorted({*(plays or {}), *genres}), dtype=np.int64)
        names = (*sorted({name for some in genres.values() for name in some} - {UNKNOWN}), UNKNOWN)
        place = {name: code for code, name in enumerate(names)}
        lists = [
            sorted({place[name] for name in genres.get(title, ())}) or [len(names) - 1] for title in titles.tolist()
        ]
        offsets = np.append(0, np.cumsum([len(one) for one in lists])).astype(np.int64)
        counts = None if plays is None else np.array([plays.get(title, 0) for title in titles.tolist()], dtype=np.int64)
        codes = np.array([code for one in lists for code in one], dtype=np.int64)
        return cls(titles, counts, offsets, codes, names)

    def with_plays(self, titles: Ints, plays: Ints) -> TitleFacts:
        """The same titles and these, with plays: 0 for a title without any; genre `unknown` for one not known before.

        >>> TitleFacts.of(genres={8: ["drama"]}).with_plays(np.array([7]), np.array([3])).plays.tolist()
        [3, 0]
        """
        both = np.union1d(self.titles, titles)
        position, codes = self.genres(both)
        offsets = np.append(0, np.cumsum(np.bincount(position, minlength=len(both))))
        counts = np.zeros(len(both), dtype=np.int64)
        counts[np.searchsorted(both, titles)] = plays
        return TitleFacts(both, counts, offsets, codes, self.names)

    def rows(self, titles: Ints) -> Ints:
        """The row of each title; -1 for one that is not known."""
        if not len(self.titles):
            return np.full(len(titles), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.titles, titles), len(self.titles) - 1)
        return np.where(self.titles[place] == titles, place, -1)

    def popularity(self, titles: Ints) -> Floats:
        """(plays + 1) / (all plays + T + 1): float64, one value per title; one that is not known has no plays."""
        if self.plays is None:
            raise SchemaError("plays of titles are not known", place="TitleFacts", repair="Give it plays.")
        rows = self.rows(titles)
        counts = np.where(rows < 0, 0, self.plays[rows]) if len(self.plays) else np.zeros(len(titles), dtype=np.int64)
        return np.asarray((counts + 1.0) / (self.plays.sum() + len(self.titles) + 1.0))

    def genres(self, titles: Ints) -> tuple[Ints, Ints]:
        """Pairs (position in `titles`, genre), by position."""
        rows = self.rows(titles)
        offsets = np.append(self.offsets, self.offsets[-1] + 1)  # row -1 is a title of one genre, `unknown`
        codes = np.append(self.codes, len(self.names) - 1)
        lengths = (offsets[1:] - offsets[:-1])[rows]
        starts = np.repeat(offsets[:-1][rows] - (np.cumsum(lengths) - lengths), lengths)
        return np.repeat(np.arange(len(titles)), lengths), codes[starts + np.arange(lengths.sum())]


@dataclass(frozen=True)
class Tastes:
    """What F profiles played before the day.

    Attributes:
        profiles: int64, ascending: those with a play.
        popularity: float64, F values: the mean popularity of the titles played, each play counting once.
        genres: float64 of shape (F, G): the share of each genre; a play of a title with g genres gives each 1/g.
    """

    profiles: Ints
    popularity: Floats
    genres: Floats

    @classmethod
    def of(cls, facts: TitleFacts, profile: Ints, title: Ints) -> Tastes:
        """From plays: the profile and the title of each."""
        profiles, row = np.unique(profile, return_inverse=True)
        plays = np.bincount(row, minlength=len(profiles)).astype(np.float64)
        shares = np.zeros((len(profiles), len(facts.names)))
        play, genre = facts.genres(title)
        each = 1.0 / np.bincount(play, minlength=len(title))
        np.add.at(shares, (row[play], genre), each[play])
        mean = (
            np.bincount(row, weights=facts.popularity(title), minlength=len(profiles)) / plays
            if facts.plays is not None and len(plays)
            else np.zeros(len(profiles))
        )
        return cls(profiles.astype(np.int64), mean, shares / plays[:, None])

    def rows(self, profiles: Ints) -> Ints:
        """The row of each profile; -1 for one without a play."""
        if not len(self.profiles):
            return np.full(len(profiles), -1, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.profiles, profiles), len(self.profiles) - 1)
        return np.where(self.profiles[place] == profiles, place, -1)

    def known(self, profiles: Ints) -> Bools:
        return self.rows(profiles) >= 0


@dataclass(frozen=True)
class Knowledge:
    """What `evaluate` is told besides the scores; what is not given leaves out the metrics that need it.

    Attributes:
        titles: plays and genres of titles.
        tastes: what profiles played before.
        scales: model -> `probability` or `log_odds`, for models whose scores are probabilities.
        expected: the model whose lists count as expected in `serendipity`.
    """

    titles: TitleFacts | None = None
    tastes: Tastes | None = None
    scales: Mapping[str, str] = field(default_factory=dict)
    expected: str = "popularity"


NOTHING: Final = Knowledge()
