"""What a new feature is worth on old dates, before anything is run with it.

Training sets of the days asked for are published, labels and all; so only the new columns are computed, each context's as
of its own instant, by the code that would compute them in the flow. Nothing is written.

    examined    distribution, missing share, likeness to features there are, and ranking power alone
    trained     the default ranker with and without the new features, judged on whole candidate sets, paired
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.checks.leak import (
    RankingPower,
    context_auc,
    own_play,
    pairs_of,
    play_keys,
    verdict,
)
from rec_platform.clock import FIRST_DAY, days_between, usable_days
from rec_platform.config import RankerConfig, Settings
from rec_platform.contexts.stage import read_timeline
from rec_platform.dmc12.frame import Frame, concat, flat
from rec_platform.errors import ConfigError, MissingInput
from rec_platform.evaluation import compare, corrected
from rec_platform.evaluation.bootstrap import weights_of_contexts
from rec_platform.evaluation.evaluate import evaluate
from rec_platform.evaluation.intervals import TAILS
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.slices import Slices
from rec_platform.evaluation.sums import MetricSums
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.check import check_file
from rec_platform.features.sample import Sample
from rec_platform.flow.platform import Platform
from rec_platform.flow.window import Window
from rec_platform.models.candidate_features import CandidateFeatures
from rec_platform.models.contract import FeatureNote, Floats, Ids, Scorer
from rec_platform.models.features import feature_notes
from rec_platform.models.parallel import in_order
from rec_platform.models.registry import ranker_trainers
from rec_platform.models.training import with_both_labels
from rec_platform.partition import Partition
from rec_platform.pipeline import Sources
from rec_platform.scoring.score import ContextScorer
from rec_platform.scoring.stage import Work, played_titles
from rec_platform.stage import Input, Reader
from rec_platform.tables import (
    AVAILABILITY,
    CANDIDATE_MODELS,
    CONTEXTS,
    PLAY_FACTS,
    PROFILES,
    TABLES,
    TITLES,
    TRAINING_SETS,
)
from rec_platform.timetravel.timeline import PLAY_COLUMNS

Array = npt.NDArray[Any]
Row = dict[str, Any]
Progress = Callable[[str, float], None]

QUANTILES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS: Final = 24
#: Rank correlation from which on two features are called the same.
DUPLICATE: Final = 0.999
#: Rows that correlations are measured on, evenly spread.
CORRELATED_ROWS: Final = 50_000
#: Replicates of the bootstrap behind the interval of an AUC.
REPLICATES: Final = 200
#: What is read of training sets: what encoders and weights need, and the items.
_READ: Final = (
    c.PROFILE, c.DMC12_NAMES[c.COUNTRY], c.CONTEXT_ID, c.AT, c.DEVICE, c.TENURE_DAYS, c.INCLUSION_PROBABILITY, c.ITEMS
)  # fmt: skip
#: Most items that a trial's fits read: enough to tell whether an idea helps, few enough for a minute (decision 0061).
TRIAL_ITEMS: Final = 200_000
WITH, WITHOUT = "with", "without"
#: What `trained` compares: metric and cut-off (0: none).
COMPARED: Final = (("nmrr", 0), ("ndcg", 10), ("recall", 10), ("mrr", 0))


def quiet(_what: str, _share: float) -> None:
    """No progress."""


@dataclass(frozen=True)
class Trial:
    """A feature file beside a home: what it adds, and the days it is tried on.

    Attributes:
        platform: the home; nothing of it is changed.
        settings: its settings as they would be with the file.
        added: the names of the new features, in the order of the file.
        first, last, countries: what is looked at.
    """

    platform: Platform
    settings: Settings
    added: tuple[str, ...]
    first: date
    last: date
    countries: tuple[str, ...]

    @classmethod
    def of(cls, home: Path, file: Path, first: date, last: date, countries: Sequence[str] = ()) -> Trial:
        """The trial of a file; it is checked first. Where the home's settings name it already, it counts as new.

        Raises:
            ConfigError: the file has faults, or declares no feature.
            KeyRefused: days or countries that were not delivered.
        """
        platform = Platform(home)
        window = Window.checked(platform.index, platform.settings, first, last, tuple(countries))
        others = tuple(one for one in platform.settings.features.files if Path(one).resolve() != file.resolve())
        config = platform.settings.features.model_copy(update={"files": others})
        checked = check_file(file, beside=FeatureSet.from_config(config))
        checked.raise_if_faulty()
        added = tuple(one.name for one in checked.encoders)
        if not added:
            raise ConfigError(
                "it declares no encoder, so no feature", place=f"feature file {file}", repair="See docs/features.md."
            )
        leave_out = tuple(name for name in config.leave_out if name not in added)
        config = config.model_copy(update={"files": (*others, str(file)), "leave_out": leave_out})
        settings = platform.settings.model_copy(update={"features": config})
        return cls(platform, settings, added, first, last, window.countries)

    @property
    def features(self) -> FeatureSet:
        """Every feature, the new ones among them."""
        return FeatureSet.from_config(self.settings.features)

    @property
    def days(self) -> list[date]:
        return list(days_between(self.first, self.last))

    def reader(self, first: date) -> Reader:
        """A reader over all that a trial reads, training sets from `first` on."""
        closed = self.last + timedelta(days=self.settings.labels.horizon_days - 1)
        return self.platform.reader(
            Input(TRAINING_SETS.name, first, self.last, every_country=True, optional=True),
            Input(CONTEXTS.name, self.first, self.last, self.countries, optional=True),
            Input(PLAY_FACTS.name, FIRST_DAY, closed, every_country=True, optional=True),
            Input(CANDIDATE_MODELS.name, FIRST_DAY, self.last, optional=True),
            *(Input(spec.name) for spec in TABLES if spec.stage == "reference"),
        )


# --- the features alone ----------------------------------------------------------------------------------------------


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
    parts = [part for part in _published(reader, trial.days) if part.country in trial.countries]
    stored = []
    for done, part in enumerate(parts):
        progress(f"training sets: {part.key}", 0.4 * done / len(parts))
        stored.append(_read(reader, part))
    frame = concat([_without_features(one) for one in stored])
    progress("computing the new features", 0.4)
    timeline = read_timeline(reader, trial.settings, until=trial.last, features=trial.features.select(trial.added))
    made = _with_added(trial, frame, Sources(timeline))
    spread = _spread(frame.n_items)
    beside = _stored_features(stored).take(pa.array(spread))
    beside = beside.select([name for name in beside.column_names if name not in trial.added])
    plays = _own_plays(reader, trial)
    found = []
    for done, name in enumerate(trial.added):
        progress(f"judging {name}", 0.7 + 0.3 * done / len(trial.added))
        found.append(_judged(trial, name, made, spread, beside, plays))
    return found


def _published(reader: Reader, days: Sequence[date]) -> list[Partition]:
    """The training sets of these days; `MissingInput` if there are none."""
    there = reader.published(TRAINING_SETS.name)
    found = [part for part in there if part.day in set(days)]
    if not found:
        have = f"{there[0].day} to {there[-1].day}" if there else "none"
        raise MissingInput(
            f"no training sets are published for {days[0]} to {days[-1]}", place="training_sets",
            repair=f"Run `rec-platform run` for later days, which makes those before them, or choose others; read: {have}.",
        )  # fmt: skip
    return found


def _read(reader: Reader, part: Partition) -> Frame:
    return flat(reader.read(TRAINING_SETS.name, [part], _READ))


def _stored_features(stored: Sequence[Frame]) -> pa.Table:
    """The features of all their items; a partition without contexts was published without columns of features."""
    return concat([one for one in stored if one.n_items] or stored).features


def _without_features(frame: Frame) -> Frame:
    return Frame(frame.contexts, frame.offsets, frame.items, pa.table({}), pa.table({}))


def _with_added(trial: Trial, frame: Frame, sources: Sources) -> Frame:
    """The frame with the new columns, each context's as of its own instant."""
    return FeatureGenerator(trial.features.select(trial.added)).apply(frame, sources)


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


