"""The small tables that pictures are drawn from, read from the lake: states where they say enough, else single columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rec_platform import columns as c
from rec_platform import tables as t
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.lake import Lake, PartitionState
from rec_platform.models.artefact import from_rows
from rec_platform.models.contract import Scorer
from rec_platform.models.registry import load_scorer
from rec_platform.partition import Partition

Floats = npt.NDArray[np.float64]

#: Contexts of a training set that importances are measured on, and contexts of `scores` read per batch.
_SAMPLE: Final = 200
_BATCH: Final = 4_096
#: Points of a curve over ranks, evenly spaced on a logarithmic axis.
_POINTS: Final = 60


def _states(lake: Lake, table: str, partitions: Sequence[Partition]) -> list[tuple[Partition, PartitionState]]:
    states = lake.state(table)
    return [(partition, states[partition]) for partition in partitions if partition in states]


def _table(rows: Sequence[Mapping[str, Any]], schema: Mapping[str, pa.DataType]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(list(schema.items())))


_DATED: Final = {c.DATE: pa.date32()}


def raw_play_counts(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """date, accepted, duplicates, quarantined: a row per partition."""
    rows = [
        {
            c.DATE: partition.date,
            "accepted": state.extra.get("accepted", state.rows),
            "duplicates": state.extra.get("duplicates", 0),
            "quarantined": sum(state.extra.get("quarantined", {}).values()),
        }
        for partition, state in _states(lake, t.RAW_PLAYS.name, partitions)
    ]
    return _table(rows, _DATED | dict.fromkeys(("accepted", "duplicates", "quarantined"), pa.int64()))


def reference_growth(lake: Lake, _partitions: Sequence[Partition]) -> pa.Table:
    """Titles and profiles by the day they were first known: what, date, new. Known since ever stands on the first day."""
    rows = []
    for what, table, key in (("titles", t.TITLES.name, c.TITLE), ("profiles", t.PROFILES.name, c.PROFILE)):
        known = lake.read(table, columns=[key, c.KNOWN_AT]).group_by(key).aggregate([(c.KNOWN_AT, "min")])
        days = known.column(f"{c.KNOWN_AT}_min").cast(pa.timestamp("us")).cast(pa.date32(), safe=False)
        counted = days.value_counts()
        rows += [{"what": what, c.DATE: one["values"], "new": one["counts"]} for one in counted.to_pylist()]
    rows.sort(key=lambda row: (row["what"], row[c.DATE]))
    return _table(rows, {"what": pa.string(), c.DATE: pa.date32(), "new": pa.int64()})


def fact_counts(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """date, plays, engaged: a row per partition."""
    rows = [
        {c.DATE: partition.date, "plays": state.rows, "engaged": state.extra.get("engaged", 0)}
        for partition, state in _states(lake, t.PLAY_FACTS.name, partitions)
    ]
    return _table(rows, _DATED | dict.fromkeys(("plays", "engaged"), pa.int64()))


def snapshot_rows(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """date, country, profiles, titles: a row per partition."""
    titles = lake.state(t.TITLE_SNAPSHOT.name)
    rows = [
        {
            c.DATE: partition.date,
            c.COUNTRY: partition.country,
            "profiles": state.rows,
            "titles": titles[partition].rows if partition in titles else 0,
        }
        for partition, state in _states(lake, t.PROFILE_SNAPSHOT.name, partitions)
    ]
    return _table(rows, _DATED | {c.COUNTRY: pa.string(), "profiles": pa.int64(), "titles": pa.int64()})


def strata(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """stratum, before, kept over all partitions; before is estimated as kept / inclusion probability."""
    totals: dict[str, list[float]] = {}
    for _, state in _states(lake, t.TRAINING_SETS.name, partitions):
        for name, stratum in state.extra.get("strata", {}).items():
            total = totals.setdefault(name, [0.0, 0.0])
            total[0] += stratum["kept"] / stratum[c.INCLUSION_PROBABILITY]
            total[1] += stratum["kept"]
    rows = [{c.STRATUM: name, "before": before, "kept": kept} for name, (before, kept) in sorted(totals.items())]
    return _table(rows, {c.STRATUM: pa.string(), "before": pa.float64(), "kept": pa.float64()})


def training_items(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """date, items, positives: a row per partition."""
    rows = [
        {
            c.DATE: partition.date,
            "items": state.extra.get("items", 0),
            "positives": state.extra.get("positives", 0),
        }
        for partition, state in _states(lake, t.TRAINING_SETS.name, partitions)
    ]
    return _table(rows, _DATED | dict.fromkeys(("items", "positives"), pa.int64()))


# --- models ----------------------------------------------------------------------------------------------------------


def candidate_fits(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """date, model, plays: a row per model and as-of date."""
    rows = [
        {c.DATE: partition.date, c.MODEL: model, "plays": facts.get("plays", 0)}
        for partition, state in _states(lake, t.CANDIDATE_MODELS.name, partitions)
        for model, facts in state.extra.get("models", {}).items()
    ]
    return _table(rows, _DATED | {c.MODEL: pa.string(), "plays": pa.int64()})


def ranker_fits(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """date, days, contexts: what the rankers of each as-of date learned from (the most of any of them)."""
    rows = [
        {
            c.DATE: partition.date,
            "days": len(state.extra.get("days", ())),
            "contexts": max((facts.get("contexts", 0) for facts in state.extra.get("models", {}).values()), default=0),
        }
        for partition, state in _states(lake, t.RANKER_MODELS.name, partitions)
    ]
    return _table(rows, _DATED | dict.fromkeys(("days", "contexts"), pa.int64()))


def importances(lake: Lake, partitions: Sequence[Partition], *, files: Sequence[str] = ()) -> pa.Table:
    """model, feature, importance: what moves the scores of the newest rankers among `partitions`.

    The importance of a feature is the mean over items of how far its contribution stands from its mean in the context, as a
    share of all features'. Measured on the newest training set before the models' date that has contexts; none, no rows.
    `files`: those of `[rankers] files`.
    """
    schema = {c.MODEL: pa.string(), "feature": pa.string(), "importance": pa.float64()}
    newest = [partition for partition, state in _states(lake, t.RANKER_MODELS.name, partitions) if state.rows][-1:]
    frame = _training_sample(lake, newest[0]) if newest else None
    if frame is None:
        return _table([], schema)
    rows = lake.read(t.RANKER_MODELS.name, newest, [field.name for field in t.RANKER_MODELS.schema])
    found = []
    for artefact in from_rows(rows, place=newest[0].key).values():
        shares = _contribution_shares(load_scorer(artefact, files), frame)
        found += [{c.MODEL: artefact.model, "feature": name, "importance": share} for name, share in shares.items()]
    return _table(found, schema)


def _training_sample(lake: Lake, model: Partition) -> Frame | None:
    """Some contexts of the largest training set of the newest day before the model's."""
    states = lake.state(t.TRAINING_SETS.name)
    known = [partition for partition, state in states.items() if state.rows and partition.day < model.day]
    if not known:
        return None
    newest = max(partition.day for partition in known)
    largest = max((p for p in known if p.day == newest), key=lambda p: (states[p].rows, p.place))
    (path,) = lake.files(t.TRAINING_SETS.name, [largest])
    with pq.ParquetFile(path) as file:
        return flat(pa.Table.from_batches([next(file.iter_batches(batch_size=_SAMPLE))]))


