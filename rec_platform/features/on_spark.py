"""Features where the plays are in a Spark cluster: the same declarations, the same kernels, the same bytes.

No kernel is written a second time and nothing is said in SQL that a kernel says. Spark does what it is for: it brings a
profile's plays and contexts together. What is then done with them is a bucket of a sweep (sweep.py, records.py):

1. Spark's own aggregates tell which titles were played, since when each is visible, and the contexts' countries and hours;
2. each task gathers the title-side sums of those ticks over the plays it holds; rows of the same tick and place are joined;
3. plays and contexts meet in buckets of profiles, and a task serves the contexts of each with a timeline of its plays.

The first two run when `with_features` is called, the third when its result is read. Every executor needs this package with
its compiled kernels (the environment that `make` makes), nothing else; Spark, 4.0 or newer, is not imported here. What tasks
are told (declarations, titles, offers, sums) Spark sends with the functions, as it sends every function; rows travel as Arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR
from rec_platform.config import SourceRules
from rec_platform.dmc12.frame import flat
from rec_platform.errors import ConfigError, SchemaError
from rec_platform.features.generator import FeatureGenerator
from rec_platform.features.records import Records, Reference, Seen, Sides, bands, columns_of
from rec_platform.pipeline import Level, Sources
from rec_platform.timetravel.gathered import Part
from rec_platform.timetravel.kernels import Int64
from rec_platform.timetravel.timeline import Timeline, countries_of, ids

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_BUCKET: Final = "_bucket"
_RECORD: Final = (c.PROFILE, c.KNOWN_AT, c.SIGNUP_AT)
#: A row of a part of the sums: which part, which of its rows, and its numbers as int64.
_SUMS: Final = pa.schema({"part": pa.int32(), "row": pa.int64(), "numbers": pa.binary()})
_SUMS_DDL: Final = "part int, row bigint, numbers binary"


@dataclass(frozen=True)
class SparkPast:
    """What the features are made from.

    Attributes:
        plays: DataFrame of `play_facts`: `PLAY_COLUMNS` and the features' `play_columns`; instants as `timestamp`.
        profiles: DataFrame of `profiles`. Rows of a profile that became known at the same instant must agree: which of them
            is the newest would be their order, and a DataFrame has none.
        titles, availability: as in rec_platform.tables; no availability rows means the source has none.
        rules: the source's rules.
    """

    plays: DataFrame
    profiles: DataFrame
    titles: pa.Table
    availability: pa.Table
    rules: SourceRules


def with_features(contexts: DataFrame, past: SparkPast, step: FeatureGenerator, *, buckets: int) -> DataFrame:
    """The contexts with what the step adds, each as of its own instant: what the step alone gives from all plays.

    Args:
        contexts: DataFrame of DMC-12 rows (one per context, `items` a list of structs) with the columns that the step reads.
        past: what the features are made from.
        buckets: parts of the profiles, at least 1. A task holds one at a time: its plays (60 bytes each) and its contexts
            with their features.

    Returns:
        The DMC-12 rows, in any order: all that was there, features as `double` in `items.features`, and the certificate's
        columns if the step is certified.

    Raises:
        ConfigError: fewer than one bucket.
        SchemaError: a column is missing, or an instant is not a `timestamp`.
    """
    if buckets < 1:
        raise ConfigError(f"{buckets} buckets", place="features on Spark", repair="Give at least 1.")
    step = replace(step, threads=1)  # a task has one core
    read = columns_of(step.feature_set)
    _require(past.plays, read, (c.PLAYED_AT, c.KNOWN_AT), "plays")
    _require(past.profiles, _RECORD, (c.KNOWN_AT, c.SIGNUP_AT), "profiles")
    _require(contexts, [*(_written_name(one.name) for one in step.reads if one.level == Level.CONTEXT), c.ITEMS],
             (c.AT,), "contexts")  # fmt: skip
    plays, country = past.plays.select(*read), _written_name(c.COUNTRY)
    where = contexts.selectExpr(country, f"{_whole(HOUR)} AS hour").distinct().toArrow()
    hours = np.unique(where.column("hour").to_numpy()).astype(np.int64) * HOUR
    job = Job(
        step, _seen(plays), past.titles, past.availability, past.rules, contexts.limit(0).toArrow(),
        countries_of(where.column(country).to_pylist()),
    )  # fmt: skip
    made = [_served(contexts, plays, past.profiles, job, hours, days, buckets) for days in job.bands(hours)]
    return reduce(lambda one, other: one.unionAll(other), made)


def _served(
    contexts: DataFrame, plays: DataFrame, profiles: DataFrame, job: Job, hours: Int64, days: Iterable[int], buckets: int
) -> DataFrame:  # fmt: skip
    """The contexts of some days with their features."""
    mine = hours[np.isin(hours // DAY, list(days))]
    sides, schema = _gathered(plays, job, mine), _schema(contexts, job.step)
    wanted = contexts.where(f"{_whole(DAY)} IN ({', '.join(str(day) for day in days) or 'NULL'})")
    bucket = f"pmod(xxhash64({c.PROFILE}), {buckets}) AS {_BUCKET}"
    records = profiles.select(*_RECORD)
    rows = plays.unionByName(records, allowMissingColumns=True)
    rows = rows.join(wanted.select(c.PROFILE).distinct(), on=c.PROFILE, how="left_semi")
    left, right = (one.selectExpr("*", bucket).groupBy(_BUCKET) for one in (rows, wanted))
    return left.cogroup(right).applyInArrow(lambda past, asked: job.served(sides, past, asked), schema)


def _whole(unit: int) -> str:
    """A context's instant in whole units since 1970, rounded down, as `//` does and Spark's `div` does not."""
    micros = f"unix_micros({c.AT})"
    return f"({micros} - pmod({micros}, {unit})) div {unit}"


def _seen(plays: DataFrame) -> Seen:
    visible = plays.selectExpr(c.TITLE, f"unix_micros(greatest({c.PLAYED_AT}, {c.KNOWN_AT})) AS visible")
    first = (
        visible.groupBy(c.TITLE).agg({"visible": "min"}).toArrow().rename_columns(["title", "visible"]).sort_by("title")
    )
    countries = plays.select(c.COUNTRY).distinct().toArrow().column(c.COUNTRY).to_pylist()
    return Seen(ids(first, "title"), ids(first, "visible"), countries_of(countries))


def _gathered(plays: DataFrame, job: Job, at: Int64) -> Sides:
    """The title-side sums as of the ticks of some instants, over all plays."""
    sides = job.asked(job.records(), at)
    if any(sides.values()):
        of_tasks = plays.mapInArrow(lambda batches: job.sums(at, batches), _SUMS_DDL)
        joins = [part.join for part in _parts(sides)]
        whole = of_tasks.groupBy("part", "row").applyInArrow(lambda rows: joined(joins, rows), _SUMS_DDL)
        take_in(sides, whole.toArrow())
    for side in sides.values():
        side.close()
    return sides


@dataclass(frozen=True)
class Job:
    """What every task is told, and what tasks do.

    Attributes:
        step: adds the features.
        seen: what all plays say.
        titles, availability, rules: as of `SparkPast`.
        none: no contexts, with their columns.
        countries: those of the contexts.
    """

    step: FeatureGenerator
    seen: Seen
    titles: pa.Table
    availability: pa.Table
    rules: SourceRules
    none: pa.Table
    countries: tuple[str, ...]

    def records(self, profile_id: Int64 | None = None, profiles: pa.Table | None = None) -> Records:
        """For timelines of some profiles, given what is known of them; of none."""
        nobody = pa.table({name: pa.array([], pa.int64()) for name in _RECORD})
        reference = Reference(self.titles, nobody if profiles is None else profiles, self.availability, self.rules)
        mine = np.empty(0, dtype=np.int64) if profile_id is None else profile_id
        return Records.of(self.step.feature_set, self.seen, mine, reference)

    def asked(self, records: Records, at: Int64) -> Sides:
        """Empty sums: those that the step will read, as of the ticks of some instants."""
        none = flat(self.none)

        def rehearse(timeline: Timeline) -> object:
            return self.step.apply(none, Sources(timeline))

        return records.asked(at, self.countries, rehearse)

    def bands(self, hours: Int64) -> list[list[int]]:
        """The days of the contexts, as many at a time as their sums may take; one band of no day where there are none."""
        days = np.unique(hours // DAY).tolist()
        return [list(band) for band in bands(days, self.asked(self.records(), hours[:0]))] or [[]]

    def sums(self, at: Int64, plays: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The rows of the sums in which some plays count, with what they add up to."""
        records = self.records()
        sides = self.asked(records, at)
        records.take_in(plays, sides)
        for number, part in enumerate(_parts(sides)):
            counted = np.flatnonzero((part.rows != part.none).any(axis=1))
            yield _rows(number, counted, part)

    def served(self, sides: Sides, past: pa.Table, contexts: pa.Table) -> pa.Table:
        """The contexts of a bucket with what the step adds.

        Args:
            past: the plays and, where `played_at` is null, the records of the bucket's profiles.
        """
        rows = contexts.drop_columns([_BUCKET])
        is_play = past.column(c.PLAYED_AT).is_valid()
        plays, of_profiles = past.filter(is_play), past.filter(pc.invert(is_play)).select(_RECORD)
        _require_one_record(of_profiles)
        records = self.records(np.unique(ids(rows, c.PROFILE)), of_profiles)
        frame = self.step.apply(flat(rows), Sources(records.of_plays(plays, sides)))
        made = {one.name: frame.contexts.column(one.name) for one in self.step.adds if one.level == Level.CONTEXT}
        rows = rows.set_column(rows.schema.get_field_index(c.ITEMS), c.ITEMS, _items(rows, frame.features))
        for name, column in made.items():
            place = rows.schema.get_field_index(name)
            rows = rows.append_column(name, column) if place < 0 else rows.set_column(place, name, column)
        return rows.cast(pa.schema([one.with_type(_in_utc(one.type)) for one in rows.schema]))


