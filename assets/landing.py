"""What was delivered: written by `rec-platform ingest` and by the sensor, not by Dagster, so an external asset."""

import dagster as dg

from assets.partitions import UNIVERSE

landing = dg.AssetSpec(
    "landing",
    group_name="plays",
    description=(
        "Rows as delivered, with file hash, line and time of delivery; append-only, the same file twice is skipped. "
        "Written by `rec-platform ingest` and by the landing sensor. Rows whose date or country cannot be read stand "
        "apart and are no partition here."
    ),
    kinds={"deltalake"},
    partitions_def=UNIVERSE.cells,
)
