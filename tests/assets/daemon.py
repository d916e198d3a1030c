"""A small deployment, run through the real backfill daemon: the daemon's own iteration, without its 30-second naps."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.backfill import execute_backfill_iteration

from rec_platform.plays.ingest import ingest
from rec_platform.plays.mapping import load_mapping
from rec_platform.simulation import CountryConfig, WorldConfig, simulate

ROOT = Path(__file__).parents[2]
FIRST = date(2025, 1, 1)
DAYS = 6
#: The day whose flow the tests run; the days before it are what its ranker learns from.
DAY = FIRST + timedelta(days=DAYS - 1)

_PLATFORM = """\
[rankers]
training_days = 4
min_training_days = 2
n_trees = 5
[candidates]
embedding_size = 4
epochs = 2
[evaluation]
replicates = 20
"""
_QUIET_INSTANCE = """\
telemetry:
  enabled: false
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
run_launcher:
  module: dagster._core.launcher.sync_in_memory_run_launcher
  class: SyncInMemoryRunLauncher
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def small_home(folder: Path) -> Path:
    """A home with six delivered days of two countries."""
    countries = [CountryConfig(code=code, time_zone="UTC", share=1.0) for code in ("DE", "FR")]
    config = WorldConfig(
        start=FIRST, days=DAYS, plays=1500, n_profiles=120, n_titles=40, countries=tuple(countries), empty_day=2
    )
    simulate(config, folder / "world")
    home = folder / "home"
    home.mkdir()
    (home / "platform.toml").write_text(_PLATFORM)
    mapping = load_mapping(ROOT / "examples" / "mappings" / "simulated.toml")
    assert ingest(home, mapping, [folder / "world" / "delivery"]).ok
    return home


def main(arguments: list[str]) -> None:
    """Backfill the assets and partitions of a JSON object (null: not partitioned) at once; write what was run to a file.

    In the environment that `rec-platform ui` would set, with runs launched at once, in this process, instead of queued.
    """
    keys: dict[str, list[str] | None] = json.loads(arguments[0])
    (Path(os.environ["DAGSTER_HOME"]) / "dagster.yaml").write_text(_QUIET_INSTANCE)
    with dg.DagsterInstance.get() as instance:
        ended = backfill(instance, keys)
        runs = [sorted(key.to_user_string() for key in run.asset_selection or ()) for run in instance.get_runs()]
        partitioned = [name for name, wanted in keys.items() if wanted is not None]
        seen = {name: sorted(instance.get_materialized_partitions(dg.AssetKey(name))) for name in partitioned}
        landed = sorted(instance.get_materialized_partitions(dg.AssetKey("landing")))
        found = {"status": ended.status.value, "runs": runs, "seen": seen, "landed": landed}
        Path(arguments[1]).write_text(json.dumps(found))


def backfill(instance: dg.DagsterInstance, keys: dict[str, list[str] | None]) -> PartitionBackfill:
    """Request a backfill of assets (None: not partitioned) and run the daemon's iteration until it has ended."""
    target = ModuleTarget("assets.definitions", None, str(ROOT), None)
    with WorkspaceProcessContext(instance, target) as workspace:
        graph = workspace.create_request_context().asset_graph
        subset: Any = dg.AssetKey
        from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
        from dagster._core.instance.types import CachingDynamicPartitionsLoader

        subset = AssetGraphSubset.create_empty_subset()
        partitioned = {
            dg.AssetKey(name): graph.get(dg.AssetKey(name)).partitions_def.subset_with_partition_keys(wanted)
            for name, wanted in keys.items()
            if wanted is not None
        }
        subset = AssetGraphSubset(partitioned, {dg.AssetKey(name) for name, wanted in keys.items() if wanted is None})
        requested = PartitionBackfill.from_asset_graph_subset(
            backfill_id="test", backfill_timestamp=1_767_225_600.0, tags={}, asset_graph_subset=subset,
            dynamic_partitions_store=CachingDynamicPartitionsLoader(instance), title=None, description=None,
            run_config=None,
        )  # fmt: skip
        instance.add_backfill(requested)
        logger = logging.getLogger("backfill")
        for _ in range(400):
            errors = [error for error in execute_backfill_iteration(workspace, logger) if error is not None]
            assert not errors, errors
            state = instance.get_backfill("test")
            assert state is not None
            if state.status not in (BulkActionStatus.REQUESTED,):
                return state
    raise AssertionError("the backfill did not end")


if __name__ == "__main__":
    main(sys.argv[1:])