# --- the ranker with and without them --------------------------------------------------------------------------------


class _Named(Scorer):
    """A fitted ranker under another name, so that two of a kind can score side by side."""

    def __init__(self, inner: Scorer) -> None:
        self.inner = inner

    @property
    def features(self) -> tuple[FeatureNote, ...]:
        return self.inner.features

    def score(self, frame: Frame) -> Floats:
        return self.inner.score(frame)

    def contributions(self, frame: Frame, rows: Ids) -> Floats:
        return self.inner.contributions(frame, rows)


class _With(_Named):
    name = WITH


class _Without(_Named):
    name = WITHOUT


@dataclass(frozen=True)
class Trained:
    """The default ranker with the new features against the same without them.

    Attributes:
        ranker: its name.
        sums: metric sums of both models over every context of the days that could be trained for.
        days: those days.
        left_out: the others, each with why.
    """

    ranker: str
    sums: MetricSums
    days: tuple[date, ...]
    left_out: Mapping[date, str]

    def differences(self, min_contexts: int) -> list[Row]:
        """with - without, paired: value, interval and verdict (among these rows) per metric, of all contexts and per country."""
        table = compare(self.sums, WITH, WITHOUT, min_contexts=min_contexts)
        order = {pair: place for place, pair in enumerate(COMPARED)}
        kept = [
            row["estimand"] == "context"
            and row[c.SLICE] in ("all", c.COUNTRY)
            and (row[c.METRIC], row[c.CUTOFF]) in order
            for row in table.to_pylist()
        ]
        rows = corrected(table.filter(pa.array(kept, pa.bool_()))).to_pylist()
        return sorted(rows, key=lambda row: (row[c.SLICE], row[c.SLICE_VALUE], order[row[c.METRIC], row[c.CUTOFF]]))


