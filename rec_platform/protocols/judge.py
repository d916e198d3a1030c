"""Models fitted on one part of a log and judged on the other, over the full catalogue, in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.clock import day_of
from rec_platform.config import CandidateConfig
from rec_platform.contexts.segments import ranges
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError
from rec_platform.evaluation import MetricSums, Slices, evaluate, metric_rows
from rec_platform.evaluation.protocol import Protocol
from rec_platform.models.baselines import NEVER
from rec_platform.models.contract import CandidateModel, Pairs
from rec_platform.models.registry import candidate_trainers
from rec_platform.protocols.interactions import Interactions, Ints
from rec_platform.protocols.splits import Bools, Parts, Split, foreknowledge
from rec_platform.scoring.ranking import Standing, standing, tie_words
from rec_platform.tables import INSTANT, TITLES

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, float], None]

#: Scores held at a time, of one model.
CHUNK: Final = 4_000_000
LAST_PLAYED: Final = "last_played"
#: All of the training part counts, however old: what published tables mean by popularity.
EVER: Final = 36_500
_NOWHERE: Final = "ZZ"
_KIND: Final = "published"


@dataclass(frozen=True)
class Result:
    """What came out.

    Attributes:
        sums: the mergeable sums; `rows` are their numbers.
        protocol: the rules, stored with the sums.
        leaks: what the split lets models know; empty for a cut in time.
        foreknowledge: see `splits.foreknowledge`.
        counts: interactions that train and judge, judged ones dropped as cold and as seen, rows given twice, judged
            profiles, titles in the catalogue.
    """

    sums: MetricSums
    protocol: Protocol
    leaks: str
    foreknowledge: float
    counts: dict[str, int]

    @property
    def rows(self) -> pa.Table:
        """METRICS rows: value, 95 % interval and n per model, metric and cut-off."""
        return metric_rows(self.sums)


def judged(
    log: Interactions,
    split: Split,
    *,
    models: Sequence[str] = ("popularity", "collaborative"),
    seen: Literal["keep", "drop"] = "drop",
    cold: Literal["keep", "drop"] = "drop",
    cutoffs: tuple[int, ...] = (5, 10, 20),
    config: CandidateConfig | None = None,
    seed: int = 0,
    replicates: int = 200,
    progress: Progress = lambda _what, _share: None,
) -> Result:
    """Fit models on the split's training part and judge them on the other, every profile one list of the full catalogue.

    Args:
        models: names of candidate models (`rec_platform.models.registry`), or `last_played`. `random` and the ceiling are
            always there.
        seen: `drop` takes the titles of a profile's training part out of its list, and out of what judges it.
        cold: `drop` leaves out judged interactions whose title or profile is not in the training part; `keep` keeps
            them: never found, in the denominators.
        config: of the models; the windows of days are replaced by all time.

    Raises:
        ConfigError: a model that is not there, or nothing is left to judge.
    """
    parts = split(log)
    train, test = _of(log, parts.train), _of(log, parts.test)
    known_title = np.bincount(train.title, minlength=len(log.titles)) > 0
    known_profile = np.bincount(train.profile, minlength=len(log.profiles)) > 0
    warm = known_title[test.title] & known_profile[test.profile] if cold == "drop" else np.ones(len(test), dtype=bool)
    again = warm & _trained_on(train, test) if seen == "drop" else np.zeros(len(test), dtype=bool)
    judging = _of(test, warm & ~again)
    counts = {
        "training interactions": len(train), "judged interactions": len(judging),
        "judged dropped as cold": int((~warm).sum()), "judged dropped as seen": int(again.sum()),
        "rows given twice": log.given_twice, "judged profiles": len(np.unique(judging.profile)),
        "titles in the catalogue": int(known_title.sum()),
    }  # fmt: skip
    if not len(judging) or not len(train):
        raise ConfigError(
            "nothing is left to judge", place=f"protocol {split.label}",
            repair=f"There were {', '.join(f'{n} {what}' for what, n in counts.items())}: keep what was dropped "
            "(seen or cold as `keep`), take out rows given twice, or choose another split.",
        )  # fmt: skip
    fitted = _fitted(train, models, config or CandidateConfig(), seed)
    protocol = Protocol(
        kind=_KIND, split=split.label + (" [leaks]" if split.leaks else ""),
        candidates="every title of the training part", seen=seen, cold="dropped" if cold == "drop" else "kept",
        weighting="one list per profile",
    )  # fmt: skip
    frames = _frames(train, judging, known_title, fitted, seen=seen, keep=max(cutoffs), seed=seed, progress=progress)
    sums = evaluate(
        frames, seed=seed, models=tuple(fitted), cutoffs=cutoffs, slices=Slices(contexts=()), replicates=replicates,
        protocol=protocol, list_length=max(cutoffs),
    )  # fmt: skip
    return Result(sums, protocol, split.leaks, foreknowledge(log, Parts(parts.train, parts.test)), counts)


def _trained_on(train: Interactions, test: Interactions) -> Bools:
    """Which judged interactions are of a title that the same profile has in the training part."""
    n = max(len(train.titles), 1)
    return np.asarray(np.isin(test.profile * n + test.title, train.profile * n + train.title), dtype=bool)


# --- models ----------------------------------------------------------------------------------------------------------

#: The scores of every title for some profiles: shape (profiles, titles).
Scores = Callable[[Ints], Floats]


def _fitted(train: Interactions, names: Sequence[str], config: CandidateConfig, seed: int) -> dict[str, Scores]:
    trainers = candidate_trainers()
    if not names:
        repair = f"Name one at least of {', '.join([*trainers, LAST_PLAYED])}."
        raise ConfigError("no model to judge", place="protocol", repair=repair)
    for name in names:
        if name not in (*trainers, LAST_PLAYED):
            raise ConfigError(
                f"no model {name!r}", place="protocol", repair=f"There are: {', '.join([*trainers, LAST_PLAYED])}."
            )
    ever = config.model_copy(update={"popularity_days": EVER, "history_days": EVER})
    plays, as_of = _plays(train)
    found: dict[str, Scores] = {}
    for name in names:
        if name == LAST_PLAYED:
            found[name] = _last_played(train)
            continue
        trainer = trainers[name]
        artefact = trainer.fit(plays, as_of=as_of, titles=TITLES.schema.empty_table(), config=ever, seed=seed)
        found[name] = _of_model(trainer.load(artefact), trainer.notes[0].name, len(train.titles))
    return found


def _plays(train: Interactions) -> tuple[pa.Table, date]:
    """The training part as plays of one country, and the day after the last of them."""
    at = train.at if train.timed else np.zeros(len(train), dtype=np.int64)
    instants = pa.array(at).cast(INSTANT)
    n = len(train)
    columns = {
        c.PROFILE: train.profile, c.TITLE: train.title, c.PLAYED_AT: instants, c.KNOWN_AT: instants,
        c.WATCHED_MS: np.zeros(n, dtype=np.int64), c.ENGAGED: np.ones(n, dtype=np.int8), c.COUNTRY: [_NOWHERE] * n,
    }  # fmt: skip
    return pa.table(columns), day_of(int(at.max())) + timedelta(days=1)


def _of_model(model: CandidateModel, feature: str, n_titles: int) -> Scores:
    titles = np.arange(n_titles, dtype=np.int64)

    def scores(profiles: Ints) -> Floats:
        country = np.array([_NOWHERE] * len(profiles), dtype=object)
        context = np.repeat(np.arange(len(profiles)), n_titles)
        values = model.features(Pairs(profiles, country, context, np.tile(titles, len(profiles))))[feature]
        return values.astype(np.float64).reshape(len(profiles), n_titles)

    return scores


def _last_played(train: Interactions) -> Scores:
    """The title played most recently first; titles never played below all others."""
    starts = train.starts

    def scores(profiles: Ints) -> Floats:
        out = np.full((len(profiles), len(train.titles)), NEVER)
        for row, profile in enumerate(profiles):
            mine = slice(starts[profile], starts[profile + 1])
            out[row, train.title[mine]] = np.arange(
                starts[profile + 1] - starts[profile]
            )  # in order: the last one stays
        return out

    return scores


# --- lists -----------------------------------------------------------------------------------------------------------


def _frames(
    train: Interactions, judging: Interactions, catalogue: Bools, fitted: dict[str, Scores], *, seen: str, keep: int,
    seed: int, progress: Progress,
) -> Iterator[Frame]:  # fmt: skip
    """Judged profiles in chunks, in the form of the `scores` table."""
    profiles, before, judged_before = np.unique(judging.profile), train.starts, judging.starts
    step = max(CHUNK // max(len(catalogue), 1), 1)
    for first in range(0, len(profiles), step):
        progress("ranking", first / len(profiles))
        chosen = profiles[first : first + step]
        candidate = np.tile(catalogue, (len(chosen), 1))
        if seen == "drop":
            candidate[_pairs(train, before, chosen)] = False
        positive = np.zeros_like(candidate)
        positive[_pairs(judging, judged_before, chosen)] = True
        yield _frame(chosen, candidate, positive, {name: scores(chosen) for name, scores in fitted.items()}, keep, seed)
    progress("ranking", 1.0)


def _pairs(log: Interactions, starts: Ints, profiles: Ints) -> tuple[Ints, Ints]:
    """The interactions of some profiles: (row of the profile among them, title). `starts` are the log's."""
    lengths = starts[profiles + 1] - starts[profiles]
    return np.repeat(np.arange(len(profiles)), lengths), log.title[ranges(starts[profiles], lengths)]


