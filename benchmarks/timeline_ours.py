"""Our side of the timeline benchmark: from the files of plays to the filled feature columns."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Meter
from timeline_world import DAYS, FEATURES, START, World

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import Frame, nested
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.sweep import Past, parts
from rec_platform.lake.content import content_hash
from rec_platform.lake.staging import write_parquet
from rec_platform.pipeline import Sources
from rec_platform.tables import AVAILABILITY, PROFILES
from rec_platform.timetravel.log import KEYS
from rec_platform.timetravel.timeline import PLAY_COLUMNS, Timeline
from rec_platform.timetravel.warm_up import run_everything as warm_up

#: What the twenty features sum of the plays, besides counting them.
MEASURES = (c.WATCHED_MS,)


def read_plays(
    world: World, columns: Sequence[str] = (*KEYS, *MEASURES), *, one_clock: bool = False, last_day: int = DAYS
) -> Iterator[pa.Table]:
    """The plays in batches; with one clock each was known when it was played, which is what daily facts assume."""
    read = [name for name in columns if not (one_clock and name == c.KNOWN_AT)]
    for path in world.plays[: last_day + 1]:
        with pq.ParquetFile(path, read_dictionary=[c.COUNTRY]) as file:
            for batch in file.iter_batches(1 << 20, columns=read, use_threads=False):
                rows = pa.Table.from_batches([batch])
                yield rows.append_column(c.KNOWN_AT, rows.column(c.PLAYED_AT)) if one_clock else rows


def frame_of(world: World, *, midnight: bool) -> Frame:
    contexts, items = pq.read_table(world.contexts(midnight=midnight)), pq.read_table(world.items)
    lengths = np.bincount(items.column("context").to_numpy(), minlength=contexts.num_rows)
    contexts = contexts.append_column(c.DEVICE, pa.array(["tv"] * contexts.num_rows))
    contexts = contexts.append_column(c.TENURE_DAYS, pa.array(np.ones(contexts.num_rows)))
    offsets = np.append(0, np.cumsum(lengths))
    return Frame.of(contexts, offsets, items={c.TITLE: items.column(c.TITLE).to_numpy()})


def built(plays: Iterable[pa.Table], world: World) -> Timeline:
    nobody, nothing = PROFILES.schema.empty_table(), AVAILABILITY.schema.empty_table()
    return Timeline.build(plays, pq.read_table(world.titles), nobody, nothing, rules=SourceRules(), measures=MEASURES)


def reading(meter: Meter, *, folder: str) -> None:
    """What pyarrow alone pays for the columns that `features` reads."""
    with meter.phase("reading"):
        for _ in read_plays(World(Path(folder))):
            pass


def features(
    meter: Meter, *, folder: str, asked: str = "", midnight: bool = False, one_clock: bool = False, repeats: int = 1
) -> pa.Table:
    """The twenty features of every item, in order; contexts are those of the world `asked`, if another."""
    world, frame = World(Path(folder)), frame_of(World(Path(asked or folder)), midnight=midnight)
    chosen = FeatureGenerator(FeatureSet.standard().select(FEATURES))
    warm_up()
    with meter.phase("read and build"):
        timeline = built(read_plays(world, one_clock=one_clock), world)
    for repeat in range(repeats):
        with meter.phase("features" + "+" * repeat):
            done = chosen.apply(frame, Sources(timeline))
    return done.features


def swept(meter: Meter, *, folder: str, asked: str, buckets: int, scratch: str) -> None:
    """The same features bucket by bucket; each part is dropped, as a caller would who writes it."""
    world, frame = World(Path(folder)), frame_of(World(Path(asked)), midnight=False)
    chosen, nobody, nothing = FeatureSet.standard().select(FEATURES), PROFILES.schema.empty_table(), AVAILABILITY.schema
    past = Past(
        lambda: read_plays(world, PLAY_COLUMNS), pq.read_table(world.titles), nobody, nothing.empty_table(), SourceRules()
    )  # fmt: skip
    warm_up()
    with meter.phase("swept"):
        done = sum(part.n_contexts for _, part in parts(frame, past, chosen, buckets=buckets, scratch=Path(scratch)))
    if done != frame.n_contexts:
        raise SystemExit(f"{done} of {frame.n_contexts} contexts got features")


def one_day(meter: Meter, *, folder: str, asked: str, day: int) -> pa.Table:
    """As `features`, a run of its own for the contexts of one day, reading the plays up to its end."""
    world, frame = World(Path(folder)), frame_of(World(Path(asked)), midnight=False)
    frame = frame.take(np.flatnonzero(frame.context(c.AT) // DAY == START // DAY + day))
    chosen = FeatureGenerator(FeatureSet.standard().select(FEATURES))
    warm_up()
    with meter.phase("run"):
        timeline = built(read_plays(world, last_day=day), world)
        return chosen.apply(frame, Sources(timeline)).features


def written(meter: Meter, *, folder: str, rounds: int = 5) -> None:
    """The features of at most 40,000 contexts, from the frame's float32 columns to a file of nested rows, in turn.

    `table` is what the lake does to stage them: nested form, content hash, Parquet. `pyarrow` is the least that gives a
    file of the same rows: columns widened to double, struct, list, `write_table` with its defaults. `as pyarrow` is the
    part of it from nested rows on. Facts: the size of both files in MB.
    """
    world = World(Path(folder))
    frame = frame_of(world, midnight=False)
    frame = frame.take(np.arange(min(frame.n_contexts, 40_000)))
    timeline = built(read_plays(world), world)
    frame = FeatureGenerator(FeatureSet.standard().select(FEATURES)).apply(frame, Sources(timeline))
    del timeline
    with TemporaryDirectory() as scratch:
        ours, bare = Path(scratch) / "table.parquet", Path(scratch) / "bare.parquet"
        for turn in range(rounds):
            with meter.phase(f"table {turn}"):
                rows = nested(frame, item_columns=(c.TITLE,), structs={c.FEATURES: frame.features})
                content_hash(rows)
                write_parquet(rows, ours)
            del rows
            with meter.phase(f"pyarrow, nesting {turn}"):
                rows = bare_rows(frame)
            with meter.phase(f"pyarrow, writing {turn}"):
                pq.write_table(rows, bare)
            del rows
        table, plain = pq.read_table(ours), pq.read_table(bare)
        if content_hash(table) != content_hash(plain.rename_columns(table.column_names).cast(table.schema)):
            raise SystemExit("the two files hold other rows")
        meter.facts.update({path.stem: path.stat().st_size / 1e6 for path in (ours, bare)})


def bare_rows(frame: Frame) -> pa.Table:
    """The nested rows as one writes them by hand."""
    names = frame.features.column_names
    wide = [frame.features.column(name).chunk(0).cast(pa.float64()) for name in names]
    items = pa.StructArray.from_arrays(
        [frame.items.column(c.TITLE).chunk(0), pa.StructArray.from_arrays(wide, names=names)],
        names=["show_title_id", c.FEATURES],
    )
    lists = pa.ListArray.from_arrays(pa.array(frame.offsets.astype(np.int32)), items)
    return frame.contexts.append_column(c.ITEMS, lists)


def warm_start(meter: Meter) -> None:
    """What a fresh process pays before its first answer: every compiled kernel, loaded from the environment's cache.

    pandas is imported before, since pyarrow does so with the first array that it makes, whatever the array is for.
    """
    importlib.import_module("pandas")
    with meter.phase("kernels"):
        warm_up()
