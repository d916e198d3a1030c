"""The language of conditions: what it says, what it refuses, and that nothing of it reaches a query."""

from __future__ import annotations

import pytest

from rec_platform.engine.duckdb import connect
from rec_platform.errors import ConfigError
from rec_platform.plays.conditions import (
    Both,
    Compare,
    Empty,
    OneOf,
    StartsWith,
    columns_of,
    condition_sql,
    number_columns_of,
    parse_condition,
)


def holds(text: str, **row: str | None) -> bool | None:
    """The condition judged by the engine on one row of texts."""
    condition = parse_condition(text, place="test")
    params: dict[str, object] = {}

    def bind(value: object) -> str:
        params[f"p{len(params)}"] = value
        return f"$p{len(params) - 1}"

    columns = {name: bind(value) for name, value in row.items()}
    statement = condition_sql(condition, lambda name: f"CAST({columns[name]} AS VARCHAR)", bind)
    assert not any(quoted in statement for quoted in ("'x'", "drop", "evil")), statement
    return connect().execute(f"SELECT {statement}", params).fetchone()[0]


def test_and_binds_tighter_than_or():
    assert parse_condition("a > 1 or b > 2 and c > 3", place="test") == Both(
        "or", (Compare("a", ">", 1.0), Both("and", (Compare("b", ">", 2.0), Compare("c", ">", 3.0))))
    )


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("Quantity >= -2.5", Compare("Quantity", ">=", -2.5)),
        ("Kind = 'x'", OneOf("Kind", ("x",), negated=False)),
        ("Kind != 'x'", OneOf("Kind", ("x",), negated=True)),
        ("Kind not in ('x', 'y')", OneOf("Kind", ("x", "y"), negated=True)),
        ("not InvoiceNo startswith 'C'", StartsWith("InvoiceNo", "C", negated=True)),
        ("InvoiceNo not startswith 'C'", StartsWith("InvoiceNo", "C", negated=True)),
        ("`a column` is not empty", Empty("a column", negated=True)),
        ("(Kind is empty)", Empty("Kind", negated=False)),
    ],
)
def test_each_test_has_its_tree(text, tree):
    assert parse_condition(text, place="test") == tree


@pytest.mark.parametrize(
    ("text", "row", "verdict"),
    [
        ("n > 1 and k startswith 'C'", {"n": "2", "k": "C5"}, True),
        ("n > 1", {"n": "1.0"}, False),
        ("n > 1", {"n": None}, None),
        ("n > 1", {"n": "two"}, None),
        ("n > 1", {"n": "nan"}, None),
        ("n > 1 or k is empty", {"n": None, "k": None}, True),
        ("k not startswith 'C'", {"k": None}, True),
        ("k in ('x', 'y')", {"k": "y"}, True),
        ("k != 'x'", {"k": None}, True),
        ("k startswith '%'", {"k": "C5"}, False),
    ],
)
def test_what_conditions_say(text, row, verdict):
    assert holds(text, **row) is verdict


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a >",
        "a > b",
        "a > 1; drop table x",
        "a > 1 -- evil",
        'a = "x"',
        "a > 1)",
        "(a > 1",
        "a startswith 5",
        "a like 'x%'",
        "read_csv('/etc/passwd') > 1",
        "a > 1 union select 1",
        "a in ()",
        "a > 1e",
        "a > 0x10",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ConfigError, match=r"in condition .*docs/mapping\.md"):
        parse_condition(text, place="test")


@pytest.mark.parametrize("evil", ["'; DROP TABLE x; --", "x' OR '1'='1", "$p0"])
def test_constants_stay_constants(evil):
    if "'" not in evil:
        assert holds(f"k = '{evil}'", k=evil) is True
    else:
        with pytest.raises(ConfigError):
            parse_condition(f"k = '{evil}' nonsense", place="test")


def test_columns_are_named_once_in_order():
    condition = parse_condition("b > 1 and a startswith 'x' and b < 9", place="test")
    assert columns_of(condition) == ("b", "a") and number_columns_of(condition) == ("b",)
