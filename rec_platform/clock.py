"""Time, told once: instants, visibility, windows, label windows.

The worked example that comments elsewhere refer to as *Ana's evening* (see docs/clocks.md):

    Ana plays title 7 on 2025-03-10 at 20:00 UTC for 30 minutes, on a train without a connection. The delivery that
    holds the play reaches the platform on 2025-03-12 at 06:00. So `played_at` is the 10th, 20:00, and `known_at` is the
    12th, 06:00. A context of Ana on the 11th, 21:00 must not see the play (nobody knew of it); a context on the 12th,
    21:00 sees it, and sees that it happened on the 10th.

Inside the library an instant is an int64 number of microseconds since 1970-01-01T00:00:00Z; in tables it is
`timestamp[us, tz=UTC]`. No function here, or anywhere in the library, asks what time it is now.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from rec_platform.errors import ConfigError, KeyRefused

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

_EPOCH: Final = date(1970, 1, 1)
_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_WINDOW: Final = re.compile(r"([1-9]\d{0,8})(min|h|d)", re.ASCII)
_UNITS: Final = {"min": MINUTE, "h": HOUR, "d": DAY}
_LONGEST_WINDOW: Final = 36_500 * DAY

#: Days that a partition may bear. A play outside is refused by the quarantine rule `unreadable`: 1970 is what a
#: missing time becomes in most systems, and 2099 is what "never" does.
FIRST_DAY: Final = date(1990, 1, 1)
LAST_DAY: Final = date(2089, 12, 31)


def midnight(day: date) -> int:
    """The instant at which `day` begins, 00:00 UTC, in microseconds.

    >>> midnight(date(1970, 1, 2)) == DAY
    True
    """
    return (day - _EPOCH).days * DAY


def day_of(instant: int) -> date:
    """The UTC day that holds an instant.

    >>> day_of(midnight(date(2025, 3, 10)) + 20 * HOUR)
    datetime.date(2025, 3, 10)
    """
    return _EPOCH + timedelta(days=instant // DAY)


def visible(played_at: int, known_at: int, as_of: int) -> bool:
    """Whether a play may be seen at `as_of`: strictly before it by both clocks.

    Ana's evening, asked on the 11th and on the 12th, 21:00:

    >>> played, known = midnight(date(2025, 3, 10)) + 20 * HOUR, midnight(date(2025, 3, 12)) + 6 * HOUR
    >>> visible(played, known, midnight(date(2025, 3, 11)) + 21 * HOUR)
    False
    >>> visible(played, known, midnight(date(2025, 3, 12)) + 21 * HOUR)
    True
    """
    return played_at < as_of and known_at < as_of


def label_close(day: date, horizon_days: int) -> int:
    """The instant at which the label windows of a day's contexts close: 00:00 UTC, `horizon_days` after its start.

    It is also the cut: what is not known by then is unknown to the label.
    """
    return midnight(day + timedelta(days=horizon_days))


def usable_days(as_of: date, training_days: int, horizon_days: int) -> list[date]:
    """The days whose training sets a model as of `as_of` may read, oldest first.

    Day d is usable iff its label window has closed: d + horizon_days <= as_of.

    >>> usable_days(date(2025, 3, 10), training_days=2, horizon_days=1)
    [datetime.date(2025, 3, 8), datetime.date(2025, 3, 9)]
    """
    newest = as_of - timedelta(days=horizon_days)
    return [newest - timedelta(days=back) for back in range(training_days - 1, -1, -1)]


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def parse_day(text: str, *, place: str) -> date:
    """A day from its ISO form, within the days a partition may bear.

    Raises `KeyRefused` for anything else, naming `place`.
    """
    repair = f"Write a day as YYYY-MM-DD, from {FIRST_DAY} to {LAST_DAY}."
    if not _ISO_DATE.fullmatch(text):
        raise KeyRefused(f"{text!r} is not a date", place=place, repair=repair)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise KeyRefused(f"{text!r} is not a day of the calendar", place=place, repair=repair) from None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise KeyRefused(f"{text} lies outside the days a partition may bear", place=place, repair=repair)
    return day


def parse_instant(text: str, *, place: str) -> int:
    """An instant, in microseconds, from ISO text with a zone; a bare date means its 00:00 UTC.

    >>> parse_instant("2011-12-01T12:00:00Z", place="--as-of") == midnight(date(2011, 12, 1)) + 12 * HOUR
    True
    """
    if _ISO_DATE.fullmatch(text):
        return midnight(parse_day(text, place=place))
    repair = (
        "Write an instant as 2011-12-01T12:00:00Z (or with an offset such as +08:00), or a bare date for 00:00 UTC."
    )
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise KeyRefused(f"{text!r} is not an instant", place=place, repair=repair) from None
    if moment.tzinfo is None:
        raise KeyRefused(f"{text!r} names no time zone", place=place, repair=repair)
    instant = to_micros(moment)
    parse_day(day_of(instant).isoformat(), place=place)
    return instant


def parse_window(window: int | str, *, place: str) -> int:
    """The microseconds of a window: a whole number of days, or text in minutes, hours or days.

    >>> parse_window(7, place="doc") == parse_window("7d", place="doc") == parse_window("168h", place="doc")
    True
    >>> parse_window("30min", place="doc") == 30 * MINUTE
    True
    """
    found = _WINDOW.fullmatch(f"{window}d" if type(window) is int else str(window))
    micros = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < micros <= _LONGEST_WINDOW:
        raise ConfigError(
            f"window {window!r} cannot be read", place=place,
            repair="Write whole days as a number, or text such as '30min', '6h' or '7d', up to 36500 days.",
        )  # fmt: skip
    return micros


def window_text(micros: int) -> str:
    """A window as short text that `parse_window` reads.

    >>> window_text(48 * HOUR), window_text(36 * HOUR), window_text(90 * MINUTE)
    ('2d', '36h', '90min')
    """
    unit = next(unit for unit in ("d", "h", "min") if micros % _UNITS[unit] == 0)
    return f"{micros // _UNITS[unit]}{unit}"


def to_micros(moment: datetime) -> int:
    """An aware datetime as microseconds since the epoch, exactly (no floating point)."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def iso(instant: int) -> str:
    """An instant as text, UTC, e.g. `2011-12-01T12:00:00Z`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)
    return moment.isoformat().replace("+00:00", "Z")
