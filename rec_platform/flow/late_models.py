"""What late plays would change in candidate models: fitted again with them, by what they score.

A share of values says little here: a model's scores hang together, so one play moves nearly all of them, if by a hair.
Of `collaborative` even the size needs a measure beside it: its factors start from numbers drawn in the order of the ids, so
one profile or title more is another start. So each date is fitted three times:

- `LATE` and `NOW`, as for training sets (late_features.py);
- `SEED`, the plays it had, by another seed: what the start decides. Late plays that move scores no more matter no more.

What is scored are the contexts and items of the date's training sets, of all countries; where the date has none, those of
the newest date before it that has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.flow.late import Late, Ledger
from rec_platform.flow.late_changes import KINDS, SEED, Difference, Floats, changes
from rec_platform.flow.late_features import CONTEXTS, as_known_in_time, plays_and_records, published_frame, sampled
from rec_platform.flow.platform import Platform
from rec_platform.flow.run import Progress, quiet
from rec_platform.models.artefact import from_rows
from rec_platform.models.candidate_features import CandidateModelsByDay
from rec_platform.models.contract import CandidateModel, Pairs
from rec_platform.partition import Partition
from rec_platform.stage import Input
from rec_platform.tables import CANDIDATE_MODELS, TRAINING_SETS

Models = Mapping[str, CandidateModel]

#: Dates whose models are fitted again, unless told otherwise.
DATES: Final = 1
STAGE: Final = CANDIDATE_MODELS.stage


def model_differences(
    platform: Platform, ledger: Ledger, *, dates: int = DATES, at_most: int = CONTEXTS,
    kinds: Sequence[str] = (*KINDS, SEED), progress: Progress = quiet,
) -> Iterator[Difference]:  # fmt: skip
    """The newest late candidate models of a ledger beside what they would score, by date and kind, as they are fitted.

    Args:
        dates: how many dates are fitted again.
        at_most: contexts scored of all of them together; 0 for all.
    """
    late = [line for line in ledger.lines if line.stage == STAGE]
    scored = _scored(platform, late[max(len(late) - dates, 0) :])
    rows = {cell: state.rows for cell, state in platform.index.state(TRAINING_SETS.name).items()}
    compared = sampled({cell: rows[cell] for cells in scored.values() for cell in cells}, at_most)
    lines = {line.partition: line for line in late}
    stale = platform.plan(STAGE, list(scored)).stale
    for done, (partition, cells) in enumerate(scored.items()):
        pairs = _pairs([published_frame(platform, cell, compared[cell]) for cell in cells])
        then = _scores(_published(platform, partition), pairs)
        for kind in kinds:
            progress(f"models with {kind}: {partition.day}", done / len(scored))
            made = _scores(_fitted(platform, ledger, kind, lines[partition]), pairs)
            one = _difference(partition, kind, then, made, pairs)
            yield replace(one, of=sum(rows[cell] for cell in cells), stale=partition in stale)


def _scored(platform: Platform, lines: Sequence[Late]) -> dict[Partition, list[Partition]]:
    """The training sets whose contexts the models of each line score; lines before all training sets are left out."""
    there = sorted(cell for cell, state in platform.index.state(TRAINING_SETS.name).items() if state.rows)
    found = {}
    for line in lines:
        days = [cell.day for cell in there if cell.day <= line.partition.day]
        if days:
            found[line.partition] = [cell for cell in there if cell.day == days[-1]]
    return found


def _published(platform: Platform, partition: Partition) -> Models:
    reader = platform.reader(Input(CANDIDATE_MODELS.name, partition.day, partition.day))
    return CandidateModelsByDay.read(reader, [partition.day]).days[partition.day]


def _fitted(platform: Platform, ledger: Ledger, kind: str, line: Late) -> Models:
    settings, reader = platform.settings, plays_and_records(platform, line.partition.day)
    if kind == SEED:
        settings = settings.model_copy(update={"seed": settings.seed + 1})
    else:
        reader = as_known_in_time(reader, ledger, kind, line)
    (built,) = platform.stages[STAGE].build([line.partition], reader, settings)
    artefacts = from_rows(built.tables[CANDIDATE_MODELS.name], place=f"{CANDIDATE_MODELS.name} with {kind}")
    return CandidateModelsByDay.of({line.partition.day: artefacts.values()}).days[line.partition.day]


def _pairs(frames: Sequence[Frame]) -> Pairs:
    """Every context of the frames with every item it has."""
    before = np.cumsum([0, *(frame.n_contexts for frame in frames)])
    countries = [np.asarray(frame.context(c.COUNTRY), dtype=object) for frame in frames]
    return Pairs(
        np.concatenate([frame.context(c.PROFILE).astype(np.int64) for frame in frames]), np.concatenate(countries),
        np.concatenate([first + frame.context_of_item for first, frame in zip(before[:-1], frames, strict=True)]),
        np.concatenate([frame.item(c.TITLE).astype(np.int64) for frame in frames]),
    )  # fmt: skip


def _scores(models: Models, pairs: Pairs) -> dict[str, Floats]:
    """A value per pair, by feature."""
    return {
        name: values.astype(np.float64) for model in models.values() for name, values in model.features(pairs).items()
    }


def _difference(
    partition: Partition, kind: str, then: Mapping[str, Floats], made: Mapping[str, Floats], pairs: Pairs
) -> Difference:
    columns = ((name, then[name], made[name]) for name in then if name in made)
    found, changed = changes(columns, pairs.context_of_item)
    n = len(pairs.profiles)
    return Difference(CANDIDATE_MODELS.name, partition, kind, n, n, changed, found)
