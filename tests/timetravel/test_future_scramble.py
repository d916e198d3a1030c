"""Corrupt everything of anybody that is not visible at T: features and lookups of contexts at T stay the same bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from timeline_worlds import COUNTRIES, PLAY_SCHEMA, Asked, World, asked, every_fact, worlds

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.dmc12.frame import Frame
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.pipeline import Sources
from rec_platform.tables import AVAILABILITY, INSTANT, PROFILES, TITLES
from rec_platform.timetravel.reading import compute
from rec_platform.timetravel.timeline import Timeline

FACTS = every_fact()


def scrambled(table: pa.Table, at: int, *, seed: int, clocks: tuple[str, ...]) -> pa.Table:
    """The table with every row that is not visible at `at` made into something else that is not visible at `at` either.

    Each hidden row gets the other columns of a random row of the table, times all its own, and a third of them vanish.
    """
    rng = np.random.default_rng(seed)
    rows = table.to_pylist()
    instants = {name: table.column(name).cast(pa.int64()).to_pylist() for name in clocks}
    hidden = [max(instants[name][i] for name in clocks) >= at for i in range(len(rows))]
    out = []
    for row, is_hidden in zip(rows, hidden, strict=True):
        if not is_hidden:
            out.append(row)
        elif rng.random() < 0.67:
            other = dict(rows[rng.integers(len(rows))])
            known = at + int(rng.integers(0, 30 * DAY))
            other[c.KNOWN_AT] = known
            if c.PLAYED_AT in other:
                other[c.PLAYED_AT] = known - int(rng.integers(0, 60 * DAY))
                other[c.WATCHED_MS] += 12_345
            out.append(other)
    return pa.Table.from_pylist(out, schema=table.schema)


def corrupted(world: World, at: int, seed: int) -> World:
    return World(
        scrambled(world.plays, at, seed=seed, clocks=(c.PLAYED_AT, c.KNOWN_AT)),
        scrambled(world.titles, at, seed=seed + 1, clocks=(c.KNOWN_AT,)),
        scrambled(world.profiles, at, seed=seed + 2, clocks=(c.KNOWN_AT,)),
        scrambled(world.availability, at, seed=seed + 3, clocks=(c.KNOWN_AT,)),
    )


def frame_of(ask: Asked, i: int) -> Frame:
    rows = slice(ask.offsets[i], ask.offsets[i + 1])
    contexts = pa.table(
        {
            c.PROFILE: ask.profile_id[i : i + 1], c.COUNTRY: pa.array(ask.country[i : i + 1], pa.string()),
            c.AT: pa.array(ask.at[i : i + 1]).cast(INSTANT), c.DEVICE: ["tv"], c.TENURE_DAYS: [3.0],
        }
    )  # fmt: skip
    return Frame.of(contexts, np.array([0, rows.stop - rows.start]), items={c.TITLE: ask.title_id[rows]})


def answers(world: World, ask: Asked, i: int) -> list[bytes]:
    """All that the timeline says about context i: facts, features, lookups."""
    timeline = world.timeline()
    frame = frame_of(ask, i)
    at, profile = int(ask.at[i]), ask.profile_id[i : i + 1]
    facts = compute(
        timeline, FACTS, profile_id=profile, country=ask.country[i : i + 1], at=ask.at[i : i + 1],
        offsets=frame.offsets, title_id=frame.item(c.TITLE),
    )  # fmt: skip
    features = FeatureGenerator(FeatureSet.standard()).apply(frame, Sources(timeline))
    found = [facts[fact.name] for fact in FACTS] + [features.features.column(n).to_numpy() for n in
                                                    features.features.column_names]  # fmt: skip
    found += [*timeline.seen(profile, at), timeline.first_visible_play(profile, at), timeline.signup_at(profile, at)]
    for country in (*COUNTRIES, "BR"):
        if world.availability.num_rows:
            found.append(timeline.available(country, at))
        found += timeline.country_title_plays(country, at, 28)
    return [np.ascontiguousarray(values).tobytes() for values in found]


@settings(max_examples=60, derandomize=True)
@given(worlds(), asked(max_contexts=2))
def test_the_future_cannot_be_felt(world: World, ask: Asked) -> None:
    for i, at in enumerate(ask.at.tolist()):
        changed = corrupted(world, at, seed=11 + i)
        if bool(world.availability.num_rows) == bool(changed.availability.num_rows):
            assert answers(world, ask, i) == answers(changed, ask, i)


def test_a_planted_leak_is_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof can fail: a timeline that takes played_at for known_at feels a late play that it must not see."""
    at = 100 * DAY
    plays = pa.Table.from_pylist(
        [{c.PROFILE: 1, c.TITLE: 3, c.PLAYED_AT: at - DAY, c.KNOWN_AT: at + DAY, c.WATCHED_MS: 1, c.ENGAGED: 1,
          c.COUNTRY: "FR"}],
        schema=PLAY_SCHEMA,
    )  # fmt: skip
    world = World(plays, *(spec.schema.empty_table() for spec in (TITLES, PROFILES, AVAILABILITY)))
    ask = Asked(
        np.array([1]), np.array(["FR"], dtype=object), np.array([at]), np.array([0, 1]), np.array([3])
    )  # fmt: skip
    assert answers(world, ask, 0) == answers(corrupted(world, at, seed=1), ask, 0)
    leaking = staticmethod(
        lambda plays, *rest, **more: _build(plays.set_column(3, c.KNOWN_AT, plays.column(c.PLAYED_AT)), *rest, **more)
    )
    _build = Timeline.build
    monkeypatch.setattr(Timeline, "build", leaking)
    assert answers(world, ask, 0) != answers(corrupted(world, at, seed=1), ask, 0)
