"""The tagger: bands as of the context's own instant."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from context_worlds import DAY_ONE, contexts_frame, histories, timeline
from hypothesis import given

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, midnight, visible
from rec_platform.contexts.tagger import ACTIVITY_BANDS, TENURE_BANDS, Tagger, band
from rec_platform.dmc12.frame import Frame
from rec_platform.pipeline import Pipeline, Sources, schema_of
from rec_platform.testing.context_oracle import Play
from rec_platform.timetravel.timeline import Timeline

NOW = midnight(DAY_ONE) + 400 * DAY


def tagged(rows: list[tuple[int, int]], source: Timeline, device: str = "tv") -> Frame:
    return Pipeline([Tagger()]).apply(contexts_frame(rows, device=device), Sources(source))


def play(at: int, *, known: int | None = None, number: int = 1, country: str = "FR") -> Play:
    return Play(1, at, 7, number, at if known is None else known, country=country)


@pytest.mark.parametrize(
    ("days", "name"),
    [(0, "new"), (6.999, "new"), (7, "1-4w"), (27.9, "1-4w"), (28, "1-3m"), (89.9, "1-3m"), (90, "3-12m"),
     (364.9, "3-12m"), (365, "1y+"), (9999, "1y+")],
)  # fmt: skip
def test_tenure_bands(days: float, name: str) -> None:
    frame = tagged([(1, NOW)], timeline([], signups={1: (NOW - round(days * DAY), 0)}))
    assert frame.context(c.TENURE_BAND).tolist() == [name]
    assert frame.context(c.TENURE_DAYS)[0] == pytest.approx(days)
    assert frame.context(c.STRATUM).tolist() == [f"FR/{name}"]


@pytest.mark.parametrize(("plays", "name"), [(0, "none"), (1, "light"), (4, "light"), (5, "medium"), (20, "heavy")])
def test_activity_bands(plays: int, name: str) -> None:
    inside = [play(NOW - 28 * DAY + hour * HOUR, number=hour) for hour in range(plays)]
    outside = [play(NOW - 28 * DAY - 1, number=98), play(NOW, number=99), play(NOW - HOUR, known=NOW, number=97)]
    assert tagged([(1, NOW)], timeline(inside + outside)).context(c.ACTIVITY_BAND).tolist() == [name]


def test_activity_spans_all_countries() -> None:
    plays = [play(NOW - HOUR, country="DE")]
    assert tagged([(1, NOW)], timeline(plays)).context(c.ACTIVITY_BAND).tolist() == ["light"]


def test_tenure_counts_from_the_first_visible_play_without_a_signup() -> None:
    plays = [play(NOW - 30 * DAY, known=NOW), play(NOW - 10 * DAY, number=2)]
    assert tagged([(1, NOW)], timeline(plays)).context(c.TENURE_DAYS).tolist() == [10.0]


def test_the_contexts_own_play_gives_no_tenure() -> None:
    assert tagged([(1, NOW)], timeline([play(NOW)])).context(c.TENURE_DAYS).tolist() == [0.0]


def test_a_signup_known_later_or_lying_in_the_future_gives_no_tenure() -> None:
    rows = [(1, NOW), (2, NOW)]
    signups = {1: (NOW - 99 * DAY, NOW), 2: (NOW + DAY, 0)}
    assert tagged(rows, timeline([], signups=signups)).context(c.TENURE_DAYS).tolist() == [0.0, 0.0]


@given(histories())
def test_first_plays_are_those_visible(plays: list[Play]) -> None:
    rows = sorted({(p.profile_id, p.played_at) for p in plays})
    frame = tagged(rows, timeline(plays))
    for row, (profile, at) in enumerate(rows):
        seen = [p.played_at for p in plays if p.profile_id == profile and visible(p.played_at, p.known_at, at)]
        assert frame.context(c.TENURE_DAYS)[row] == ((at - min(seen)) / DAY if seen else 0.0)


@pytest.mark.parametrize(("device", "plain"), [(" TV ", "tv"), ("", "unknown"), ("Phone", "phone")])
def test_devices_are_plain(device: str, plain: str) -> None:
    assert tagged([(1, NOW)], timeline([]), device).context(c.DEVICE).tolist() == [plain]


def test_it_adds_what_it_declares_to_an_empty_frame_too() -> None:
    for rows in ([], [(1, NOW)]):
        after = schema_of(tagged(rows, timeline([])))
        for column in Tagger().adds:
            assert after[column.level, column.name].type == column.type


def test_bands_begin_at_zero_and_rise() -> None:
    for bands in (TENURE_BANDS, ACTIVITY_BANDS):
        bounds = list(bands.values())
        assert bounds == sorted(bounds) and bounds[0] == 0
        assert band(np.array(bounds), bands).tolist() == list(bands)


def test_profiles_without_any_past_are_new_and_inactive() -> None:
    frame = tagged([(5, NOW)], timeline([play(NOW - HOUR)]))
    assert (frame.context(c.TENURE_BAND)[0], frame.context(c.ACTIVITY_BAND)[0]) == ("new", "none")
    assert frame.contexts.column(c.STRATUM).type == pa.string()
