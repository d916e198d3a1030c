"""Great Expectations judges measures. The only module that imports it, and only when the first measures come.

The import takes 5 to 12 s, hence once per process and never at module level. `batch.validate` is used because
`ValidationDefinition.run()` stores results and crashes on NumPy booleans (ECOSYSTEM, section 3). An expectation costs 9 ms of
CPU however few values it looks at, so checks with the same bounds share one (decision 0129).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rec_platform.errors import NumericError

if TYPE_CHECKING:
    import pandas as pd

#: A table and a check of it.
Check = tuple[str, str]
#: The least and the greatest value that holds, None open, and whether a check blocks.
Bounds = tuple[float | None, float | None, bool]


def judge(
    measured: Mapping[Check, Sequence[float | None]], bounds: Mapping[Check, Bounds]
) -> dict[Check, frozenset[int]]:
    """The places of each check's values that break it.

    Args:
        measured: check -> its measure per partition of its table; None is not judged.
        bounds: check -> the bounds it must stay in, both included.
    """
    import pandas as pd

    alike: dict[Bounds, list[Check]] = {}
    for check, bound in bounds.items():
        alike.setdefault(bound, []).append(check)
    stacked = {str(bound): [value for check in checks for value in measured[check]] for bound, checks in alike.items()}
    # Columns differ in length: the shorter ones end in NaN, which is not judged.
    frame = pd.DataFrame({name: pd.Series(values, dtype=np.float64) for name, values in stacked.items()})
    failing = _validated(frame, alike)
    found: dict[Check, frozenset[int]] = {}
    for bound, checks in alike.items():
        start = 0
        for check in checks:
            end = start + len(measured[check])
            found[check] = frozenset(row - start for row in failing[str(bound)] if start <= row < end)
            start = end
    return found


def get_ready() -> None:
    """Import and set up Great Expectations, if that was not done."""
    _batch_definition()


def _validated(frame: pd.DataFrame, bounds: Iterable[Bounds]) -> dict[str, frozenset[int]]:
    """For each column, which bears its bounds' name, the rows that break them."""
    gx = _great_expectations()
    suite = gx.ExpectationSuite(
        name="bounds",
        expectations=[
            gx.expectations.ExpectColumnValuesToBeBetween(
                column=str(bound), min_value=bound[0], max_value=bound[1],
                severity="critical" if bound[2] else "warning",
            )
            for bound in bounds
        ],
    )  # fmt: skip
    found = _batch_definition().get_batch({"dataframe": frame}).validate(suite, result_format="COMPLETE")
    return {result.expectation_config.kwargs["column"]: _failing(result) for result in found.results}


def _failing(result: Any) -> frozenset[int]:
    """Rows that one expectation finds unexpected; an expectation that could not be evaluated is an error, never a pass."""
    rows = frozenset(int(row) for row in result.result.get("unexpected_index_list") or ())
    if result.exception_info.get("raised_exception") or bool(result.success) == bool(rows):
        raise NumericError(
            f"the checks with the bounds {result.expectation_config.kwargs['column']} could not be evaluated: "
            f"{result.exception_info.get('exception_message')}",
            place="the audit of a stage",
            repair="A measure is not a number: run tests/checks.",
        )
    return rows


@cache
def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


@cache
def _batch_definition() -> Any:
    gx = _great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    measures = context.data_sources.add_pandas("profiles").add_dataframe_asset("measures")
    return measures.add_batch_definition_whole_dataframe("whole")
