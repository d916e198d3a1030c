"""New features over the items of training sets: what they look like, and their ranking power alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.checks.leak import RankingPower, context_auc, own_play, pairs_of, play_keys, verdict
from rec_platform.contexts.stage import read_timeline
from rec_platform.dmc12.frame import Frame, concat
from rec_platform.evaluation.bootstrap import weights_of_contexts
from rec_platform.evaluation.intervals import TAILS
from rec_platform.flow.run import Progress, quiet
from rec_platform.flow.trial.trial import Trial, published, read_frame, with_added, without_features
from rec_platform.models.contract import Floats, Ids
from rec_platform.pipeline import Sources
from rec_platform.stage import Reader
from rec_platform.tables import PLAY_FACTS

Array = npt.NDArray[Any]
Row = dict[str, Any]

QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS: Final = 24
#: Rank correlation from which on two features are called the same.
DUPLICATE: Final = 0.999
#: Rows that correlations are measured on, evenly spread.
CORRELATED_ROWS: Final = 50_000
#: Replicates of the bootstrap behind the interval of an AUC.
REPLICATES: Final = 200


@dataclass(frozen=True)
class Examined:
    """A new feature over the items of training sets.

    Attributes:
        name, unit, about: of its encoder.
        rows: items looked at; `missing`, `zero` and `distinct` are the share NaN, the share 0, and how many values.
        quantiles: at `QUANTILES`, of the values that are there.
        edges, engaged, others: a histogram: shares of the engaged items, and of all others, per bin; values beyond the
            outermost edges count in the outermost bins.
        like, correlation: the stored feature it orders items most like, and Spearman's rank correlation with it.
        auc: by country, and under "" of all: (value, low, high, contexts); NaN bounds are no verdict.
        flags: what should be looked at before the feature is used.
    """

    name: str
    unit: str
    about: str
    rows: int
    missing: float
    zero: float
    distinct: int
    quantiles: tuple[float, ...]
    edges: Floats
    engaged: Floats
    others: Floats
    like: str
    correlation: float
    auc: Mapping[str, tuple[float, float, float, int]]
    flags: tuple[str, ...]

    def to_json(self) -> Row:
        plain = {name: value for name, value in vars(self).items() if name not in ("edges", "engaged", "others", "auc")}
        arrays = {name: getattr(self, name).tolist() for name in ("edges", "engaged", "others")}
        auc = {
            country or "all": dict(
                zip(("value", "low", "high", "contexts"), (*map(_null, numbers[:3]), numbers[3]), strict=True)
            )
            for country, numbers in self.auc.items()
        }
        return {**plain, "quantiles": dict(zip(map(str, QUANTILES), map(_null, self.quantiles), strict=True)), **arrays,
                "correlation": _null(self.correlation), "auc_sampled": auc}  # fmt: skip


def examined(trial: Trial, progress: Progress = quiet) -> list[Examined]:
    """Each new feature over the training sets of the trial's days and countries.

    Raises `MissingInput` where no training set of those days and countries is published.
    """
    reader = trial.reader(trial.first)
    parts = [part for part in published(reader, trial.days) if part.country in trial.countries]
    stored = []
    for done, part in enumerate(parts):
        progress(f"training sets: {part.key}", 0.4 * done / len(parts))
        stored.append(read_frame(reader, part))
    frame = concat([without_features(one) for one in stored])
    progress("computing the new features", 0.4)
    timeline = read_timeline(reader, trial.settings, until=trial.last, features=trial.features.select(trial.added))
    made = with_added(trial, frame, Sources(timeline))
    spread = _spread(frame.n_items)
    beside = _stored_features(stored).take(pa.array(spread))
    beside = beside.select([name for name in beside.column_names if name not in trial.added])
    plays = _own_plays(reader, trial)
    found = []
    for done, name in enumerate(trial.added):
        progress(f"judging {name}", 0.7 + 0.3 * done / len(trial.added))
        found.append(_judged(trial, name, made, spread, beside, plays))
    return found


def _stored_features(stored: Sequence[Frame]) -> pa.Table:
    """The features of all their items; a partition without contexts was published without columns of features."""
    return concat([one for one in stored if one.n_items] or stored).features


def _spread(rows: int) -> Ids:
    """Rows that correlations are measured on."""
    return (
        np.unique(np.linspace(0, rows - 1, min(rows, CORRELATED_ROWS)).astype(np.int64))
        if rows
        else np.zeros(0, np.int64)
    )


def _own_plays(reader: Reader, trial: Trial) -> Array:
    """Keys of the plays of the trial's days: what a context began with is no feature's business."""
    wanted = [part for part in reader.published(PLAY_FACTS.name) if trial.first <= part.day <= trial.last]
    table = reader.read(PLAY_FACTS.name, wanted, (c.PROFILE, c.PLAYED_AT, c.TITLE))
    return play_keys(*(table.column(n).cast(pa.int64()).to_numpy() for n in (c.PROFILE, c.PLAYED_AT, c.TITLE)))


def _judged(trial: Trial, name: str, frame: Frame, spread: Ids, beside: pa.Table, plays: Array) -> Examined:
    values = np.asarray(frame.features.column(name).to_numpy(), dtype=np.float64)
    positive = np.asarray(frame.item(c.LABEL)) > 0
    there = values[~np.isnan(values)]
    like, correlation, same = _most_like(values[spread], beside)
    edges, engaged, others = _histogram(values, positive)
    leaking, words = _leak(name, values, frame, positive, plays)
    one = next(encoder for encoder in trial.features.encoders if encoder.name == name)
    per_context = trial.features.feature_level(name) == "context"
    flags = [
        *(["missing everywhere"] if not len(there) else []),
        *(["constant"] if len(there) and there.min() == there.max() else []),
        *([f"orders items as {like} does"] if same else []),
        *(["one value per context: tells titles apart only together with other features"] if per_context else []),
        *([f"too good: {words}"] if leaking else []),
    ]
    return Examined(
        name, one.unit, one.about, len(values), _share(np.isnan(values)), _share(values == 0), len(np.unique(there)),
        tuple(np.quantile(there, QUANTILES).tolist()) if len(there) else (np.nan,) * len(QUANTILES),
        edges, engaged, others, like, correlation, _aucs(trial, values, frame, positive), tuple(flags),
    )  # fmt: skip


def _share(flags: Array) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _histogram(values: Floats, positive: Array) -> tuple[Floats, Floats, Floats]:
    """Edges, and the shares of engaged and of other items per bin; missing values are in none."""
    there = ~np.isnan(values)
    if not there.any():
        return np.zeros(0), np.zeros(0), np.zeros(0)
    low, high = np.quantile(values[there], (0.005, 0.995))
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    inside = np.clip(values, edges[0], edges[-1])
    parts = [np.histogram(inside[there & of], edges)[0] / max(int(of.sum()), 1) for of in (positive, ~positive)]
    return edges, parts[0], parts[1]


def _most_like(mine: Floats, beside: pa.Table) -> tuple[str, float, bool]:
    """The stored feature most like this one, Spearman's correlation with it, and whether a ranker could tell them apart."""
    best: tuple[str, float, bool] = ("", float("nan"), False)
    for other in beside.column_names:
        theirs = np.asarray(beside.column(other).to_numpy(), dtype=np.float64)
        both = ~np.isnan(mine) & ~np.isnan(theirs)
        found = spearman(mine[both], theirs[both])
        if not np.isnan(found) and not abs(found) <= abs(best[1]):
            alike = bool(abs(found) >= DUPLICATE and (np.isnan(mine) == np.isnan(theirs)).mean() >= DUPLICATE)
            best = (other, found, alike)
    return best


