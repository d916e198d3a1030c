"""One pass over scored contexts: all models, all metrics, every slice, with bootstrap replicates, as mergeable sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from rec_platform.dmc12.frame import Frame, sliced
from rec_platform.errors import ConfigError
from rec_platform.evaluation.accumulators import Accumulator
from rec_platform.evaluation.adding import Evaluation
from rec_platform.evaluation.knowledge import NOTHING, Knowledge
from rec_platform.evaluation.metrics import Metric
from rec_platform.evaluation.plan import CONTEXT, EXACT, PROFILE, Plan, columns_of, counted_of
from rec_platform.evaluation.protocol import Evidence, Protocol
from rec_platform.evaluation.registry import ACCUMULATORS, ALL_METRICS, check_names
from rec_platform.evaluation.scored import CEILING, RANDOM, SAMPLED, sampled
from rec_platform.evaluation.slices import Slices
from rec_platform.evaluation.sums import MetricSums, nothing
from rec_platform.evaluation.view import offered

#: Contexts evaluated at a time: bounds memory to about 100 bytes x models x metrics x cut-offs each.
CHUNK: Final = 2**15


def _models(frame: Frame, models: tuple[str, ...] | None) -> tuple[str, ...]:
    names = tuple(frame.scores.column_names) if models is None else models
    return tuple(name for name in names if name not in (RANDOM, CEILING))


def _slices(frame: Frame) -> Slices:
    there = frame.contexts.column_names
    return Slices(contexts=tuple(name for name in Slices().contexts if name in there))


def _chunks(frames: Frame | Iterable[Frame]) -> Iterator[Frame]:
    for frame in (frames,) if isinstance(frames, Frame) else frames:
        for first in range(0, frame.n_contexts, CHUNK):
            last = min(first + CHUNK, frame.n_contexts)
            yield frame if (first, last) == (0, frame.n_contexts) else sliced(frame, first, last)


def evaluate(
    frames: Frame | Iterable[Frame],
    *,
    seed: int,
    models: tuple[str, ...] | None = None,
    metrics: tuple[Metric, ...] = ALL_METRICS,
    accumulators: tuple[Accumulator, ...] = ACCUMULATORS,
    cutoffs: tuple[int, ...] = (5, 10, 20, 100),
    slices: Slices | None = None,
    replicates: int = 100,
    protocol: Protocol | None = None,
    cut: date | None = None,
    estimand: str = CONTEXT,
    list_length: int = 100,
    knowledge: Knowledge = NOTHING,
) -> MetricSums:
    """The sums behind every metric of every model in every slice, in one pass; memory is that of one chunk.

    Args:
        frames: scored contexts, in the form of the `scores` table or as full lists (see `scored`). With `profile_id`,
            and `inclusion_probability`, `n_candidates` and the slice columns where there are any.
        seed: of the bootstrap draws and of the order of equal scores in lists.
        models: the models; None is all that the first frame has scores of. `random` (the constant scorer, exact) and
            `ceiling` (the best order of the candidate set) are always added.
        metrics, accumulators: what to work out; one whose needs are not there has no rows.
        cutoffs: the k of metrics that have one.
        slices: what to slice by; None takes those of the usual context columns that the first frame has.
        replicates: of the bootstrap; 0 gives numbers without intervals.
        protocol: how the contexts are judged, written into every row; numbers of different protocols are never merged.
            With `ties="trec"` equal scores are ordered as trec_eval orders them.
        cut: the day at whose 00:00 UTC the models stopped seeing; written into every row.
        estimand: `context`, the mean over contexts weighted by 1 / inclusion_probability; or `profile`, the mean over
            profiles of each profile's weighted mean, which holds every context's values in memory and does not merge.
        list_length: how many of each model's best the frames hold; cut-offs beyond have no numbers about lists (full lists: any).
        knowledge: titles, tastes of profiles and scales of scores, which some metrics need.

    Raises:
        NumericError: a NaN score, a metric that is not finite, a sum past its bound.
        ConfigError: an unknown estimand, two metrics of one name.
    """
    if estimand not in (CONTEXT, PROFILE):
        raise ConfigError(f"no estimand {estimand!r}", place="evaluate", repair=f"Use {CONTEXT} or {PROFILE}.")
    work: Evaluation | None = None
    for frame in _chunks(frames):
        if work is None:
            names = _models(frame, models)
            check_names(metrics, accumulators)
            there = {model: offered(frame, model, names, knowledge) for model in (*EXACT, *names)}
            columns, by_item = columns_of(there, metrics, cutoffs, list_length)
            plan = Plan(
                models=names, columns=columns, by_item=by_item,
                counted=counted_of(there, accumulators, cutoffs, list_length),
                knowledge=knowledge, list_length=list_length,
                slices=_slices(frame) if slices is None else slices,
                replicates=replicates, seed=seed, estimand=estimand, protocol=protocol or Protocol(),
                evidence=Evidence() if cut is None else Evidence(cut.isoformat(), cut.isoformat()),
                suffix=SAMPLED if sampled(frame) else "",
            )  # fmt: skip
            work = Evaluation(plan)
        work.take(frame)
    return nothing(seed, replicates) if work is None else work.sums()
