"""The values of a list attribute are those of each row, each once and in order."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from rec_platform.timetravel.revisions import ListAttribute

TEXTS = st.sampled_from(["drama", "Drama", "comedy", "", "ä", "\U0001f3ac", "\uffee", None])
ROWS = st.lists(st.none() | st.lists(TEXTS, max_size=4), max_size=8)


@given(rows=ROWS, cut=st.integers(0, 8))
def test_values_are_the_distinct_texts_of_each_row(rows, cut):
    kind = pa.list_(pa.string())
    column = pa.chunked_array([pa.array(rows[:cut], kind), pa.array(rows[cut:], kind)], kind)
    attribute = ListAttribute.of(column)
    lists = [sorted({text for text in row or () if text is not None}) for row in rows]
    names = sorted({text for row in lists for text in row})
    assert list(attribute.names.texts) == names
    assert attribute.starts.tolist() == [sum(map(len, lists[:row])) for row in range(len(lists) + 1)]
    assert attribute.values.tolist() == [names.index(text) for row in lists for text in row]
    assert attribute.differs.tolist() == [row == 0 or lists[row] != lists[row - 1] for row in range(len(lists))]
    assert (attribute.values.dtype, attribute.starts.dtype, attribute.differs.dtype) == ("int32", "int64", "bool")
