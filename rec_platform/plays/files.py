"""Delivered files as batches of texts: CSV, JSONL and Parquet all come out the same way, a bounded piece at a time.

A `Batch` holds rows with their number in the file and one text column per delivered column. A row that cannot be taken
apart (a field too few, a line that is no JSON object) keeps its number and its whole text instead.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from rec_platform.engine.duckdb import connect
from rec_platform.errors import SourceError
from rec_platform.plays.mapping import FAULT_KEY, LINE_KEY, Layout
from rec_platform.plays.typed import NOT_UTF8

_BLOCK_BYTES: Final = 8 << 20
_BATCH_ROWS: Final = 131_072
#: A separator that no text line holds: lines are read as rows of one column.
_NEVER: Final = "\x1e"
_ESCAPED: Final = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Batch:
    """Rows of one file.

    Attributes:
        names: the delivered columns, in the file's order.
        rows: `line` (int64, from 1), `fault` and `whole` (text, null in sound rows), then `c0`, `c1`, ... (text): the
            columns of `names`, null where nothing was delivered.
    """

    names: tuple[str, ...]
    rows: pa.Table


@dataclass(frozen=True)
class Probe:
    """What one pass over a file's bytes tells: its SHA-256 and whether all of it is UTF-8."""

    sha256: str
    utf8: bool


def probe(path: Path) -> Probe:
    """Hash a file; `SourceError` where it cannot be read or holds nothing."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8, size = True, 0
    with _readable(path), path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
            size += len(block)
            utf8 = utf8 and _decodes(decoder, block)
    if not size:
        raise SourceError("the file is empty (0 bytes)", place=path.name, repair="Deliver it again, or leave it out.")
    return Probe(digest.hexdigest(), utf8 and _decodes(decoder, b"", final=True))


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"the file cannot be read: {error.strerror or error}", place=path.name,
            repair="Check that it exists, is a file, and may be read.",
        ) from None  # fmt: skip
    except (pa.ArrowException, csv.Error) as error:
        raise SourceError(
            f"the file cannot be read: {str(error).splitlines()[0][:300]}", place=path.name,
            repair="It is damaged, or not in the format the mapping names; deliver it again.",
        ) from None  # fmt: skip


def batches(path: Path, layout: Layout, utf8: bool) -> Iterator[Batch]:
    """The rows of a file, in order; `SourceError` where the file as a whole cannot be read."""
    with _readable(path):
        if layout.format == "parquet":
            yield from _parquet(path)
        elif layout.format == "jsonl":
            yield from _jsonl(path, utf8)
        elif len(layout.delimiter) > 1:
            yield from _split(path, layout, utf8)
        else:
            yield from _csv(path, layout, utf8)


# --- texts -----------------------------------------------------------------------------------------------------------


class _Repaired(io.RawIOBase):
    """A file's bytes as UTF-8, each byte that is none replaced by a mark and its two hex digits."""

    def __init__(self, path: Path) -> None:
        self._source = path.open("rb")
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._ready = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._ready) < size:
            block = self._source.read(1 << 20)
            text = self._decoder.decode(block, final=not block)
            self._ready += _ESCAPED.sub(lambda bad: f"{NOT_UTF8}{ord(bad[0]) - 0xDC00:02x}", text).encode()
            if not block:
                break
        size = len(self._ready) if size < 0 else size
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def close(self) -> None:
        self._source.close()
        super().close()


def _open(path: Path, utf8: bool) -> Any:
    return pa.OSFile(str(path)) if utf8 else pa.PythonFile(_Repaired(path), mode="r")


def _csv(path: Path, layout: Layout, utf8: bool) -> Iterator[Batch]:
    names = layout.columns or _header(path, layout.delimiter)
    numbering = _Numbering(names, layout.delimiter, header=layout.header)
    yield from _text_rows(path, utf8, numbering, quoted=True, skip=int(layout.header))


def _header(path: Path, delimiter: str) -> tuple[str, ...]:
    with path.open("rb") as handle:
        line = handle.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
    fields = next(csv.reader([line], delimiter=delimiter)) if len(delimiter) == 1 else line.split(delimiter)
    return _checked_names(tuple(name.strip() for name in fields), path)


