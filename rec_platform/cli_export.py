"""`rec-platform export`: what was measured, as files that other tools read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import typer

from rec_platform import clock, commands
from rec_platform import columns as c
from rec_platform.config import EvaluationConfig
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.errors import KeyRefused, MissingInput
from rec_platform.evaluation import metric_rows
from rec_platform.evaluation.export import context_values, trec_qrels, trec_run
from rec_platform.evaluation.metrics import STANDARD
from rec_platform.evaluation.own import KNOWN, Own
from rec_platform.flow import Platform
from rec_platform.judging import Files, sums_of
from rec_platform.partition import Partition
from rec_platform.plays.reference import source_ids
from rec_platform.stage import Input, Reader
from rec_platform.tables import SCORES_TABLE, TITLES
from rec_platform.terminal import (
    DEFAULT_HOME,
    AsJson,
    Countries,
    First,
    Home,
    Last,
    With,
    days_of,
    print_pairs,
    progress,
    to_write,
)

BATCH: Final = 4_096
KINDS: Final = ("metrics", "contexts", "run", "qrels")
Progress = Callable[[str, float], None]


def export(
    what: Annotated[str, typer.Argument(help="metrics (CSV), contexts (Parquet), run or qrels (TREC).")],
    first: First,
    last: Last,
    out: Annotated[Path, typer.Option("--out", help="The file to write.", dir_okay=False, callback=to_write())],
    model: Annotated[str, typer.Option(help="Of a run.")] = "",
    countries: Countries = "",
    own: With = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Write metrics, values per context, or a TREC run and its qrels of some days.

    Example: rec-platform export run --model xgboost --from 2011-12-01 --to 2011-12-07 --out xgboost.run
    """
    days = days_of(first, last)
    with progress("export") as bar:
        made = exported(
            home, what, *days, commands.countries(countries), model=model, out=out, progress=bar, files=own or []
        )
    print_pairs(made, "Export", as_json=as_json)


def exported(
    home: Path, what: str, first: date, last: date, countries: Sequence[str], *, model: str, out: Path, progress: Progress,
    files: Sequence[Path] = (),
) -> dict[str, int | str]:  # fmt: skip
    """Write the file; what it holds. `MissingInput` where nothing is published for the days."""
    if what not in KINDS:
        raise KeyRefused(f"no export {what!r}", place="export", repair=f"There are: {', '.join(KINDS)}.")
    if what == "run" and not model:
        raise KeyRefused("a run is of one model", place="export", repair="Name it with --model.")
    platform = Platform(home)
    settings, own = platform.settings.evaluation, Files.of(platform.settings, files)
    reader = platform.reader(
        Input(SCORES_TABLE.name, first, last, every_country=True, optional=True), Input(TITLES.name)
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    if what == "metrics":
        sums = sums_of(platform, first, last, countries, by=None, files=own)
        rows = metric_rows(sums, min_contexts=settings.min_contexts, accumulators=own.accumulators)
        return {"file": str(out), "rows": _metrics(rows, out)}
    frames = _frames(reader, first, last, countries, progress)
    if what == "contexts":
        return {"file": str(out), "rows": _contexts(frames, out, settings, own.stored + own.given)}
    names = source_ids(reader.read(TITLES.name, [Partition()]), c.TITLE)
    lines = trec_run(frames, model, names, top=settings.keep_top) if what == "run" else trec_qrels(frames, names)
    with out.open("w", encoding="utf-8") as file:
        return {"file": str(out), "lines": sum(1 for line in lines if file.write(line))}


def _frames(
    reader: Reader, first: date, last: date, countries: Sequence[str], progress: Progress
) -> Iterator[Frame]:  # fmt: skip
    days = clock.days_between(first, last)
    chosen = [one for day in days for one in reader.published(SCORES_TABLE.name, day)]
    chosen = [one for one in chosen if not countries or one.place in countries]
    if not chosen:
        raise MissingInput(
            "no scores are published for these days and countries", place="export",
            repair="Run `rec-platform run --from A --to B` for them first.",
        )  # fmt: skip
    for place, one in enumerate(chosen):
        progress(one.key, place / len(chosen))
        for path in reader.files(SCORES_TABLE.name, [one]):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    yield flat(pa.Table.from_batches([batch]))


def _metrics(rows: pa.Table, out: Path) -> int:
    """A tidy CSV: one number a row, its rules in columns of their own."""
    name = "rules"
    if name in rows.column_names:
        told = [json.loads(text) for text in rows.column(name).to_pylist()]
        rows = rows.drop_columns([name])
        for key in told[0] if told else ():
            rows = rows.append_column(f"rule_{key}", pa.array([str(one[key]) for one in told]))
    pa_csv.write_csv(rows, out)
    return int(rows.num_rows)


def _contexts(frames: Iterator[Frame], out: Path, settings: EvaluationConfig, own: Own) -> int:
    """A row per context and model; columns that one model has and another has not are null there."""
    rows, writer = 0, None
    metrics = STANDARD + tuple(one for one in own.metrics if not KNOWN & set(one.needs))
    try:
        for frame in frames:
            tables = context_values([frame], metrics=metrics, cutoffs=settings.cutoffs, list_length=settings.keep_top)
            table = pa.concat_tables(tables, promote_options="default")
            writer = writer or pq.ParquetWriter(out, table.schema)
            writer.write_table(table.cast(writer.schema))
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows
