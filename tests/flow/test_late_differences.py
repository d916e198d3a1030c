"""How much late plays would change, held to worlds in which they came in time: features, snapshots, samples, sums."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_homes import MAPPING
from test_late import publish_no_offers
from test_run import COUNTRIES, DAYS, deliver

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, midnight
from rec_platform.config import SOURCE_FILE
from rec_platform.contexts.tagger import Tagger
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.flow import Platform
from rec_platform.flow import run as flow_run
from rec_platform.flow.late import Ledger, ledger
from rec_platform.flow.late_changes import KINDS, LATE, NOW, SEED, Change, Difference, change, share_of_contexts, summed
from rec_platform.flow.late_features import sampled, shares_of_rankers, training_differences
from rec_platform.flow.late_models import model_differences
from rec_platform.flow.late_snapshots import snapshot_differences
from rec_platform.lake import Lake
from rec_platform.models.collaborative import CollaborativeTrainer
from rec_platform.partition import Partition
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.tables import PROFILE_SNAPSHOT, TITLE_SNAPSHOT, TRAINING_SETS, TableSpec
from rec_platform.testing.snapshot_oracle import Play, profile_snapshot, title_snapshot
from rec_platform.timetravel.reading import timeline_of

MADE = ("facts", "feature_snapshots", "candidate_models", "training_sets", "ranker_models")
CELLS = [Partition(day, country) for day in DAYS for country in COUNTRIES]
SILENT = Partition(DAYS[3], "DE")
#: Models of the day after the last delivered one: it has no training set.
TODAY = Partition(DAYS[-1] + timedelta(days=1))


def instant(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


@dataclass(frozen=True)
class Delivered:
    """A play, and whether it came with the second delivery, after everything had been made."""

    play: Play
    second: bool

    def late_for(self, cut: date) -> bool:
        """Whether what reads plays known before 00:00 of a day misses it, and was made before it came."""
        return self.second and self.play.known_at >= midnight(cut)


def world(seed: int) -> list[Delivered]:
    """Plays of six days that become known up to three days later; one in four comes with the second delivery. A country
    has none on one of the days."""
    draw, found = np.random.default_rng(seed), []
    for cell in CELLS:
        if cell == SILENT:
            continue
        for number in range(7):
            played = midnight(cell.day) + int(draw.integers(24)) * HOUR + number
            known = played + int(draw.choice([0, 0, 5, 30, 60])) * HOUR
            who, title = int(draw.integers(1, 12)), int(draw.integers(30, 42))
            watched = int(draw.integers(1, 60)) * 60_000
            found.append(Delivered(Play(who, title, cell.place, played, known, watched), bool(draw.random() < 0.25)))
    return found


def in_cells(plays: Iterable[Play]) -> dict[Partition, list[dict[str, object]]]:
    cells: dict[Partition, list[dict[str, object]]] = {cell: [] for cell in CELLS}
    for one in plays:
        row = {c.PROFILE: one.profile, c.TITLE: one.title, c.WATCHED_MS: one.watched_ms, c.EVENT: "play"}
        row |= {c.PLAYED_AT: instant(one.played_at), c.KNOWN_AT: instant(one.known_at)}
        cells[one.partition].append(row | {c.PLAY_ID: one.played_at * 31 + one.profile * 7 + one.title})
    return {
        cell: sorted(rows, key=lambda row: (row[c.PLAYED_AT], row[c.PROFILE], row[c.TITLE]))
        for cell, rows in cells.items()
    }  # fmt: skip


def make(home: Path) -> None:
    platform = Platform(home)
    by_date = {"candidate_models": [*map(Partition, DAYS), TODAY], "ranker_models": [*map(Partition, DAYS)]}
    for stage in MADE:
        platform.run(stage, by_date.get(stage, CELLS), run_id="test").raise_if_failed()


@dataclass(frozen=True)
class Made:
    """A home after both deliveries, its plays, and its ledger."""

    platform: Platform
    world: list[Delivered]
    ledger: Ledger


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home, plays = tmp_path_factory.mktemp("differences") / "home", world(5)
    home.mkdir()
    shutil.copy(MAPPING, home / SOURCE_FILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow_run, "audit", lambda *_args, **_kw: [])
        deliver(Lake(home), in_cells(one.play for one in plays if not one.second))
        publish_no_offers(Lake(home))
        make(home)
        deliver(Lake(home), in_cells(one.play for one in plays))
        make(home)
    platform = Platform(home)
    return Made(platform, plays, ledger(platform.lake, platform.index, platform.stages, platform.settings))


def told(plays: Sequence[Delivered], kind: str, cut: date) -> list[Play]:
    """The plays as a world has them in which the late ones, or all, were known when they began."""
    return [
        replace(one.play, known_at=one.play.played_at) if kind == NOW or one.late_for(cut) else one.play
        for one in plays
    ]


def engaged(made: Made, plays: Sequence[Play]) -> list[Play]:
    """The plays with the engagement that the home's rule gives them."""
    rows = made.platform.lake.read("play_facts", CELLS).to_pylist()
    verdicts = {(row[c.PLAYED_AT], row[c.PROFILE], row[c.TITLE]): bool(row[c.ENGAGED]) for row in rows}
    return [replace(one, verdict=verdicts[instant(one.played_at), one.profile, one.title]) for one in plays]