def trained(trial: Trial, progress: Progress = quiet, *, max_items: int = TRIAL_ITEMS) -> Trained:
    """Train the default ranker with and without the new features on the usable days before each day, and judge both.

    Contexts of the day are scored over their whole candidate sets, as the stage `scores` does it. Both are fitted anew, by
    the same code on the same rows, so nothing but the features differs.

    Args:
        max_items: most items a fit reads, in place of `rankers.max_items` where that is more (decision 0061).

    Raises:
        MissingInput: no day of the trial has enough training days before it, or no contexts of its own.
    """
    settings = trial.settings
    config = settings.rankers.model_copy(update={"max_items": min(max_items, settings.rankers.max_items)})
    ranker = next(
        name for name in (*settings.recommend.models, *settings.rankers.models) if name in settings.rankers.models
    )
    horizon, least = settings.labels.horizon_days, settings.rankers.min_training_days
    oldest = usable_days(trial.first, settings.rankers.training_days, horizon)[0]
    reader = trial.reader(max(oldest, trial.platform.index.first_day))
    frames = _training(trial, reader, progress)
    work = Work.of(reader, settings, CandidateFeatures(), trial.days, until=trial.last + timedelta(days=horizon - 1))
    days, left_out, scored = [], {}, list[Frame]()
    for done, day in enumerate(trial.days):
        share = 0.3 + 0.7 * done / len(trial.days)
        usable = {
            one: frames[one] for one in usable_days(day, settings.rankers.training_days, horizon) if one in frames
        }
        parts = [part for part in reader.published(CONTEXTS.name, day) if part.country in trial.countries]
        if len(usable) < least or not parts:
            left_out[day] = (
                "no contexts are published" if not parts else f"{len(usable)} usable training days before it"
            )
            continue
        progress(f"{day}: training {ranker} twice on {len(usable)} days", share)
        scorers = _fitted(ranker, list(usable.values()), trial, config)
        if not scorers:
            left_out[day] = "nothing to learn from: no context of its training days holds both labels"
            continue
        progress(f"{day}: scoring whole candidate sets", share + 0.5 / len(trial.days))
        scorer = ContextScorer(
            day, work.candidates, [*work.steps, *work.added], scorers, work.sources,
            keep_top=settings.evaluation.keep_top, seed=settings.seed,
        )  # fmt: skip
        scored += [flat(scorer.score(played_titles(part, reader, settings)).rows()) for part in parts]
        days.append(day)
    if not days:
        raise MissingInput(
            f"no day can be trained for: {'; '.join(f'{day}: {why}' for day, why in left_out.items())}", place="features try",
            repair="Choose later days, or run `rec-platform run` for them first.",
        )  # fmt: skip
    progress("comparing", 1.0)
    wanted = tuple(one for one in STANDARD if one.name in {name for name, _ in COMPARED})
    sums = evaluate(
        scored, seed=settings.seed, models=(WITH, WITHOUT), metrics=wanted, cutoffs=(10,),
        slices=Slices(contexts=(c.COUNTRY,)), replicates=settings.evaluation.replicates, list_length=settings.evaluation.keep_top,
    )  # fmt: skip
    return Trained(ranker, sums, tuple(days), left_out)


