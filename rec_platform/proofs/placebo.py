"""Too good to be true: features that know more of the future than the past can tell, whatever their timestamps say.

A count over the whole period stands in a file with a date long before, so no rule about instants sees it. It shows in what
it knows. At one instant T, per title:

    v   the feature's value as of T, averaged over some profiles' contexts (their own values for a title differ little in rank)
    F   plays of the title in the days after T: the label
    H   what anybody could know at T: plays over 1, 7, 28, 90 days and ever, engaged plays, seconds, days since the first and
        the last play, counted straight from the plays

    knows = corr(v - E[v | H], F - E[F | H])            partial correlation of ranks, E linear in H, H^2, H^3

An honest feature is made of the past, so given H it knows next to nothing; a count that includes F knows much. The verdict
takes the low end of its 99.9 % interval (Fisher's z, n titles), so a small catalogue is given the benefit of the doubt.

Of some countries: F and the profiles asked are theirs, and H counts their plays beside everybody's. A feature may know either
past (plays of the title in the country, plays anywhere), so without both an honest one would know what H does not say.

Beside it stand three things that say what kind of leak it is:

    placebo     the same with the label moved before T: plays of the one day [T - 1 day, T), given what was known at
                T - 1 day, with v as of T - 1 day. Another instant, the same law: a leak shows in both
    permuted    the same with F dealt anew among titles: 0 but for chance, or the measure itself is wrong
    jump        knows with v as of T + 1 day minus knows with v as of T, for the plays of that one day: an honest count
                jumps when the cut moves past the label; a leak has no reason to (it knew already, or it never moves)

and, for titles never played before T, the plain rank correlation of v with F (`new`). It is shown, not judged: a release
date announced in time knows honestly that nobody plays a title before it.
Yule (1907) for partial correlation; Fisher (1924) for its interval: n is reduced by the number of controls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, day_of
from rec_platform.config import Settings
from rec_platform.contexts.extension import FeatureExtension
from rec_platform.contexts.hashing import mix, seeded
from rec_platform.contexts.stage import read_timeline
from rec_platform.contexts.tagger import Tagger
from rec_platform.dmc12.frame import Frame
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.pipeline import Pipeline, Sources, Transformer
from rec_platform.proofs.verdict import Finding, not_judged
from rec_platform.stage import Reader
from rec_platform.tables import INSTANT, PLAY_FACTS, WINDOWS

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: A feature leaks if, with 99.9 % confidence, it knows more than this; docs/decisions/0067 has the evidence.
KNOWS: Final = 0.10
#: Of fewer titles that nobody had played before nothing is said: two of them correlate by 1 or -1, whatever the feature.
MIN_NEW: Final = 10
#: What the columns of the table of features say.
LEGEND: Final = {
    "knows": "correlation with the plays of the days after, beyond what the past tells (-1 to 1)",
    "low": f"its size at least, with 99.9 % confidence; above {KNOWS:.2f} the feature leaks",
    "placebo": "the same a day earlier, of the plays of that one day",
    "permuted": "the same with the plays dealt anew among titles: 0 but for chance",
    "jump": "how much more the feature knows of the first day once that day is over",
    "new": f"rank correlation for titles nobody had played before, where there are {MIN_NEW} or more",
    "titles": "with a past, over which all of this is measured",
}
#: Standard errors of a 99.9 % one-sided interval.
CONFIDENT: Final = 3.09
#: With fewer titles, or fewer beyond the controls that H takes, nothing is judged.
MIN_TITLES: Final = 60
MIN_FREE: Final = 20
#: Of more titles, this many are drawn by hash: then 99.9 % of chance is within 0.022, and what it costs has a bound.
MOST_TITLES: Final = 20_000
#: Profiles whose contexts a title's value is averaged over, and days after T that are the label.
PROFILES_ASKED: Final = 32
LABEL_DAYS: Final = 7


@dataclass(frozen=True)
class Plays:
    """All plays of a log, by row: which title (code), who, when, known when, how long, engaged.

    Attributes:
        here: whether the play is of the countries looked at; all are, where none were named.
    """

    titles: Ints
    title: Ints
    profile: Ints
    country: npt.NDArray[np.object_]
    here: npt.NDArray[np.bool_]
    played: Ints
    known: Ints
    watched: Ints
    engaged: Ints

    @classmethod
    def of(cls, rows: pa.Table, countries: Sequence[str] = (), *, seed: int = 0, at_most: int = MOST_TITLES) -> Plays:
        """Of at most so many titles, drawn by hash; `countries`: all if none is named."""
        ids = _ints(rows, c.TITLE)
        titles = np.unique(ids)
        if len(titles) > at_most:
            titles = np.sort(titles[np.argsort(mix(seeded(seed, purpose="placebo titles"), titles))[:at_most]])
            rows = rows.filter(pa.array(np.isin(ids, titles)))
        title = np.searchsorted(titles, _ints(rows, c.TITLE))
        country = np.asarray(rows.column(c.COUNTRY).to_pylist(), dtype=object)
        here = np.isin(country, countries) if countries else np.ones(len(country), dtype=bool)
        names = (c.PROFILE, c.PLAYED_AT, c.KNOWN_AT, c.WATCHED_MS, c.ENGAGED)
        profile, played, known, watched, engaged = (_ints(rows, name) for name in names)
        return cls(titles, title, profile, country, here, played, known, watched, engaged)

    def between(self, first: int, end: int) -> Floats:
        """Plays here per title that begin in [first, end), known whenever."""
        inside = self.here & (self.played >= first) & (self.played < end)
        return np.bincount(self.title[inside], minlength=len(self.titles)).astype(np.float64)

    def past(self, at: int) -> npt.NDArray[np.bool_]:
        """Which plays here anybody could know at an instant."""
        return self.here & (self.played < at) & (self.known < at)

    def known_facts(self, at: int) -> Floats:
        """H: one row per title, what anybody could know at an instant; of the plays here, then of all if that is more."""
        seen = (self.played < at) & (self.known < at)
        parts = [seen] if self.here.all() else [self.past(at), seen]
        return np.concatenate([self._counted(at, part) for part in parts], axis=1)

    def _counted(self, at: int, seen: npt.NDArray[np.bool_]) -> Floats:
        n = len(self.titles)
        counts = [_summed(self.title, seen & (self.played >= at - days * DAY), None, n) for days in WINDOWS]
        ever = [_summed(self.title, seen, values, n) for values in (None, self.engaged, self.watched)]
        first, last = np.full(n, at), np.zeros(n, dtype=np.int64)
        np.minimum.at(first, self.title[seen], self.played[seen])
        np.maximum.at(last, self.title[seen], self.played[seen])
        rates = [_per(ever[1], ever[0]), _per(ever[2], ever[0])]
        return np.stack([*counts, *ever, *rates, at - first, at - last], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Knowledge:
    """What one feature knows of the plays after an instant; see the module. NaN: it has nothing that H does not explain.

    Attributes:
        titles: with a past.
        free: of these, beyond the controls that H takes.
    """

    feature: str
    knows: float
    low: float
    placebo: float
    permuted: float
    jump: float
    new: float
    titles: int
    free: int

    @property
    def leaks(self) -> bool:
        return self.low > KNOWS

    def row(self) -> dict[str, Any]:
        numbers = {
            name: round(getattr(self, name), 3) for name in ("knows", "low", "placebo", "permuted", "jump", "new")
        }
        return {"feature": self.feature, **numbers, "titles": self.titles, "leaks": self.leaks}


def ranks(values: Floats) -> Floats:
    """Mean ranks in (0, 1), ties sharing theirs; NaN ranks below all numbers.

    >>> ranks(np.array([3.0, np.nan, 3.0, 9.0])).tolist()
    [0.5, 0.125, 0.5, 0.875]
    """
    filled = np.where(np.isnan(values), -np.inf, values)
    _, inverse, counts = np.unique(filled, return_inverse=True, return_counts=True)
    upto = np.cumsum(counts)
    return np.asarray(((upto - (counts - 1) / 2 - 0.5) / len(values))[inverse])


def controls(known: Floats) -> Floats:
    """An orthonormal basis of what the known facts explain: their ranks to the third power, and 1."""
    r = np.stack([ranks(column) for column in known.T], axis=1) - 0.5
    whole = np.concatenate([np.ones((len(r), 1)), r, r**2, r**3], axis=1)
    u, s, _ = np.linalg.svd(whole, full_matrices=False)
    return np.asarray(u[:, s > 1e-9 * s[0]])


def partial(values: Floats, target: Floats, basis: Floats) -> float:
    """Partial correlation of ranks given a basis of controls; NaN where one of them is wholly explained."""
    left = [_left(ranks(one), basis) for one in (values, target)]
    size = [float(one @ one) for one in left]
    if min(size) < 1e-9 * len(values):
        return math.nan
    return float(left[0] @ left[1]) / math.sqrt(size[0] * size[1])


def low_end(correlation: float, n: int, n_controls: int) -> float:
    """How large a correlation is at least, with 99.9 % confidence; at least 0 (Fisher's z).

    >>> round(low_end(0.2, 5000, 20), 3), low_end(0.2, 100, 20)
    (0.158, 0.0)
    """
    if math.isnan(correlation) or n - n_controls <= 4:
        return 0.0
    z = math.atanh(min(abs(correlation), 1 - 1e-12)) - CONFIDENT / math.sqrt(n - n_controls - 3)
    return max(0.0, math.tanh(z))


def knowledge(
    plays: Plays, at: int, values: Mapping[int, Mapping[str, Floats]], *, label_days: int, seed: int
) -> list[Knowledge]:
    """What each feature knows, the most knowing first.

    Args:
        at: T.
        values: features as of T - 1 day, T and T + 1 day (by that instant), one value per title of `plays.titles`.
        label_days: days after T that are the label.
    """
    now, before = _Moment.of(plays, at, label_days), _Moment.of(plays, at - DAY, 1)
    day = _Moment.of(plays, at, 1)
    dealt = np.random.default_rng(seed).permutation(now.label)
    n, n_controls = now.basis.shape
    found = []
    for name, v in values[at].items():
        knows, on_day = now.knows(v), day.knows(v)
        after = day.knows(values[at + DAY][name])
        new = _plain(v[now.fresh], plays.between(at, at + label_days * DAY)[now.fresh])
        found.append(
            Knowledge(
                name, knows, low_end(knows, n, n_controls), before.knows(values[at - DAY][name]),
                partial(v[now.seen], dealt, now.basis), after - on_day, new, n, n - n_controls,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (-np.nan_to_num(one.low), -np.nan_to_num(abs(one.knows)), one.feature))


@dataclass(frozen=True)
class _Moment:
    """Titles with a past here at an instant: which, the label after it, and what their past explains."""

    seen: npt.NDArray[np.bool_]
    fresh: npt.NDArray[np.bool_]
    label: Floats
    basis: Floats

    @classmethod
    def of(cls, plays: Plays, at: int, days: int) -> _Moment:
        known = plays.known_facts(at)
        seen = known[:, len(WINDOWS)] > 0
        return cls(seen, ~seen, plays.between(at, at + days * DAY)[seen], controls(known[seen]))

    def knows(self, values: Floats) -> float:
        return partial(values[self.seen], self.label, self.basis)


def values_of_titles(frame: Frame, n_titles: int) -> dict[str, Floats]:
    """Each feature's mean per title, over the contexts of a frame in which every context holds all titles in order."""
    out = {}
    for name in frame.features.column_names:
        table = np.asarray(frame.features.column(name), dtype=np.float64).reshape(-1, n_titles)
        filled = ~np.isnan(table)
        n = filled.sum(axis=0)
        out[name] = np.where(n > 0, np.where(filled, table, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)
    return out


def everybody_asked(plays: Plays, at: int, as_of: int, seed: int) -> Frame:
    """Contexts of some profiles active here before `at` (there are some), at `as_of`, each holding every title of the log."""
    recent = np.flatnonzero(plays.past(at))
    drawn = mix(seeded(seed, purpose="placebo"), plays.profile[recent])
    _, first = np.unique(drawn, return_index=True)
    rows = recent[first[:PROFILES_ASKED]]
    n, m = len(rows), len(plays.titles)
    contexts = pa.table(
        {
            c.PROFILE: plays.profile[rows],
            c.COUNTRY: pa.array(list(plays.country[rows]), pa.string()),
            c.CONTEXT_ID: np.arange(n),
            c.AT: pa.array(np.full(n, as_of)).cast(INSTANT),
            c.DEVICE: pa.array(["unknown"] * n, pa.string()),
        }
    )
    return Frame.of(contexts, np.arange(n + 1) * m, items={c.TITLE: np.tile(plays.titles, n)})


def examined(
    reader: Reader, settings: Settings, extension: FeatureExtension, at: int, *,
    until: int, countries: Sequence[str] = (), planted: Sequence[Transformer] = (),
) -> Finding:  # fmt: skip
    """Examine every feature of the settings, and those of added steps, at T.

    Args:
        reader: knows all plays, records and candidate models.
        at: T, a midnight with plays before and after it.
        until: the label ends here at the latest.
        countries: whose plays are the label, and whose profiles are asked; all if none is named.
        planted: further steps, to see that they are caught.
    """
    log = reader.read(PLAY_FACTS.name, reader.published(PLAY_FACTS.name), _COLUMNS)
    plays = Plays.of(log, countries, seed=settings.seed)
    n_titles = pc.count_distinct(log.column(c.TITLE)).as_py()
    if not plays.past(at - DAY).any():
        return not_judged(f"nobody had played before {day_of(at - DAY)}, and features need a past")
    label_days = max(1, min(LABEL_DAYS, (until - at) // DAY))
    timeline = read_timeline(reader, settings, until=reader.last_day)
    instants = (at - DAY, at, at + DAY)
    added, sources = extension.steps(reader, [day_of(one) for one in instants], settings)
    generator = FeatureGenerator(FeatureSet.from_config(settings.features))
    pipeline = Pipeline([Tagger(), generator, *added, *planted])
    values = {
        one: values_of_titles(
            pipeline.apply(everybody_asked(plays, at - DAY, one, settings.seed), Sources(timeline, *sources)),
            len(plays.titles),
        )
        for one in instants
    }
    found = verdict(knowledge(plays, at, values, label_days=label_days, seed=settings.seed), at, label_days)
    return found._replace(drawn=len(plays.titles), drawn_of=n_titles)


def verdict(found: Sequence[Knowledge], at: int, label_days: int) -> Finding:
    rows = tuple(one.row() for one in found)
    last = day_of(at) + timedelta(days=label_days - 1)
    over = f"the plays of {day_of(at)}" + (f" to {last}" if label_days > 1 else "")
    n, free = (min((getattr(one, name) for one in found), default=0) for name in ("titles", "free"))
    needed = max(MIN_TITLES, n - free + MIN_FREE)
    if n < needed:
        return not_judged(f"{n} titles have a past, {needed} are needed", rows)
    leaking = [one for one in found if one.leaks]
    if leaking:
        said = ", ".join(f"{one.feature} (at least {one.low:.2f})" for one in leaking[:5])
        return Finding(
            False,
            f"{len(leaking)} of {len(found)} features know {over} beyond what {n} titles' past tells: {said}",
            rows,
        )
    best = found[0]
    most = (
        "none says more"
        if math.isnan(best.knows)
        else f"most: {best.feature} {best.knows:+.3f}, at least {best.low:.2f}"
    )
    return Finding(True, f"{len(found)} features know of {over} what {n} titles' past tells; {most}", rows)


_COLUMNS: Final = (c.PROFILE, c.TITLE, c.PLAYED_AT, c.KNOWN_AT, c.WATCHED_MS, c.ENGAGED, c.COUNTRY)


def _left(values: Floats, basis: Floats) -> Floats:
    return np.asarray(values - basis @ (basis.T @ values))


def _plain(values: Floats, target: Floats) -> float:
    """Rank correlation; NaN where one of them has a single value, and of fewer than `MIN_NEW`."""
    if len(values) < MIN_NEW:
        return math.nan
    return partial(values, target, np.full((len(values), 1), 1 / math.sqrt(len(values))))


def _summed(title: Ints, rows: npt.NDArray[np.bool_], values: Ints | None, n: int) -> Floats:
    weights = None if values is None else values[rows].astype(np.float64)
    return np.bincount(title[rows], weights=weights, minlength=n).astype(np.float64)


def _per(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def _ints(rows: pa.Table, name: str) -> Ints:
    return np.asarray(pc.cast(rows.column(name), pa.int64())).astype(np.int64)


__all__ = [
    "KNOWS", "Knowledge", "Plays", "controls", "examined", "knowledge", "low_end", "partial",
    "ranks", "values_of_titles", "verdict",
]  # fmt: skip
