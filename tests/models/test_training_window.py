"""A window of training days holds less than the days, and fits read the same of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from rec_platform import columns as c
from rec_platform.config import RankerConfig, Settings
from rec_platform.dmc12.frame import Frame, concat, flat, nested
from rec_platform.errors import SchemaError
from rec_platform.models.features import feature_notes
from rec_platform.models.training import READ_OF_ITEMS, TrainingFrames
from rec_platform.models.window import TrainingWindow, thinned
from rec_platform.partition import Partition
from rec_platform.tables import TRAINING_SETS
from rec_platform.testing.readers import MemoryReader

FIRST = date(2025, 3, 1)
COUNTRIES = ("DE", "FR", "GB")
NOTES = feature_notes(Settings())


def settings_of(max_items: int) -> Settings:
    return Settings(seed=7, countries=COUNTRIES[:2], rankers=RankerConfig(max_items=max_items))


def made(contexts: int, first_id: int) -> Frame:
    """Contexts of five items each; the last of every four has no positive."""
    rng, n = np.random.default_rng(first_id), 5 * contexts
    labels = (np.arange(n) % 5 == 0) & (np.arange(n) // 5 % 4 < 3)
    items = {c.TITLE: np.arange(n), c.LABEL: labels.astype(float), c.WEIGHT: np.ones(n),
             c.ITEM_INCLUSION_PROBABILITY: np.full(n, 0.5)}  # fmt: skip
    rows = pa.table(
        {c.CONTEXT_ID: np.arange(contexts) + first_id, c.KNOWN_BY: pa.array(["then"] * contexts, pa.string())}
    )
    features = {note.name: rng.random(n, dtype=np.float32) for note in NOTES}
    return Frame.of(rows, np.arange(0, n + 1, 5), items=items, features=features)


class Noting(MemoryReader):
    """Counts how often each partition was read."""

    def __init__(self, tables: dict[str, dict[Partition, pa.Table]]) -> None:
        super().__init__(tables)
        self.reads: list[Partition] = []

    def read(self, table: str, partitions: Iterable[Partition], columns: Sequence[str] | None = None) -> pa.Table:
        wanted = list(partitions)
        self.reads += wanted
        return super().read(table, wanted, columns)


def reader_of(sizes: Sequence[Sequence[int]]) -> Noting:
    """Per day the contexts of each country."""
    tables = {}
    for day, of_day in enumerate(sizes):
        for place, size in enumerate(of_day):
            frame = made(size, 10_000 * day + 1_000 * place)
            rows = nested(frame, item_columns=(c.TITLE, *READ_OF_ITEMS), structs={c.FEATURES: frame.features})
            tables[Partition(FIRST + timedelta(days=day), COUNTRIES[place])] = rows
    return Noting({TRAINING_SETS.name: tables})


def whole(reader: MemoryReader, days: Sequence[date]) -> list[Frame]:
    """The frames of the days as they stand in the countries chosen, days without contexts left out."""
    tables = reader.tables[TRAINING_SETS.name]
    frames = [concat([flat(tables[Partition(day, country)]) for country in COUNTRIES[:2]]) for day in days]
    return [frame for frame in frames if frame.n_contexts]


def read_of(frames: Sequence[Frame], max_items: int) -> dict[str, object]:
    return dict(TrainingFrames.of(frames, NOTES, max_items=max_items, seed=7).data())


_size = st.sampled_from([0, 1, 40, 130, 260])


@pytest.mark.slow
@settings(max_examples=20, derandomize=True, deadline=None)
@given(
    st.lists(st.lists(_size, min_size=3, max_size=3), min_size=6, max_size=6), st.integers(1, 4),
    st.sampled_from([1_000, 1_500, 100_000]),
)  # fmt: skip
def test_fits_of_any_sliding_window_read_what_they_read_of_whole_days(
    sizes: list[list[int]], length: int, max_items: int
) -> None:
    """Windows that grow, shrink and are empty; a country that is not chosen."""
    reader = reader_of(sizes)
    window, days = TrainingWindow(reader, settings_of(max_items)), [FIRST + timedelta(days=n) for n in range(6)]
    for start in range(6 - length + 1):
        some = days[start : start + length]
        held, expected = window.days(some), whole(reader, some)
        assert list(held) == [day for day in some if sum(sizes[(day - FIRST).days][:2])]
        assert read_of(thinned(held), max_items) == read_of(expected, max_items)
        assert sum(one.frame.n_items for one in held.values()) <= 1.25**2 * max_items * 1.2 + 400
    assert {part.place for part in reader.reads} <= {"DE", "FR"}


def test_a_training_set_of_other_features_is_named_and_not_taken_for_one_without_values() -> None:
    reader = reader_of([[8, 8]])
    cell, gone = Partition(FIRST, "FR"), [note.name for note in NOTES[:4]]
    frame = flat(reader.tables[TRAINING_SETS.name][cell])
    fewer = {c.FEATURES: frame.features.drop_columns(gone)}
    reader.tables[TRAINING_SETS.name][cell] = nested(frame, item_columns=(c.TITLE, *READ_OF_ITEMS), structs=fewer)
    said = rf"without 4 features that rankers read now: {', '.join(gone[:3])} \(training_sets FR\|2025-03-01\)"
    with pytest.raises(SchemaError, match=said):
        TrainingWindow(reader, settings_of(1_000)).days([FIRST])


def test_a_day_is_read_again_only_when_a_window_proves_much_smaller() -> None:
    days = [FIRST + timedelta(days=number) for number in range(4)]
    reader = reader_of([[260, 260], [260, 260], [260, 240], [0, 30]])
    window = TrainingWindow(reader, settings_of(1_000))
    for start in range(2):
        window.days(days[start : start + 2])
    assert len(reader.reads) == len(set(reader.reads)) == 6
    window.days(days[2:])
    assert [part.day for part in reader.reads[6:]] == [days[3]] * 2 + [days[2]] * 2


def test_a_day_without_contexts_is_no_day_and_one_that_teaches_nothing_is() -> None:
    reader = reader_of([[0, 0], [4, 0]])
    silent = Partition(FIRST, "FR")
    frame = made(4, 1)
    rows = frame.with_items({c.LABEL: np.zeros(frame.n_items)})
    reader.add(
        TRAINING_SETS.name, silent,
        nested(rows, item_columns=(c.TITLE, *READ_OF_ITEMS), structs={c.FEATURES: rows.features}),
    )  # fmt: skip
    held = TrainingWindow(reader, settings_of(1_000)).days([FIRST, FIRST + timedelta(days=1)])
    assert [(one.contexts, one.frame.n_contexts, one.items) for one in held.values()] == [(4, 0, 0), (4, 3, 15)]
    assert read_of(thinned(held), 1_000)["contexts"] == 3