def _training(trial: Trial, reader: Reader, progress: Progress) -> dict[date, Frame]:
    """Training frames by day, of all countries rankers are fitted on, with the new columns; days without contexts left out."""
    chosen = trial.settings.countries
    parts = [
        p
        for p in reader.published(TRAINING_SETS.name)
        if p.day < trial.last and (chosen is None or p.country in chosen)
    ]
    if not parts:
        raise MissingInput(
            f"no training sets are published before {trial.last}", place="training_sets",
            repair="Run `rec-platform run` for that day: it makes the training sets of the days before it.",
        )  # fmt: skip
    by_day: dict[date, list[Frame]] = {}
    for done, part in enumerate(parts):
        progress(f"training sets: {part.key}", 0.2 * done / len(parts))
        frame = with_both_labels(_read(reader, part))
        if frame.n_contexts:
            by_day.setdefault(part.day, []).append(frame)
    if not by_day:
        return {}
    progress("computing the new features", 0.2)
    days = {day: concat(frames) for day, frames in by_day.items()}
    timeline = read_timeline(reader, trial.settings, until=trial.last, features=trial.features.select(trial.added))
    added = _with_added(
        trial, concat([_without_features(frame) for frame in days.values()]), Sources(timeline)
    ).features
    out, start = {}, 0
    for day, frame in days.items():
        rows = added.slice(start, frame.n_items)
        out[day] = frame.with_features(dict(zip(rows.column_names, rows.columns, strict=True)))
        start += frame.n_items
    return out


def _fitted(ranker: str, frames: list[Frame], trial: Trial, config: RankerConfig) -> list[Scorer]:
    """The ranker with and without the new features; empty where there is nothing to learn from."""
    trainer, settings = ranker_trainers((ranker,))[ranker], trial.settings
    every = feature_notes(settings)
    asked = [every, tuple(note for note in every if note.name not in trial.added)]
    fits = [partial(trainer.fit, frames, features=notes, config=config, seed=settings.seed) for notes in asked]
    made = list(in_order(fits))
    if any(artefact is None for artefact in made):
        return []
    return [kind(trainer.load(artefact)) for kind, artefact in zip((_With, _Without), made, strict=True) if artefact]


# --- a sample of the home's own data, to measure costs on ------------------------------------------------------------

#: Newest plays and item rows of a sample of a home.
SAMPLE_PLAYS: Final = 200_000
SAMPLE_ROWS: Final = 100_000


def home_sample(platform: Platform, features: FeatureSet) -> Sample | None:
    """The newest published training contexts and the newest plays of all history before them; None without any."""
    last = platform.index.last_day
    reader = platform.reader(
        Input(TRAINING_SETS.name, FIRST_DAY, last, every_country=True, optional=True),
        Input(PLAY_FACTS.name, FIRST_DAY, last, every_country=True, optional=True),
        *(Input(spec.name) for spec in TABLES if spec.stage == "reference"),
    )
    frames: list[Frame] = []
    for part in reversed(reader.published(TRAINING_SETS.name)):
        if sum(frame.n_items for frame in frames) < SAMPLE_ROWS:
            frames.append(_without_features(_read(reader, part)))
    if not sum(frame.n_contexts for frame in frames):
        return None
    columns = tuple(dict.fromkeys((*PLAY_COLUMNS, *features.play_columns)))
    parts, held = [], 0
    for part in reversed(reader.published(PLAY_FACTS.name)):
        if held < SAMPLE_PLAYS:
            parts.append(reader.read(PLAY_FACTS.name, [part], columns))
            held += parts[-1].num_rows
    tables = (reader.read(spec.name, [Partition()]) for spec in (TITLES, PROFILES, AVAILABILITY))
    titles, profiles, offers = tables
    return Sample(
        pa.concat_tables(parts).slice(0, SAMPLE_PLAYS),
        titles,
        profiles,
        offers,
        concat(frames),
        platform.settings.rules,
    )
