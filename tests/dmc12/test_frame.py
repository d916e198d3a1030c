"""DMC-12 frames: what is written is what is read, and the shapes hold."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, concat, flat, nested, packed, sliced, to_numpy
from rec_platform.errors import SchemaError
from rec_platform.tables import INSTANT, TRAINING_SETS

ITEM_COLUMNS = (c.TITLE, c.LABEL, c.WEIGHT, c.ITEM_INCLUSION_PROBABILITY)


def frame_of(lengths: list[int], features: tuple[str, ...] = ("plays", "age"), seed: int = 1) -> Frame:
    """A frame with lists of these lengths; every column differs in every row, one feature is missing here and there."""
    rng = np.random.default_rng(seed)
    n, m = len(lengths), sum(lengths)
    at = np.arange(n, dtype=np.int64) * 1_000_003
    contexts = pa.table(
        {
            c.PROFILE: pa.array(rng.integers(1, 99, n)),
            c.COUNTRY: pa.array(["FR"] * n, pa.string()),
            c.CONTEXT_ID: pa.array(np.arange(n, dtype=np.int64)),
            c.AT: pa.array(at).cast(INSTANT),
            c.DEVICE: pa.array(["tv"] * n, pa.string()),
            c.TENURE_DAYS: pa.array(rng.random(n)),
            c.TENURE_BAND: pa.array(["new"] * n, pa.string()),
            c.ACTIVITY_BAND: pa.array(["none"] * n, pa.string()),
            c.STRATUM: pa.array(["FR/new"] * n, pa.string()),
            c.INCLUSION_PROBABILITY: pa.array(rng.random(n)),
            c.KNOWN_BY: pa.array(["then"] * n, pa.string()),
            c.NEWEST_PLAYED_AT: pa.array(at - 2).cast(INSTANT),
            c.NEWEST_KNOWN_AT: pa.array(at - 1).cast(INSTANT),
        }
    )
    items = {
        c.TITLE: rng.integers(1, 10**15, m),
        c.LABEL: rng.integers(0, 2, m).astype(np.float64),
        c.WEIGHT: rng.random(m),
        c.ITEM_INCLUSION_PROBABILITY: rng.random(m),
    }
    values = {name: rng.random(m).astype(np.float32) for name in features}
    for column in values.values():
        column[rng.random(m) < 0.2] = np.nan
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Frame.of(contexts, offsets, items=items, features=values)


def written(frame: Frame) -> pa.Table:
    return nested(frame, item_columns=ITEM_COLUMNS, structs={c.FEATURES: frame.features})


def same(one: Frame, other: Frame) -> None:
    np.testing.assert_array_equal(one.offsets, other.offsets)
    for part in ("contexts", "items", "features", "scores"):
        mine, theirs = getattr(one, part), getattr(other, part)
        assert mine.column_names == theirs.column_names
        for name in mine.column_names:
            assert mine.column(name).type == theirs.column(name).type
            np.testing.assert_array_equal(to_numpy(mine, name, part=part), to_numpy(theirs, name, part=part))


@given(st.lists(st.integers(0, 5), max_size=6), st.sampled_from([(), ("plays",), ("plays", "age")]))
def test_flat_undoes_nested(lengths: list[int], features: tuple[str, ...]) -> None:
    frame = frame_of(lengths, features)
    same(flat(written(frame)), frame)


@given(st.lists(st.integers(0, 5), max_size=6))
def test_parquet_keeps_every_value(lengths: list[int]) -> None:
    frame = frame_of(lengths)
    file = io.BytesIO()
    pq.write_table(written(frame), file)
    same(flat(pq.read_table(file)), frame)


def test_a_slice_of_a_table_reads_as_its_contexts() -> None:
    frame = frame_of([2, 0, 3, 1])
    same(flat(written(frame).slice(1, 2)), frame.take(np.array([1, 2])))


def test_a_table_in_pieces_reads_whole() -> None:
    frame = frame_of([2, 0, 3, 1])
    table = written(frame)
    same(flat(pa.concat_tables([table.slice(0, 1), table.slice(1)])), frame)


def test_nested_is_dmc12_to_the_letter() -> None:
    table = written(frame_of([2, 1]))
    TRAINING_SETS.check(table.schema)
    element = table.schema.field(c.ITEMS).type.value_field
    assert not element.nullable
    assert [(f.name, str(f.type)) for f in element.type][:4] == [
        ("show_title_id", "int64"),
        ("label", "double"),
        ("weight", "double"),
        ("item_inclusion_probability", "double"),
    ]
    assert [(f.name, f.type, f.nullable) for f in element.type.field(4).type] == [
        ("plays", pa.float64(), False),
        ("age", pa.float64(), False),
    ]
    assert not any(f.nullable for f in element.type)
    assert "country_iso_code" in table.column_names


def test_no_context_and_no_feature_is_still_a_training_set() -> None:
    TRAINING_SETS.check(written(frame_of([], features=())).schema)


def test_other_structs_come_back_as_item_columns() -> None:
    frame = frame_of([2])
    above = pa.table({"xgboost": pa.array([4, 5], pa.int64())})
    back = flat(nested(frame, item_columns=(c.TITLE,), structs={c.N_ABOVE: above}))
    assert back.items.column_names == [c.TITLE, "n_above.xgboost"]
    assert back.item("n_above.xgboost").tolist() == [4, 5]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.integers(0, 9))
def test_take_moves_contexts_with_their_items(lengths: list[int], seed: int) -> None:
    frame = frame_of(lengths)
    rows = np.random.default_rng(seed).permutation(len(lengths)).astype(np.int64)
    taken = frame.take(rows)
    for position, row in enumerate(rows):
        mine = slice(taken.offsets[position], taken.offsets[position + 1])
        theirs = slice(frame.offsets[row], frame.offsets[row + 1])
        np.testing.assert_array_equal(taken.item(c.TITLE)[mine], frame.item(c.TITLE)[theirs])
    np.testing.assert_array_equal(taken.context(c.AT), frame.context(c.AT)[rows])


@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 6))
def test_concat_undoes_cutting(lengths: list[int], cut: int) -> None:
    frame = frame_of(lengths)
    rows = np.arange(len(lengths), dtype=np.int64)
    same(concat([frame.take(rows[:cut]), frame.take(rows[cut:])]), frame)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.data(), st.booleans())
def test_packed_and_cut_into_slices_a_frame_is_put_together_again(
    lengths: list[int], data: st.DataObject, bare: bool
) -> None:
    frame = Frame.of(frame_of(lengths).contexts) if bare else frame_of(lengths)
    cut = data.draw(st.integers(0, len(lengths)))
    parts = [sliced(frame, 0, cut), sliced(frame, cut, len(lengths))]
    same(concat([flat(packed(part)) for part in parts]), frame)
    assert packed(frame).column(c.ITEMS).chunk(0).offsets.to_pylist() == frame.offsets.tolist()


def test_feature_matrix_is_row_major_float32() -> None:
    frame = frame_of([2, 1])
    matrix = frame.feature_matrix(("age", "plays"))
    assert matrix.dtype == np.float32 and matrix.flags.c_contiguous and matrix.shape == (3, 2)
    np.testing.assert_array_equal(matrix[:, 1], to_numpy(frame.features, "plays", part="features"))


def test_context_of_item_names_each_items_context() -> None:
    assert frame_of([2, 0, 1]).context_of_item.tolist() == [0, 0, 2]


def test_columns_can_be_added_as_any_kind_of_array() -> None:
    frame = frame_of([1, 1]).with_items({"a": np.array([1, 2]), "b": pa.array([3, 4]), "d": pa.chunked_array([[5, 6]])})
    assert [frame.item(name).tolist() for name in ("a", "b", "d")] == [[1, 2], [3, 4], [5, 6]]


def test_a_missing_column_is_named_with_those_there() -> None:
    with pytest.raises(SchemaError, match=r"no column 'score'.*items of a DMC-12 frame.*title_id"):
        frame_of([1]).item("score")


def test_offsets_must_fit_contexts_and_items() -> None:
    contexts = frame_of([1, 1]).contexts
    with pytest.raises(SchemaError, match="2 offsets for 2 contexts"):
        Frame.of(contexts, np.array([0, 1]))
    with pytest.raises(SchemaError, match="items has 3 rows where the offsets end at 2"):
        Frame.of(contexts, np.array([0, 1, 2]), items={c.TITLE: np.arange(3)})


def test_lists_in_one_piece_are_not_copied() -> None:
    frame = frame_of([2, 3])
    table = nested(frame, item_columns=ITEM_COLUMNS, structs={c.FEATURES: frame.features})
    leaf = table.column(c.ITEMS).chunk(0).values.field(c.DMC12_NAMES[c.TITLE])
    there = frame.items.column(c.TITLE).chunk(0)
    back = flat(table).items.column(c.TITLE).chunk(0)
    assert there.buffers()[1].address == leaf.buffers()[1].address == back.buffers()[1].address