# --- training features -----------------------------------------------------------------------------------------------


def read(made: Made, spec: TableSpec, partition: Partition) -> pa.Table:
    return made.platform.lake.read(spec.name, [partition], spec.schema.names)


def features_of(made: Made, plays: Sequence[Play], frame: Frame) -> Frame:
    """Features of published contexts and items in a world of these plays."""
    features, rows = FeatureSet.from_config(made.platform.settings.features), play_rows(plays)
    records = (made.platform.lake.read(name) for name in ("titles", "profiles", "availability"))
    timeline = timeline_of(rows, *records, rules=made.platform.settings.rules, facts=features.needed)
    bare = Frame.of(frame.contexts, frame.offsets, items={c.TITLE: frame.item(c.TITLE)})
    return Pipeline([Tagger(), FeatureGenerator(features)]).apply(bare, Sources(timeline))


def play_rows(plays: Sequence[Play]) -> pa.Table:
    return pa.table(
        {
            c.PROFILE: [one.profile for one in plays], c.TITLE: [one.title for one in plays],
            c.PLAYED_AT: [one.played_at for one in plays], c.KNOWN_AT: [one.known_at for one in plays],
            c.COUNTRY: [one.country for one in plays], c.WATCHED_MS: [one.watched_ms for one in plays],
            c.ENGAGED: [int(one.verdict) for one in plays],
        }
    )  # fmt: skip


def expected_changes(made: Made, partition: Partition, kind: str) -> dict[str, tuple[int, int, float, float]]:
    """By a loop over contexts and items: feature -> values and contexts that differ, largest and summed difference."""
    frame = flat(read(made, TRAINING_SETS, partition))
    plays = engaged(made, told(made.world, kind, partition.day + timedelta(days=1)))
    would_be = features_of(made, plays, frame)
    found = {}
    for name in would_be.features.column_names if frame.n_contexts else ():
        then, now = (one.features.column(name).to_pylist() for one in (frame, would_be))
        differ = [
            (context, abs(b - a))
            for context in range(frame.n_contexts)
            for a, b in zip(*(x[frame.offsets[context] : frame.offsets[context + 1]] for x in (then, now)), strict=True)
            if a != b and not (a != a and b != b)
        ]
        amounts = [amount for _, amount in differ if amount == amount]
        found[name] = len(differ), len({context for context, _ in differ}), max(amounts, default=0.0), sum(amounts)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_a_world_in_which_they_came_in_time(made: Made, kind: str) -> None:
    found = {one.partition: one for one in training_differences(made.platform, made.ledger, kinds=(kind,))}
    lines = {line.partition for line in made.ledger.lines if line.stage == "training_sets"}
    late = [{one for one in made.world if one.late_for(cell.day + timedelta(days=1))} for cell in CELLS]
    assert lines == {
        cell for cell, plays in zip(CELLS, late, strict=True)
        if any(one.play.played_at < midnight(cell.day) + DAY for one in plays)
    }  # fmt: skip
    assert set(found) == lines
    for partition, one in found.items():
        wanted = expected_changes(made, partition, kind)
        seen = {part.name: (part.changed, part.groups, part.largest, part.total) for part in one.changes}
        assert seen.keys() == wanted.keys()
        for name in seen:
            assert seen[name] == pytest.approx(wanted[name], rel=1e-6), (partition, name)
        assert one.compared == one.of == made.platform.index.state("training_sets")[partition].rows
        assert not one.stale
    assert 0 < sum(one.changed for one in found.values()) < sum(one.of for one in found.values())
    assert found[SILENT].of == 0