def _contribution_shares(scorer: Scorer, frame: Frame) -> dict[str, float]:
    contributions = np.abs(_centred(scorer.contributions(frame, np.arange(frame.n_items)), frame)).mean(axis=0)
    total = float(contributions.sum()) or 1.0
    return {note.name: float(value) / total for note, value in zip(scorer.features, contributions, strict=True)}


def _centred(values: Floats, frame: Frame) -> Floats:
    """Values less their mean in the context: only differences inside a context move a ranking."""
    filled = np.flatnonzero(np.diff(frame.offsets))
    sums = np.add.reduceat(values, frame.offsets[filled], axis=0)
    lengths = np.diff(frame.offsets)[filled]
    return np.asarray(values - np.repeat(sums / lengths[:, None], lengths, axis=0))


# --- scores, metrics, recommendations --------------------------------------------------------------------------------


def positive_ranks(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """model, rank, share: per model the share of positives expected on rank r or better, over the partitions it scored.

    A positive with `a` candidates above and `e` equal stands on each of the ranks a + 1 ... a + 1 + e with equal
    probability; one outside the candidate set stands nowhere and stays in the denominator.
    """
    parts: dict[str, list[Floats]] = {}
    positives: dict[str, int] = {}
    longest = 0
    for frame in _score_frames(lake.files(t.SCORES_TABLE.name, partitions)):
        chosen = np.asarray(frame.item(c.LABEL)) > 0
        reached = chosen & np.asarray(frame.item(c.REACHABLE)).astype(np.bool_)
        longest = max(longest, int(np.asarray(frame.context(c.N_CANDIDATES)).max(initial=0)))
        for model in frame.scores.column_names:
            positives[model] = positives.get(model, 0) + int(chosen.sum())
            above, equal = (np.asarray(frame.item(f"{name}.{model}"))[reached] for name in (c.N_ABOVE, c.N_EQUAL))
            parts.setdefault(model, []).append(np.stack([above, equal]).astype(np.float64))
    ranks = np.unique(np.geomspace(1, max(longest, 1), _POINTS).round()).astype(np.int64)
    rows = [
        {c.MODEL: model, c.RANK: int(rank), "share": share}
        for model, counts in sorted(parts.items())
        for rank, share in zip(ranks, _found(np.concatenate(counts, axis=1), ranks, positives[model]), strict=True)
        if positives[model]
    ]
    return _table(rows, {c.MODEL: pa.string(), c.RANK: pa.int64(), "share": pa.float64()})


def _score_frames(paths: Sequence[str]) -> Iterator[Frame]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield flat(pa.Table.from_batches([batch]))


def _found(counts: Floats, ranks: npt.NDArray[np.int64], positives: int) -> list[float]:
    above, equal = counts
    inside = [np.clip((rank - above) / (equal + 1), 0, 1).sum() for rank in ranks]
    return [float(value / max(positives, 1)) for value in inside]


def unsliced(rows: pa.Table) -> pa.Table:
    """The rows of `metrics` that say something of all contexts together: mean over contexts, no slice."""
    return rows.filter(
        (pc.field(c.SLICE) == "all") & (pc.field("estimand") == "context") & pc.field(c.VALUE).is_valid()
    )


def shown_titles(lake: Lake, partitions: Sequence[Partition]) -> pa.Table:
    """title_id, lists: in how many lists each recommended title stands."""
    titles = lake.read(t.RECOMMENDATIONS.name, partitions, [c.TITLE])
    counts = titles.group_by(c.TITLE).aggregate([([], "count_all")]).sort_by(c.TITLE)
    return counts.rename_columns([c.TITLE, "lists"])


def catalogue(lake: Lake) -> int:
    """How many titles the reference table knows; 0 where there is none."""
    if lake.version(t.TITLES.name) is None:
        return 0
    return int(pc.count_distinct(lake.read(t.TITLES.name, None, [c.TITLE]).column(c.TITLE)).as_py())
