"""Features of stored training sets made once more, by Spark, and held to those that `rec-platform run` stored.

    make spark                                                       # Spark into the environment; Java is needed too
    .venv/bin/python examples/spark/features_of_a_home.py 2025-01-31 --home .rec-platform

Here Spark runs in this process, on all cores. On a cluster the session is the cluster's, and the files are where it reads
them; `features_on` is the same. What it shows: reading tables of a home by their files, and calling `with_features`.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.on_spark import SparkPast, with_features
from rec_platform.flow import Platform
from rec_platform.partition import Partition
from rec_platform.tables import AVAILABILITY, PLAY_FACTS, PROFILES, TITLES, TRAINING_SETS


def local() -> SparkSession:
    """Spark in this process: no page, no port beyond this machine, instants in UTC."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # the executors' Python must be one that has this package
    settings = {
        "spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC", "spark.sql.shuffle.partitions": "8",
    }  # fmt: skip
    return SparkSession.builder.master("local[*]").config(map=settings).getOrCreate()


def table(spark: SparkSession, platform: Platform, name: str, partitions: list[Partition] | None = None) -> DataFrame:
    """A table of the home, its live files only; `date` and `country` come from their folders."""
    files = platform.lake.files(name, partitions)
    return spark.read.option("basePath", str(platform.home / "lake" / name)).parquet(*files)


def features_on(spark: SparkSession, platform: Platform, stored: DataFrame, *, buckets: int) -> DataFrame:
    """The contexts of training sets with their titles, and features made anew."""
    context = [c.CONTEXT_ID, c.PROFILE, c.DMC12_NAMES[c.COUNTRY], c.AT, c.DEVICE, c.TENURE_DAYS]
    asked = stored.selectExpr(
        *context, "transform(items, item -> struct(item.show_title_id AS show_title_id)) AS items"
    )
    past = SparkPast(
        table(spark, platform, PLAY_FACTS.name), table(spark, platform, PROFILES.name),
        platform.lake.read(TITLES.name), platform.lake.read(AVAILABILITY.name), platform.settings.rules,
    )  # fmt: skip
    features = FeatureSet.from_config(platform.settings.features)
    return with_features(asked, past, FeatureGenerator(features), buckets=buckets)


def by_context(rows: pa.Table) -> Frame:
    return flat(rows.sort_by(c.CONTEXT_ID).combine_chunks())


def differing(made: Frame, stored: Frame, names: tuple[str, ...]) -> list[str]:
    """The features whose bytes differ."""
    if made.item(c.TITLE).tolist() != stored.item(c.TITLE).tolist():
        raise SystemExit("other titles came back")
    columns = [[frame.features.column(name).combine_chunks().to_numpy() for frame in (made, stored)] for name in names]
    return [name for name, (one, other) in zip(names, columns, strict=True) if one.tobytes() != other.tobytes()]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("date", type=date.fromisoformat, help="a date whose training sets were made")
    parser.add_argument("--home", type=Path, default=Path(".rec-platform"))
    parser.add_argument("--buckets", type=int, default=8, help="parts of the profiles (default: %(default)s)")
    options = parser.parse_args(arguments)
    platform = Platform(options.home)
    there = [one for one in platform.lake.state(TRAINING_SETS.name) if one.date == options.date]
    if not there:
        raise SystemExit(
            f"no training set of {options.date} in {options.home}; `rec-platform status` lists what there is"
        )
    spark = local()
    rows = table(spark, platform, TRAINING_SETS.name, there)
    made = by_context(features_on(spark, platform, rows, buckets=options.buckets).toArrow())
    stored, names = by_context(rows.toArrow()), FeatureSet.from_config(platform.settings.features).names
    other = differing(made, stored, names)
    size = f"{made.n_contexts:,} contexts x {made.n_items:,} items x {len(names)} features of {options.date} by Spark"
    if other:
        raise SystemExit(f"{size}: {other} differ from what is stored")
    print(f"{size}: equal to what is stored, to the bit")
    spark.stop()


if __name__ == "__main__":
    main()