def test_the_kinds_differ_where_something_was_there_and_not_known_yet(made: Made) -> None:
    found = list(training_differences(made.platform, made.ledger))
    assert [one.kind for one in found] == sorted((one.kind for one in found), key=[NOW, LATE].index)
    alone, now = (summed(one for one in found if one.kind == kind) for kind in KINDS)
    assert sum(one.changed for one in alone.values()) < sum(one.changed for one in now.values())


# --- snapshots -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", [PROFILE_SNAPSHOT, TITLE_SNAPSHOT], ids=lambda spec: str(spec.name))
def test_snapshots_are_those_of_a_world_in_which_they_came_in_time(made: Made, spec: TableSpec, kind: str) -> None:
    found = [one for one in snapshot_differences(made.platform, made.ledger, kinds=(kind,)) if one.table == spec.name]
    assert {one.partition for one in found} == {
        line.partition for line in made.ledger.lines if line.stage == "feature_snapshots"
    }
    for one in found:
        then = {row[spec.order[0]]: row for row in read(made, spec, one.partition).to_pylist()}
        now = {row[spec.order[0]]: row for row in snapshot(made, spec, one.partition, kind).to_pylist()}
        assert one.added == len(now.keys() - then.keys())
        assert then.keys() <= now.keys()
        for part in one.changes:
            pairs = [(row[part.name], now[who][part.name]) for who, row in then.items()]
            differ = [(a, b) for a, b in pairs if a != b]
            seconds = [abs((b - a).total_seconds()) if part.name == c.LAST_PLAYED_AT else abs(b - a)
                       for a, b in differ if a is not None]  # fmt: skip
            assert (part.changed, part.groups, part.values) == (len(differ), len(differ), len(then))
            assert part.largest == pytest.approx(max(seconds, default=0), abs=1e-3)
            assert part.total == pytest.approx(sum(seconds), abs=1e-3)
        assert one.changed == sum(now[who] != row for who, row in then.items())
    assert sum(one.changed for one in found) > 0
    assert sum(one.added for one in found) > 0


def snapshot(made: Made, spec: TableSpec, partition: Partition, kind: str) -> pa.Table:
    plays = engaged(made, told(made.world, kind, partition.day))
    if spec is TITLE_SNAPSHOT:
        return title_snapshot(plays, partition.day, partition.place)
    return profile_snapshot(plays, [], partition.day, partition.place)


# --- candidate models ------------------------------------------------------------------------------------------------


def popularity(plays: Sequence[Play], day: date, days: int) -> dict[tuple[int, str], float]:
    """Per 1,000 plays, from the definition (models/popularity.py): (title, country) -> share, smoothed with the world's."""
    seen = [
        one for one in plays
        if midnight(day) - days * DAY <= one.played_at < midnight(day) and one.known_at < midnight(day)
    ]  # fmt: skip
    world, here = Counter(one.title for one in seen), Counter((one.title, one.country) for one in seen)
    total = Counter(one.country for one in seen)
    return {
        (title, country): 1000 * (here[title, country] + 200 * count / len(seen)) / (total[country] + 200)
        for title, count in world.items()
        for country in COUNTRIES
    }


