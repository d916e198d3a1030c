"""The page docs/tables.md, written from `rec_platform.tables`.

`python -m rec_platform.tables_page > docs/tables.md` brings it up to date; a test says when that is due.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from rec_platform.tables import TABLES, TableSpec

_HEAD: Final = """\
# Tables

Written from `rec_platform/tables/` by `python -m rec_platform.tables_page > docs/tables.md`; change the tables there,
not here.

Every table of the platform in flow order. The partition columns `date` and `country` are folders, not columns of the
files; a reader adds them. Instants are UTC, in microseconds. The rows of a partition stand in the order of the key given,
always. Columns may hold null only where it says so. `struct of double` stands for a struct whose fields depend on
configuration: one `double` per feature or per model.

A worked example. Ana (profile 1) plays title 7 in France for 30 minutes on 2025-03-10 at 20:00, on a train; the delivery
reaches the platform on 2025-03-12 at 06:00. Then

| table | partition | row |
|---|---|---|
| `raw_plays`, `play_facts` | `FR\\|2025-03-10` | the play, with both instants and `watched_ms` 1,800,000 |
| `title_tiles` | `FR\\|2025-03-10` | `known_date` 2025-03-12, `title_id` 7, `plays` 1, `watched_ms` 1,800,000 |
| `profile_tiles` | `FR\\|2025-03-10` | `known_date` 2025-03-12, `profile_id` 1, `plays` 1, `watched_ms` 1,800,000 |
| `profile_snapshot` | `FR\\|2025-03-12` | none: at 00:00 of the 12th nobody knew of the play |
| `profile_snapshot` | `FR\\|2025-03-13` | `profile_id` 1, `plays_1d` 0, `plays_7d`, `plays_28d` and `plays_90d` 1 |
"""


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([_HEAD, *(_section(spec) for spec in TABLES)])


def _section(spec: TableSpec) -> str:
    key = ", ".join(f"`{name}`" for name in spec.order)
    unique = "unique in a partition" if spec.unique else "need not be unique"
    facts = f"- stage: `{spec.stage}`\n- partitioned by: {spec.grain.value}\n- one row: {spec.one_row}\n"
    columns = "\n".join(line for field in spec.schema for line in _rows(field, ""))
    return (
        f"## {spec.name}\n\n{facts}- key and order: {key} ({unique})\n\n"
        f"| column | type | null | what it is |\n|---|---|---|---|\n{columns}\n"
    )


def _rows(field: pa.Field, prefix: str) -> list[str]:
    """The line of a column, then those of the fields inside a list of structs."""
    about = (field.metadata or {}).get(b"about", b"").decode().replace("|", "\\|")
    null = "yes" if field.nullable else ""
    name = prefix + field.name
    own = f"| `{name}` | {_type(field.type)} | {null} | {about} |"
    inner = field.type.value_type if pa.types.is_list(field.type) else None
    if inner is None or not pa.types.is_struct(inner):
        return [own]
    return [own, *(line for leaf in inner for line in _rows(leaf, f"{name}."))]


def _type(kind: pa.DataType) -> str:
    """A type as readers of the docs know it.

    >>> _type(pa.list_(pa.string())), _type(pa.timestamp("us", tz="UTC"))
    ('list of string', 'instant')
    """
    if pa.types.is_timestamp(kind):
        return "instant"
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "struct" if kind.num_fields else "struct of double"
    return {"date32[day]": "date"}.get(str(kind), str(kind))


if __name__ == "__main__":
    print(page(), end="")