def joined(joins: Sequence[np.ufunc], rows: pa.Table) -> pa.Table:
    """One row of the sums, of what several tasks gave for it."""
    join = joins[rows.column("part")[0].as_py()]
    numbers = join.reduce([_numbers(one) for one in rows.column("numbers")])
    return rows.slice(0, 1).set_column(2, _SUMS.field("numbers"), pa.array([numbers.tobytes()], pa.binary()))


def take_in(sides: Sides, rows: pa.Table) -> None:
    """Join rows that tasks gave to the sums."""
    parts = list(_parts(sides))
    for number, row, numbers in zip(
        rows.column("part").to_pylist(), rows.column("row").to_pylist(), rows.column("numbers"), strict=True
    ):
        held = parts[number].rows[row]
        parts[number].join(held, _numbers(numbers), out=held)


def _numbers(of_row: pa.BinaryScalar) -> Int64:
    return np.frombuffer(of_row.as_buffer(), dtype=np.int64)


def _parts(sides: Sides) -> Iterator[Part]:
    return chain.from_iterable(side.parts() for side in sides.values())


def _rows(number: int, rows: Int64, part: Part) -> pa.RecordBatch:
    numbers = pa.array([part.rows[row].tobytes() for row in rows], pa.binary())
    return pa.record_batch([pa.array(np.full(len(rows), number, np.int32)), pa.array(rows), numbers], schema=_SUMS)