def collaborative(made: Made, plays: Sequence[Play], day: date, seed: int) -> dict[tuple[int, int], float]:
    """(profile, title) -> score, of the model fitted on plays handed to it."""
    config = made.platform.settings.candidates
    artefact = CollaborativeTrainer().fit(play_rows(plays), as_of=day, titles=pa.table({}), config=config, seed=seed)
    model = CollaborativeTrainer().load(artefact)
    return {
        (profile, title): float(np.dot(model.profile_vectors[row], model.title_vectors[column]))
        for row, profile in enumerate(model.profiles.tolist())
        for column, title in enumerate(model.titles.tolist())
    }


def scores(made: Made, kind: str, day: date, pairs: Sequence[tuple[int, int, str]]) -> dict[str, list[float]]:
    """What models of a day give (profile, title, country), in a world of that kind; `then`: as published."""
    settings = made.platform.settings
    plays = [one.play for one in made.world] if kind in ("then", SEED) else told(made.world, kind, day)
    shares = popularity(plays, day, settings.candidates.popularity_days)
    tastes = collaborative(made, engaged(made, plays), day, settings.seed + (kind == SEED))
    return {
        "candidate_popularity": [shares.get((title, country), 0.0) for _, title, country in pairs],
        "candidate_collaborative": [tastes.get((profile, title), 0.0) for profile, title, _ in pairs],
        "candidate_known": [float((profile, title) in tastes) for profile, title, _ in pairs],
    }


@pytest.mark.parametrize("kind", [*KINDS, SEED])
def test_candidate_models_are_those_of_a_world_in_which_they_came_in_time(made: Made, kind: str) -> None:
    found = {one.partition: one for one in model_differences(made.platform, made.ledger, dates=99, kinds=(kind,))}
    assert set(found) == {line.partition for line in made.ledger.lines if line.stage == "candidate_models"}
    assert TODAY in found
    for partition, one in found.items():
        frames = [flat(read(made, TRAINING_SETS, cell)) for cell in CELLS if cell.day == min(partition.day, DAYS[-1])]
        pairs = [
            (profile, title, country)
            for frame in frames
            for profile, country, start, end in zip(
                frame.context(c.PROFILE), frame.context(c.COUNTRY), frame.offsets[:-1], frame.offsets[1:], strict=True
            )
            for title in frame.item(c.TITLE)[start:end].tolist()
        ]
        then, would_be = (scores(made, name, partition.day, pairs) for name in ("then", kind))
        assert one.compared == one.of == sum(frame.n_contexts for frame in frames)
        assert {part.name for part in one.changes} == then.keys()
        for part in one.changes:
            differences = np.abs(np.subtract(would_be[part.name], then[part.name]))
            assert part.values == len(pairs)
            assert part.total == pytest.approx(differences.sum(), rel=1e-4, abs=1e-4)
            assert part.largest == pytest.approx(differences.max(), rel=1e-4, abs=1e-5)
    moved = {part.name for one in found.values() for part in one.changes if part.changed}
    assert moved >= {"candidate_collaborative"} | ({"candidate_popularity"} if kind != SEED else set())
    assert kind != SEED or "candidate_popularity" not in moved


def test_the_newest_dates_are_fitted_again_over_the_same_sample(made: Made) -> None:
    late = [line.partition for line in made.ledger.lines if line.stage == "candidate_models"]
    assert not list(model_differences(made.platform, made.ledger, dates=0))
    some = list(model_differences(made.platform, made.ledger, dates=2, at_most=5))
    assert [(one.partition, one.kind) for one in some] == [(p, kind) for p in late[-2:] for kind in (*KINDS, SEED)]
    assert all(0 < one.compared < one.of and not one.stale for one in some)


# --- samples, sums, rankers ------------------------------------------------------------------------------------------