def spearman(left: Floats, right: Floats) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; NaN where a side is constant or empty.

    >>> round(spearman(np.array([1.0, 2.0, 3.0]), np.array([9.0, 9.5, 30.0])), 6)
    1.0
    """
    if len(left) < 2:
        return float("nan")
    a, b = _ranks(left), _ranks(right)
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else float("nan")


def _ranks(values: Floats) -> Floats:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[which])


def _leak(name: str, values: Floats, frame: Frame, positive: Array, plays: Array) -> tuple[dict[str, float], str]:
    """The verdict of the check `too_good_feature` on this feature."""
    own = own_play(
        frame.item(c.TITLE).astype(np.int64),
        frame.context_of_item,
        frame.context(c.PROFILE),
        frame.context(c.AT),
        plays,
    )
    powers = [RankingPower.of({name: values}, target, frame.offsets) for target in (positive, own)]
    return verdict(powers)


def _aucs(trial: Trial, values: Floats, frame: Frame, positive: Array) -> dict[str, tuple[float, float, float, int]]:
    """Mean AUC inside contexts, of all countries ("") and of each, with 95 % intervals by profile.

    The items are a context's training items, its unplayed ones drawn, so the number is about that draw: `auc_sampled`.
    Contexts weigh 1 / inclusion probability. Missing values stand at whichever end ranks more, the same in every context.
    """
    pairs = pairs_of(positive, frame.offsets)
    counts = np.diff(np.concatenate([[0], np.cumsum(positive)])[frame.offsets])
    held = np.flatnonzero((counts > 0) & (counts < np.diff(frame.offsets)))
    ends = [context_auc(np.where(np.isnan(values), end, values), pairs) for end in (-np.inf, np.inf)]
    auc = max(ends, key=lambda one: abs(float(one.mean()) - 0.5)) if len(held) else np.zeros(0)
    weight = 1.0 / np.asarray(frame.context(c.INCLUSION_PROBABILITY), dtype=np.float64)[held]
    draws = weights_of_contexts(frame.context(c.PROFILE).astype(np.int64)[held], REPLICATES, trial.settings.seed)
    country = np.asarray(frame.context(c.COUNTRY), dtype=object)[held].astype(str)
    least = trial.settings.evaluation.min_contexts
    slices = {"": np.ones(len(held), dtype=np.bool_)} | {
        name: country == name for name in sorted(set(country.tolist()))
    }
    return {name: _mean(auc[rows], weight[rows], draws[rows], least) for name, rows in slices.items()}


def _mean(values: Floats, weight: Floats, draws: Array, least: int) -> tuple[float, float, float, int]:
    """The weighted mean, its percentile interval over the draws (NaN with fewer than `least` contexts), and n."""
    n = len(values)
    if not n:
        return float("nan"), float("nan"), float("nan"), 0
    below = draws.T @ weight
    means = np.divide(draws.T @ (weight * values), below, out=np.full(len(below), np.nan), where=below > 0)
    sure = n >= least and bool(np.isfinite(means).all())
    low, high = np.quantile(means, TAILS) if sure else (np.nan, np.nan)
    return float(np.average(values, weights=weight)), float(low), float(high), n


def _null(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