def _items(rows: pa.Table, features: pa.Table) -> pa.ListArray:
    """The contexts' items as they were, with these features."""
    lists = rows.column(c.ITEMS).combine_chunks()
    inner, offsets = lists.flatten(), lists.offsets.to_numpy()
    fields = {one.name: inner.field(position) for position, one in enumerate(inner.type)}
    wide = [column.combine_chunks().cast(pa.float64()) for column in features.columns]
    fields[c.FEATURES] = pa.StructArray.from_arrays(wide, names=features.column_names)
    items = pa.StructArray.from_arrays(list(fields.values()), names=list(fields))
    return pa.ListArray.from_arrays(pa.array(offsets - offsets[0]), items)


def _in_utc(kind: pa.DataType) -> pa.DataType:
    """The type with its instants in UTC: they come in the session's time zone, and Spark takes none back but this."""
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    if pa.types.is_list(kind):
        return pa.list_(_in_utc(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([one.with_type(_in_utc(one.type)) for one in kind])
    return kind


def _schema(contexts: DataFrame, step: FeatureGenerator) -> str:
    """The columns of the contexts with what the step adds, as Spark writes them."""
    types = {one.name: one.dataType for one in contexts.schema.fields}
    items = {one.name: one.dataType for one in types[c.ITEMS].elementType.fields}
    found = items[c.FEATURES].fields if c.FEATURES in items else []
    features = {one.name: "double" for one in found} | dict.fromkeys(step.feature_set.names, "double")
    inner = {name: kind.simpleString() for name, kind in items.items()} | {c.FEATURES: _struct(features)}
    whole = {name: kind.simpleString() for name, kind in types.items()} | {c.ITEMS: f"array<{_struct(inner)}>"}
    whole |= dict.fromkeys((one.name for one in step.adds if one.level == Level.CONTEXT), "timestamp")
    return ", ".join(f"`{name}` {kind}" for name, kind in whole.items())


def _struct(fields: Mapping[str, str]) -> str:
    return f"struct<{', '.join(f'`{name}`: {kind}' for name, kind in fields.items())}>"


def _written_name(name: str) -> str:
    """A column of contexts as DMC-12 has it."""
    return c.DMC12_NAMES.get(name, name)


def _require(frame: DataFrame, names: Iterable[str], instants: Iterable[str], what: str) -> None:
    kinds = dict(frame.dtypes)
    missing = [name for name in names if name not in kinds]
    place = f"{what} on Spark"
    if missing:
        raise SchemaError(f"columns missing: {missing}", place=f"{place}, which have {list(kinds)}",
                          repair="Select them with the names of docs/tables.md.")  # fmt: skip
    for name in instants:
        if kinds[name] != "timestamp":
            raise SchemaError(f"{name} is {kinds[name]}, not timestamp", place=place,
                              repair="Give instants in UTC as Spark's TIMESTAMP, which has a time zone.")  # fmt: skip


def _require_one_record(profiles: pa.Table) -> None:
    """Records of a profile known at the same instant are the same: nobody could say which is the newer."""
    rows = profiles.group_by(list(_RECORD)).aggregate([])
    counts = rows.group_by([c.PROFILE, c.KNOWN_AT]).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts.column("count_all"), 1))
    if twice.num_rows:
        first = twice.slice(0, 1).to_pylist()[0]
        raise ConfigError(
            f"profile {first[c.PROFILE]} has records that differ, known at the same instant {first[c.KNOWN_AT]}",
            place="profiles on Spark", repair="Keep the one that counts: rows of a DataFrame have no order to tell.",
        )  # fmt: skip