def test_a_sample_is_the_same_each_time_and_says_of_how_many(made: Made) -> None:
    whole = {one.partition: one for one in training_differences(made.platform, made.ledger, kinds=(LATE,))}
    some = [list(training_differences(made.platform, made.ledger, kinds=(LATE,), at_most=20)) for _ in range(2)]
    assert some[0] == some[1]
    of = {partition: one.of for partition, one in whole.items()}
    assert {one.partition: one.compared for one in some[0]} == sampled(of, 20)
    assert sum(one.compared for one in some[0]) < sum(of.values())
    assert all(one.of == of[one.partition] and one.changed <= one.compared for one in some[0])
    assert 20 <= sum(one.compared for one in some[0]) < 20 + len(of)


def test_a_log_that_is_swept_gives_the_same(made: Made, tmp_path: Path) -> None:
    home = Path(shutil.copytree(made.platform.home, tmp_path / "home"))
    (home / "platform.toml").write_text("[memory]\nplays_at_once = 30\n", encoding="utf-8")
    platform = Platform(home)
    found = ledger(platform.lake, platform.index, platform.stages, platform.settings)
    assert list(training_differences(platform, found)) == list(training_differences(made.platform, made.ledger))


def test_a_partition_that_is_not_up_to_date_says_so(made: Made, tmp_path: Path) -> None:
    home = Path(shutil.copytree(made.platform.home, tmp_path / "home"))
    (home / "platform.toml").write_text('[features]\nleave_out = ["profile_plays_28d"]\n', encoding="utf-8")
    platform = Platform(home)
    found = ledger(platform.lake, platform.index, platform.stages, platform.settings)
    assert all(one.stale for one in training_differences(platform, found, kinds=(LATE,)))
    assert not any(one.stale for one in snapshot_differences(platform, found, kinds=(LATE,)))


def test_rankers_have_the_share_of_their_training_contexts(made: Made) -> None:
    found = list(training_differences(made.platform, made.ledger, kinds=(LATE,)))
    shares = shares_of_rankers(made.platform, made.ledger, made.ledger, found)
    rows = made.platform.index.state("training_sets")
    changed = {one.partition: one.changed for one in found}
    for day, share in shares.items():
        read = [cell for cell in CELLS if cell.day < day]
        assert share == sum(changed.get(cell, 0) for cell in read) / sum(rows[cell].rows for cell in read)
    assert set(shares) == {line.partition.day for line in made.ledger.lines if line.stage == "ranker_models"}
    last = made.ledger.between(DAYS[-1], DAYS[-1])
    some = list(training_differences(made.platform, last, kinds=(LATE,)))
    assert shares_of_rankers(made.platform, made.ledger, last, some) == {}  # what it read was not all compared


def test_a_share_of_contexts_scales_samples_and_counts_what_is_not_late() -> None:
    day = date(2025, 1, 1)
    cells = [Partition(day, country) for country in ("DE", "FR", "US")]
    found = [
        Difference(TRAINING_SETS.name, cells[0], LATE, 10, 100, 5, ()),
        Difference(TRAINING_SETS.name, cells[2], LATE, 1, 1, 1, ()),
    ]
    assert share_of_contexts({cells[0]: 100, cells[1]: 100}, found) == 50 / 200


columns = st.lists(st.sampled_from([0.0, 1.0, 2.5, float("nan")]), min_size=8, max_size=8).map(np.array)


@given(columns, columns, st.integers(0, 4))
def test_changes_of_parts_add_up_to_that_of_the_whole(then: np.ndarray, now: np.ndarray, cut: int) -> None:
    group, cut = np.repeat(np.arange(4), 2), 2 * cut
    whole, differs = change("f", then, now, group)
    parts = [change("f", then[part], now[part], group[part])[0] for part in (slice(0, cut), slice(cut, 8))]
    assert parts[0].plus(parts[1]) == replace(whole, total=pytest.approx(whole.total))
    assert whole.changed == differs.sum() and whole.numbers <= whole.changed
    assert isinstance(whole, Change) and (whole.mean is None) == (whole.numbers == 0)
    assert change("f", now, then, group)[0] == whole
    assert change("f", then, then, group)[0].changed == 0
