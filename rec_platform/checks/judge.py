"""Great Expectations judges the profile frame. The only module that imports it, and only when the first frame comes.

The import takes 5 to 12 s, hence once per process and never at module level. `batch.validate` is used because
`ValidationDefinition.run()` stores results and crashes on NumPy booleans (ECOSYSTEM, section 3).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from rec_platform.errors import NumericError

#: check -> bounds (None is open) and whether it blocks.
Bounds = Mapping[str, tuple[float | None, float | None, bool]]


def judge(table: str, columns: Mapping[str, Sequence[float | None]], bounds: Bounds) -> dict[str, frozenset[int]]:
    """The rows of the profile frame that break each check.

    Args:
        columns: check -> its measure per partition; None is not judged.
        bounds: check -> the bounds it must stay in, both included.
    """
    import pandas as pd

    gx = _great_expectations()
    frame = pd.DataFrame({check: np.array(values, dtype=np.float64) for check, values in columns.items()})
    suite = gx.ExpectationSuite(
        name=table,
        expectations=[
            gx.expectations.ExpectColumnValuesToBeBetween(
                column=check, min_value=low, max_value=high, severity="critical" if blocking else "warning"
            )
            for check, (low, high, blocking) in bounds.items()
        ],
    )
    found = _batch_definition(table).get_batch({"dataframe": frame}).validate(suite, result_format="COMPLETE")
    return {result.expectation_config.kwargs["column"]: _failing(table, result) for result in found.results}


def get_ready() -> None:
    """Import and set up Great Expectations, if that was not done."""
    _source()


def _failing(table: str, result: Any) -> frozenset[int]:
    """Rows that one expectation finds unexpected; an expectation that could not be evaluated is an error, never a pass."""
    rows = frozenset(int(row) for row in result.result.get("unexpected_index_list") or ())
    if result.exception_info.get("raised_exception") or bool(result.success) == bool(rows):
        raise NumericError(
            f"the check {result.expectation_config.kwargs['column']} could not be evaluated: "
            f"{result.exception_info.get('exception_message')}",
            place=f"table {table}",
            repair="Its measure is not a number: run tests/checks.",
        )
    return rows


@cache
def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


@cache
def _source() -> Any:
    gx = _great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context.data_sources.add_pandas("profiles")


@cache
def _batch_definition(table: str) -> Any:
    return _source().add_dataframe_asset(table).add_batch_definition_whole_dataframe("whole")
