"""Plays with their engagement, and tiles: the additive facts of one date and country."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.home import Home
from assets.materialise import SINGLE_RUN, check_specs, materialise
from assets.partitions import SAME, UNIVERSE
from rec_platform.flow import STAGES


@dg.asset(
    group_name="facts",
    description=STAGES["facts"].about,
    kinds={"deltalake", "duckdb"},
    partitions_def=UNIVERSE.cells,
    backfill_policy=SINGLE_RUN,
    deps=[dg.AssetDep("raw_plays", partition_mapping=SAME)],
    check_specs=check_specs("facts"),
)
def facts(context: dg.AssetExecutionContext, home: Home) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    yield from materialise(context, home, "facts")
