"""SQL expressions whose spelling differs between engines, as DuckDB spells them.

Each function takes and gives SQL text built by the library alone. Text that a user wrote (a column's name, a format, a
constant) never becomes part of a query: it is bound as a parameter, and arrives here as the parameter's name.
"""

from __future__ import annotations

from typing import Final

_WHOLE: Final = r"[+-]?[0-9]{1,19}(\.0*)?"
_NUMBER: Final = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"
_ZONE: Final = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_CLOCK: Final = r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
_ISO: Final = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}({_CLOCK}{_ZONE}?)?"
_ISO_ZONED: Final = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_CLOCK}{_ZONE}"


def json_texts(json: str, pointers: str) -> str:
    """A list of the texts under a list of JSON pointers; null where there is none."""
    return f"json_extract_string({json}, {pointers})"


def json_list(text: str) -> str:
    """The texts of a JSON list; null where `text` is not one."""
    is_list = (
        f"json_valid({text}) AND coalesce(json_type(CASE WHEN json_valid({text}) THEN {text} END) = 'ARRAY', false)"
    )
    return f"CASE WHEN {is_list} THEN json_extract_string({text}, '$[*]') END"


def whole_number(text: str) -> str:
    """BIGINT of `12`, `-3` or `17850.0`; null for anything else."""
    return (
        f"CASE WHEN regexp_full_match({text}, '{_WHOLE}') "
        f"THEN TRY_CAST(regexp_replace({text}, '\\.0*$', '') AS BIGINT) END"
    )


def number(text: str) -> str:
    """DOUBLE of a finite decimal number; null for anything else (`nan`, `inf`, `1_000` included)."""
    return f"CASE WHEN regexp_full_match({text}, '{_NUMBER}') THEN TRY_CAST({text} AS DOUBLE) END"


def scaled(text: str, factor: str) -> str:
    """BIGINT of a number times `factor`, rounded half away from zero; null where either step fails."""
    return f"TRY_CAST(round(({number(text)}) * {factor}) AS BIGINT)"


def instant_iso(text: str, zone: str) -> str:
    """Microseconds since 1970 of ISO 8601 text; text without an offset is local time of `zone`."""
    return (
        f"CASE WHEN regexp_full_match({text}, '{_ISO_ZONED}') THEN epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)) "
        f"WHEN regexp_full_match({text}, '{_ISO}') "
        f"THEN epoch_us(timezone({zone}, TRY_CAST({text} AS TIMESTAMP))) END"
    )


def instant_epoch(text: str, per_unit: str) -> str:
    """Microseconds since 1970 of a decimal count of units, `per_unit` microseconds each, without rounding errors."""
    digits = f"CASE WHEN regexp_full_match({text}, '-?[0-9]{{1,17}}(\\.[0-9]*)?') THEN {text} END"
    return f"TRY_CAST(round(TRY_CAST({digits} AS DECIMAL(38, 6)) * {per_unit}) AS BIGINT)"


def instant_parsed(text: str, pattern: str, zone: str | None) -> str:
    """Microseconds since 1970 of text in a strptime pattern, local time of `zone` (None: the pattern holds %z)."""
    moment = f"try_strptime({text}, {pattern})"
    return f"epoch_us({moment})" if zone is None else f"epoch_us(timezone({zone}, {moment}))"


def first_group(text: str, pattern: str) -> str:
    """What the first group of a regular expression matches; null where it does not."""
    return f"nullif(regexp_extract({text}, {pattern}, 1), '')"


def text_hash(text: str) -> str:
    """A stable 63-bit number of a text: the first 8 bytes of its MD5, shifted right by one bit."""
    return f"CAST(CAST('0x' || substr(md5({text}), 1, 16) AS UBIGINT) >> 1 AS BIGINT)"


def instant(micros: str) -> str:
    """A timestamp with time zone UTC from microseconds since 1970."""
    return f"make_timestamptz({micros})"


def day(micros: str) -> str:
    """The UTC date of microseconds since 1970."""
    return f"CAST(make_timestamp({micros}) AS DATE)"