def _checked_names(names: tuple[str, ...], path: Path) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1} | ({FAULT_KEY, LINE_KEY} & set(names)))
    if twice or not all(names):
        raise SourceError(
            f"the header names {', '.join(map(repr, twice)) or 'a column without a name'} in a way that cannot be kept apart",
            place=path.name, repair=f"Give each column its own name; the header is {list(names)}.",
        )  # fmt: skip
    return names


@dataclass
class _Numbering:
    """Gives rows their number in the file while refused ones are told apart from them."""

    names: tuple[str, ...]
    delimiter: str
    header: bool = False
    refused: list[tuple[int, int, str]] = field(default_factory=list)
    _next: int = 1
    _shown: int = 0

    def refuse(self, row: Any) -> str:
        """The reader's handler of a row with too few or too many fields."""
        self.refused.append((row.number - int(self.header), row.actual_columns, row.text))
        return "skip"

    def batch(self, good: list[pa.Array]) -> pa.Table:
        """Good rows, and the rows refused since the last batch, with their numbers."""
        count = len(good[0])
        bad = np.array([number for number, _, _ in self.refused], dtype=np.int64)
        span = np.arange(self._next, self._next + count + len(bad))
        numbers = span[~np.isin(span, bad)][:count]
        self._next = int(numbers[-1]) + 1 if count else self._next
        fresh = self.refused[self._shown :]
        self._shown = len(self.refused)
        rows = _rows(numbers + self._shift(numbers), good)
        return pa.concat_tables([rows, *self._refused_rows(fresh)]) if fresh else rows

    def _shift(self, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """How many rows more than the reader counted stand before each row: those inside an open quote."""
        bad = np.array([number for number, _, _ in self.refused], dtype=np.int64)
        lines = np.cumsum([0, *(len(_lines(text)) - 1 for _, _, text in self.refused)])
        return np.asarray(lines[np.searchsorted(bad, numbers)])

    def _refused_rows(self, refused: Sequence[tuple[int, int, str]]) -> Iterator[pa.Table]:
        """An open quote swallows the rows after it: each is looked at by itself, so that only its own row is lost."""
        for number, found, text in refused:
            start = number + int(self._shift(np.array([number]))[0])
            lines = _lines(text)
            for offset, line in enumerate(lines):
                fields = _fields(line, self.delimiter) if len(lines) > 1 else []
                if len(fields) == len(self.names):
                    yield _rows(np.array([start + offset]), [pa.array([text], pa.string()) for text in fields])
                else:
                    n = len(fields) if len(lines) > 1 else found
                    fault = f"{n} fields where {len(self.names)} belong"
                    yield _faulty(start + offset, fault, line, len(self.names))


def _lines(text: str) -> list[str]:
    return text.splitlines() or [""]


def _fields(line: str, delimiter: str) -> list[str]:
    """The fields of a line standing alone; one that opens a quote and does not close it counts as a single field."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        return [line]


def _rows(numbers: np.ndarray[Any, Any], texts: Sequence[pa.Array]) -> pa.Table:
    nothing = pa.nulls(len(numbers), pa.string())
    columns = {f"c{place}": text for place, text in enumerate(texts)}
    return pa.table({"line": pa.array(numbers, pa.int64()), "fault": nothing, "whole": nothing, **columns})


def _faulty(number: int, fault: str, whole: str, width: int) -> pa.Table:
    nothing = {f"c{place}": pa.nulls(1, pa.string()) for place in range(width)}
    return pa.table(
        {
            "line": pa.array([number], pa.int64()),
            "fault": pa.array([fault], pa.string()),
            "whole": pa.array([whole], pa.string()),
            **nothing,
        }
    )


def _text_rows(path: Path, utf8: bool, numbering: _Numbering, *, quoted: bool, skip: int) -> Iterator[Batch]:
    names = [f"c{place}" for place in range(len(numbering.names))]
    with _open(path, utf8) as source:
        try:
            reader = pa_csv.open_csv(
                source,
                pa_csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, skip_rows=skip, column_names=names),
                pa_csv.ParseOptions(
                    delimiter=numbering.delimiter,
                    quote_char='"' if quoted else False,
                    newlines_in_values=quoted,
                    ignore_empty_lines=True,
                    invalid_row_handler=numbering.refuse,
                ),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" not in str(error):
                raise
            reader = ()
        empty = [pa.array([], pa.string())] * len(names)
        for batch in reader:
            yield Batch(numbering.names, numbering.batch(batch.columns))
    yield Batch(numbering.names, numbering.batch(empty))


def _line_rows(path: Path, utf8: bool) -> Iterator[pa.Table]:
    """`line` and `c0`, the text of each line that is not blank."""
    for batch in _text_rows(path, utf8, _Numbering(("line",), _NEVER), quoted=False, skip=0):
        yield batch.rows


def _split(path: Path, layout: Layout, utf8: bool) -> Iterator[Batch]:
    """Fields between separators of several characters; such files quote nothing."""
    names = layout.columns or _header(path, layout.delimiter)
    fields = ", ".join(f"CASE WHEN sound THEN parts[{place + 1}] END AS c{place}" for place in range(len(names)))
    statement = f"""
        WITH split AS (SELECT line - $skip AS line, coalesce(whole, c0) AS text, string_split(c0, $delimiter) AS parts
                       FROM lines WHERE line > $skip),
        told AS (SELECT *, coalesce(len(parts), 1) = {len(names)} AS sound FROM split)
        SELECT line, CASE WHEN NOT sound THEN coalesce(len(parts), 1) || ' fields where {len(names)} belong' END AS fault,
            CASE WHEN NOT sound THEN text END AS whole, {fields} FROM told"""
    for lines in _line_rows(path, utf8):
        yield Batch(names, _query(statement, {"delimiter": layout.delimiter, "skip": int(layout.header)}, lines=lines))


def _jsonl(path: Path, utf8: bool) -> Iterator[Batch]:
    """Each line a JSON object; what a value's text is: a string's own, and the JSON of anything else."""
    for lines in _line_rows(path, utf8):
        known = _query(
            """SELECT line, coalesce(whole, c0) AS text,
                   json_valid(c0) AND json_type(CASE WHEN json_valid(c0) THEN c0 END) = 'OBJECT' AS sound FROM lines""",
            {},
            lines=lines,
        )
        keys = _query(
            "SELECT DISTINCT unnest(json_keys(text)) AS key FROM lines WHERE sound ORDER BY key", {}, lines=known
        )
        names = _checked_names(tuple(keys.column("key").to_pylist()), path)
        fields = "".join(f", CASE WHEN sound THEN x[{place + 1}] END AS c{place}" for place in range(len(names)))
        statement = f"""
            SELECT line, CASE WHEN sound IS NOT TRUE THEN 'not a JSON object' END AS fault,
                CASE WHEN sound IS NOT TRUE THEN text END AS whole {fields}
            FROM (SELECT *, CASE WHEN sound THEN json_extract_string(text, $pointers) END AS x FROM lines)"""
        pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
        yield Batch(names, _query(statement, {"pointers": pointers}, lines=known))


def _parquet(path: Path) -> Iterator[Batch]:
    """Values as DuckDB writes them (`49866.0`, `2022-04-10 00:00:00`), lists and structs as JSON."""
    file = pq.ParquetFile(path)
    names = _checked_names(tuple(file.schema_arrow.names), path)
    texts = ", ".join(
        f"to_json(c{place})::VARCHAR AS c{place}" if pa.types.is_nested(kind) else f"c{place}::VARCHAR AS c{place}"
        for place, kind in enumerate(file.schema_arrow.types)
    )
    statement = f"SELECT line, NULL::VARCHAR AS fault, NULL::VARCHAR AS whole, {texts} FROM lines"
    done = 0
    for batch in file.iter_batches(_BATCH_ROWS):
        lines = pa.table({"line": pa.array(np.arange(done + 1, done + 1 + batch.num_rows))})
        for place, column in enumerate(batch.columns):
            lines = lines.append_column(f"c{place}", column)
        done += batch.num_rows
        yield Batch(names, _query(statement, {}, lines=lines))
    if not done:
        yield Batch(names, _rows(np.array([], dtype=np.int64), [pa.array([], pa.string())] * len(names)))


def _query(statement: str, params: dict[str, Any], *, lines: pa.Table) -> pa.Table:
    connection = connect()
    connection.register("lines", lines)
    return connection.sql(statement, params=params).to_arrow_table()