def _frame(
    profiles: Ints, candidate: Bools, positive: Bools, scores: dict[str, Floats], keep: int, seed: int
) -> Frame:  # fmt: skip
    """Every positive and each model's best, with how many candidates score above and equal."""
    names = list(scores)
    kept: list[Ints] = []
    standings: list[Standing] = []
    for row, profile in enumerate(profiles):
        inside = np.flatnonzero(candidate[row])
        titles = np.concatenate([inside, np.flatnonzero(positive[row] & ~candidate[row])])
        words = tie_words(seed, np.full(len(titles), profile), titles)
        mine = np.stack([scores[name][row, titles] for name in names])
        found = standing(mine, len(inside), positive[row, titles], words, keep)
        kept.append(titles[found.rows])
        standings.append(found)
    lengths = np.array([len(titles) for titles in kept], dtype=np.int64)
    context, title = np.repeat(np.arange(len(profiles)), lengths), np.concatenate(kept)
    above, equal = (np.concatenate([getattr(one, side) for one in standings], axis=1) for side in ("above", "equal"))
    items: dict[str, npt.NDArray[Any]] = {
        c.TITLE: title, c.LABEL: positive[context, title].astype(np.float64), c.REACHABLE: candidate[context, title],
        **{f"{c.N_ABOVE}.{name}": above[place] for place, name in enumerate(names)},
        **{f"{c.N_EQUAL}.{name}": equal[place] for place, name in enumerate(names)},
    }  # fmt: skip
    sizes = candidate.sum(axis=1).astype(np.int64)
    contexts = pa.table({c.PROFILE: profiles, c.CONTEXT_ID: profiles, c.N_CANDIDATES: sizes})
    ends = np.append(0, np.cumsum(lengths)).astype(np.int64)
    return Frame.of(contexts, ends, items=items, scores={name: scores[name][context, title] for name in names})


def _of(log: Interactions, rows: Bools) -> Interactions:
    return Interactions(log.profile[rows], log.title[rows], log.at[rows], log.profiles, log.titles, log.timed)
