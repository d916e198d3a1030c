"""From delivered texts to typed values: one SELECT over landed rows, built from a mapping.

A landed row is a JSON object of texts. `Reading` collects, for the columns a mapping reads, the expressions that type them
and the conditions under which a text cannot be typed (rule `unreadable`, with the column and the text) or says what cannot
be (rule `impossible`). Texts of the mapping are bound as parameters; the SQL holds generated names only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rec_platform.clock import DAY, FIRST_DAY, LAST_DAY, midnight
from rec_platform.engine import dialect
from rec_platform.plays.conditions import condition_sql, number_columns_of, parse_condition
from rec_platform.plays.countries import NAME_PATTERN
from rec_platform.plays.mapping import (
    FAULT_KEY,
    AvailabilityMapping,
    CountryRule,
    IdColumn,
    Length,
    ListColumns,
    Moment,
    PlaysMapping,
    ProfilesMapping,
    TitlesMapping,
)

#: The table `text` -> `code` that a statement of a `Reading` joins.
CODES: Final = "country_codes"
#: Marks bytes that were not UTF-8 (a noncharacter, never part of an interchanged text), followed by their two hex digits.
NOT_UTF8: Final = "\ufdd0"
#: Instants a play may bear: days from `FIRST_DAY` to `LAST_DAY`.
EARLIEST: Final = midnight(FIRST_DAY)
LATEST: Final = midnight(LAST_DAY) + DAY - 1
#: Longer than any play; guards sums against overflow.
LONGEST_MS: Final = 366 * 86_400_000

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "min": 60_000}
_INT32: Final = 2**31 - 1


class Reading:
    """Typed values, faults and parameters of one section of a mapping, collected column by column."""

    def __init__(self) -> None:
        self.columns: list[str] = []
        self.values: dict[str, str] = {}
        self.params: dict[str, Any] = {}
        self.unreadable: list[tuple[str, str, str]] = []
        self.impossible: list[tuple[str, str, str]] = []
        self.country_text: str | None = None

    # --- pieces ------------------------------------------------------------------------------------------------------

    def bind(self, value: object) -> str:
        """The parameter of a constant; equal constants share one."""
        for name, known in self.params.items():
            if type(known) is type(value) and known == value:
                return f"${name}"
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"${name}"

    def text(self, column: str) -> str:
        """The delivered text of a column, trimmed; null where it is empty."""
        if column not in self.columns:
            self.columns.append(column)
        return f"t{self.columns.index(column)}"

    def value(self, alias: str, expression: str) -> str:
        self.values[alias] = expression
        return alias

    def optional(self, alias: str, column: str | None, expression: str, *, kind: str) -> None:
        """A value that may be empty, but where text stands must be readable. `expression` holds `{text}`."""
        if column is None:
            self.value(alias, f"CAST(NULL AS {kind})")
            return
        text = self.text(column)
        self.value(alias, expression.replace("{text}", text))
        self.unreadable.append((f"{text} IS NOT NULL AND {alias} IS NULL", column, text))

    def needed(self, alias: str, column: str, expression: str) -> None:
        """A value without which the row cannot be placed in time or space."""
        text = self.text(column)
        self.value(alias, expression.replace("{text}", text))
        self.unreadable.append((f"{alias} IS NULL", column, text))

    def refuse(self, condition: str, column: str | None) -> None:
        """Rows that say what cannot be, by a condition over values."""
        if column is not None:
            self.impossible.append((f"coalesce({condition}, false)", column, self.text(column)))

    # --- columns of the mapping --------------------------------------------------------------------------------------

    def identify(self, alias: str, rule: IdColumn) -> None:
        whole = dialect.whole_number("{text}")
        self.optional(
            alias, rule.column, whole if rule.kind == "integer" else dialect.text_hash("{text}"), kind="BIGINT"
        )
        source = f"CAST({alias} AS VARCHAR)" if rule.kind == "integer" else self.text(rule.column)
        self.value(f"{alias}_source", source)

    def moment(self, rule: Moment) -> str:
        """The expression of an instant over `{text}`."""
        text = "{text}" if rule.pattern is None else dialect.first_group("{text}", self.bind(rule.pattern))
        match rule.format:
            case "iso":
                return dialect.instant_iso(text, self.bind(rule.time_zone))
            case "epoch_s":
                return dialect.instant_epoch(text, "1000000")
            case "epoch_ms":
                return dialect.instant_epoch(text, "1000")
            case "year":
                return dialect.instant_iso(f"{text} || '-01-01'", self.bind(rule.time_zone))
        zone = None if "%z" in rule.format else self.bind(rule.time_zone)
        return dialect.instant_parsed(text, self.bind(rule.format), zone)

    def length(self, alias: str, rule: Length | None) -> None:
        factor = _UNITS_MS[rule.unit] if rule else 1
        self.optional(alias, rule.column if rule else None, dialect.scaled("{text}", str(factor)), kind="BIGINT")
        self.refuse(f"{alias} NOT BETWEEN 0 AND {LONGEST_MS}", rule.column if rule else None)

    def country(self, alias: str, rule: CountryRule | None, *, needed: bool) -> None:
        """A code, by joining `CODES`; names that are none of its are `ZZ`."""
        if rule is None or rule.column is None:
            self.value(alias, "CAST(NULL AS VARCHAR)" if rule is None else self.bind(rule.constant))
            return
        text = self.text(rule.column)
        self.country_text = f"lower({text})" if rule.kind == "name" else text
        found = "code"
        if rule.kind == "name":
            is_name = f"regexp_full_match({text}, {self.bind(NAME_PATTERN)})"
            found = f"coalesce(code, CASE WHEN {is_name} THEN 'ZZ' END)"
        (self.needed if needed else self._optional_text)(alias, rule.column, found)

    def _optional_text(self, alias: str, column: str, expression: str) -> None:
        self.optional(alias, column, expression, kind="VARCHAR")

    def texts(self, alias: str, rule: ListColumns | None) -> None:
        """A list of texts, empty where there is none."""
        if rule is None:
            self.value(alias, "CAST([] AS VARCHAR[])")
            return
        left_out = self.bind([*rule.leave_out, ""])
        if rule.kind == "multi_hot":
            marked = [
                f"CASE WHEN ({dialect.number(self.text(name))}) <> 0 THEN {self.bind(name)} END"
                for name in rule.columns
            ]
            listed = f"[{', '.join(marked)}]"
        elif rule.kind == "split":
            listed = f"string_split({self.text(rule.column)}, {self.bind(rule.separator)})"
        else:
            listed = dialect.json_list(self.text(rule.column))
        kept = f"list_filter(list_transform({listed}, lambda x: trim(x)), lambda x: NOT list_contains({left_out}, x))"
        self.value(alias, f"coalesce({kept}, CAST([] AS VARCHAR[]))")
        if rule.kind == "list":
            text = self.text(rule.column)
            self.unreadable.append((f"{text} IS NOT NULL AND ({listed}) IS NULL", rule.column, text))

    # --- the statement -----------------------------------------------------------------------------------------------

    def statement(self, source: str, then: str) -> str:
        """`WITH ... judged AS (...) <then>`, where `judged` has the source's columns, the values, `unreadable` and
        `impossible` (what is wrong, or null)."""
        fault = self.text(FAULT_KEY)
        pointers = self.bind([_pointer(name) for name in self.columns])
        texts = ", ".join(f"nullif(trim(x[{place + 1}]), '') AS t{place}" for place in range(len(self.columns)))
        values = ", ".join(f"{expression} AS {alias}" for alias, expression in self.values.items())
        join = f"LEFT JOIN {CODES} ON {self.country_text} = {CODES}.text" if self.country_text else ""
        garbled = f"contains(delivered, {self.bind(NOT_UTF8)})"
        return f"""
            WITH fields AS (SELECT *, {dialect.json_texts("delivered", pointers)} AS x FROM {source}),
            texts AS (SELECT * EXCLUDE (x), {texts} FROM fields),
            typed AS (SELECT texts.*, {values} FROM texts {join}),
            judged AS (
                SELECT *,
                    CASE WHEN {fault} IS NOT NULL THEN {fault}
                         WHEN {garbled} THEN 'bytes that are not UTF-8'
                         {self._cases(self.unreadable)} END AS unreadable,
                    CASE WHEN false THEN '' {self._cases(self.impossible)} END AS impossible
                FROM typed
            )
            {then}"""

    def _cases(self, faults: Iterable[tuple[str, str, str]]) -> str:
        return " ".join(
            f"WHEN {condition} THEN {self.bind(column)} || ': ' || coalesce(left({text}, 200), '(empty)')"
            for condition, column, text in faults
        )


def _pointer(column: str) -> str:
    """The JSON pointer of a column: no character of a name is special in it but these two."""
    return "/" + column.replace("~", "~0").replace("/", "~1")


def play_reading(plays: PlaysMapping) -> Reading:
    """Values of a play: `profile`, `title`, `played`, `ended`, `known` (microseconds), `place`, `watched`, `runtime`, ...,
    `identity` (the text by which duplicates are told), `has_ids`, and `keeps_0`, `keeps_1`, ... per filter."""
    read = Reading()
    read.needed("played", plays.played_at.column, read.moment(plays.played_at))
    read.country("place", plays.country, needed=True)
    read.identify("profile", plays.profile)
    read.identify("title", plays.title)
    read.length("watched", plays.duration)
    read.length("runtime_or_0", plays.runtime)
    read.value("runtime", "nullif(runtime_or_0, 0)")
    _known(read, plays)
    _extras(read, plays)
    _identity(read, plays)
    _conditions(read, plays)
    outside = f"NOT BETWEEN {EARLIEST} AND {LATEST}"
    read.impossible.insert(
        0, (f"coalesce(played {outside}, false)", plays.played_at.column, read.text(plays.played_at.column))
    )
    if plays.known_at.column:
        read.refuse(f"told {outside}", plays.known_at.column)
    return read


def _known(read: Reading, plays: PlaysMapping) -> None:
    """`known` is never before the play ended; `told` is what the rule says."""
    read.value("ended", "played + 1000 * coalesce(watched, 0)")
    match plays.known_at.rule:
        case "column":
            read.needed("told", plays.known_at.column, read.moment(plays.known_at))
        case "delivered":
            read.value("told", "epoch_us(delivered_at)")
        case "end_of_play":
            read.value("told", "ended")
    read.value("known", "greatest(told, ended)")


def _extras(read: Reading, plays: PlaysMapping) -> None:
    for alias, column in (("device", plays.device), ("request", plays.request), ("surface", plays.surface)):
        text = "CAST(NULL AS VARCHAR)" if column is None else read.text(column)
        read.value(alias, f"lower({text})" if alias == "device" else text)
    for alias, column in (("row_on_page", plays.row), ("position_in_row", plays.position)):
        read.optional(alias, column, dialect.whole_number("{text}"), kind="BIGINT")
        read.refuse(f"{alias} NOT BETWEEN 0 AND {_INT32}", column)
    read.optional("chance", plays.propensity, dialect.number("{text}"), kind="DOUBLE")
    read.refuse("NOT (chance > 0 AND chance <= 1)", plays.propensity)
    read.value(
        "session", "CAST(NULL AS BIGINT)" if plays.session is None else dialect.text_hash(read.text(plays.session))
    )
    _event(read, plays)


def _event(read: Reading, plays: PlaysMapping) -> None:
    if plays.event is None:
        read.value("event", "'play'")
        return
    cases = " ".join(
        f"WHEN {read.bind(text)} THEN {read.bind(event)}" for text, event in sorted(plays.event.values.items())
    )
    found = f"CASE {read.text(plays.event.column)} {cases} END" if cases else "CAST(NULL AS VARCHAR)"
    read.optional("named_event", plays.event.column, found, kind="VARCHAR")
    read.value("event", "coalesce(named_event, 'play')")


def _identity(read: Reading, plays: PlaysMapping) -> None:
    if plays.play_id is None:
        read.value("identity", "delivered")
        read.value("play", dialect.text_hash("delivered"))
        read.value("has_ids", "profile IS NOT NULL AND title IS NOT NULL")
        return
    parts = [read.text(name) for name in plays.play_id.columns]
    whole = " AND ".join(f"{part} IS NOT NULL" for part in parts)
    joined = " || chr(31) || ".join(parts)
    if plays.play_id.kind == "integer":
        read.optional("play", plays.play_id.columns[0], dialect.whole_number("{text}"), kind="BIGINT")
        joined = "CAST(play AS VARCHAR)"
    read.value("identity", f"CASE WHEN {whole} THEN {joined} ELSE delivered END")
    if plays.play_id.kind == "text":
        read.value("play", dialect.text_hash("identity"))
    read.value("has_ids", f"profile IS NOT NULL AND title IS NOT NULL AND {whole}")


def _conditions(read: Reading, plays: PlaysMapping) -> None:
    conditions = [rule.condition for rule in plays.filters]
    for place, condition in enumerate(conditions):
        read.value(f"keeps_{place}", f"coalesce({condition_sql(condition, read.text, read.bind)}, false)")
    read.value("engaged", "CAST(NULL AS BOOLEAN)")
    if plays.engaged is not None:
        conditions.append(parse_condition(plays.engaged, place="plays.engaged"))
        read.value("engaged", condition_sql(conditions[-1], read.text, read.bind))
    for column in dict.fromkeys(name for condition in conditions for name in number_columns_of(condition)):
        text = read.text(column)
        read.unreadable.append((f"{text} IS NOT NULL AND ({dialect.number(text)}) IS NULL", column, text))


def title_reading(titles: TitlesMapping) -> Reading:
    """Values of a delivered title: `id`, `id_source`, `known`, `title_name`, `genres`, `tags`, `runtime`, `released`."""
    assert titles.title is not None and titles.known_at is not None
    read = Reading()
    _reference_id(read, titles.title)
    _reference_known(read, titles.known_at)
    name = titles.name
    text = "CAST(NULL AS VARCHAR)" if name is None else read.text(name.column)
    read.value("title_name", dialect.first_group(text, read.bind(name.pattern)) if name and name.pattern else text)
    read.texts("genre_list", titles.genres)
    read.texts("tag_list", titles.tags)
    read.length("runtime_or_0", titles.runtime)
    read.value("runtime", "nullif(runtime_or_0, 0)")
    _optional_moment(read, "released", titles.released)
    return read


def profile_reading(profiles: ProfilesMapping) -> Reading:
    """Values of a delivered profile: `id`, `id_source`, `known`, `signup`, `home`."""
    assert profiles.profile is not None and profiles.known_at is not None
    read = Reading()
    _reference_id(read, profiles.profile)
    _reference_known(read, profiles.known_at)
    _optional_moment(read, "signup", profiles.signup)
    read.country("home", profiles.country, needed=False)
    return read


def availability_reading(offers: AvailabilityMapping) -> Reading:
    """Values of a delivered offer: `id`, `place`, `opens`, `closes`, `known`."""
    read = Reading()
    _reference_id(read, offers.title)
    _reference_known(read, offers.known_at)
    read.country("place", offers.country, needed=True)
    read.needed("opens", offers.available_from.column, read.moment(offers.available_from))
    _optional_moment(read, "closes", offers.available_to)
    read.refuse("closes <= opens", offers.available_to.column if offers.available_to else None)
    return read


def _reference_id(read: Reading, rule: IdColumn) -> None:
    read.identify("id", rule)
    read.unreadable.append(("id IS NULL", rule.column, read.text(rule.column)))


def _reference_known(read: Reading, rule: Moment) -> None:
    match getattr(rule, "rule", "column"):
        case "column":
            read.needed("known", rule.column, read.moment(rule))
        case "delivered":
            read.value("known", "epoch_us(delivered_at)")
        case "static":
            read.value("known", "CAST(0 AS BIGINT)")


def _optional_moment(read: Reading, alias: str, rule: Moment | None) -> None:
    """An instant that may be empty; with a pattern, also where the pattern does not match."""
    if rule is None:
        read.value(alias, "CAST(NULL AS BIGINT)")
        return
    text = read.text(rule.column)
    read.value(alias, read.moment(rule).replace("{text}", text))
    given = text if rule.pattern is None else dialect.first_group(text, read.bind(rule.pattern))
    read.value(f"{alias}_given", given)
    read.unreadable.append((f"{alias}_given IS NOT NULL AND {alias} IS NULL", rule.column, text))
