"""What the index works out once for thousands of partitions is what the definition gives for each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_run import CELLS, COUNTRIES, DAYS, at, deliver, failing, fresh, play

from rec_platform.clock import FIRST_DAY, LAST_DAY
from rec_platform.config import Settings
from rec_platform.facts.stage import Facts
from rec_platform.flow import Index, run_stage
from rec_platform.flow import run as flow_run
from rec_platform.flow.index import Resolved, fingerprint, wanted
from rec_platform.lake import Lake
from rec_platform.partition import Grain, Partition
from rec_platform.stage import Input
from rec_platform.tables import table

TABLES = ("landing", "raw_plays", "play_facts", "title_tiles", "titles", "profile_snapshot", "candidate_models")


class Slowly(Index):
    """The definitions, gone through for every input from the start."""

    def _digest(self, one: Input) -> str:
        days = [None] if table(one.table).grain is Grain.NONE else sorted(set(self.days(one.table)) - {None})
        first, last = one.first or FIRST_DAY, one.last or LAST_DAY
        parts = [self._of_day(one, day) for day in days if day is None or first <= day <= last]
        return hashlib.sha256("\n".join(part for part in parts if part).encode()).hexdigest()

    def _of_day(self, one: Input, day: date | None) -> str:
        states = self.days(one.table)[day].items() if day in self.days(one.table) else ()
        seen = [
            f"{place}:{state.visible_hash(one.cut)}"
            for place, state in states
            if wanted(one, place) and state.rows and state.visible_hash(one.cut)
        ]
        return f"{day}={','.join(seen)}" if seen else ""

    def _forgotten(self, one: Input, first: date, last: date) -> list[str]:
        found = []
        for day in sorted(self.delivered):
            for place in sorted(self.delivered[day]):
                cell = Partition(day, place)
                hole = one.every_country and cell in self.lake.holes(one.table, self.versions[one.table])
                there = cell in self.state(one.table) or not first <= day <= last
                if one.table != "landing" and wanted(one, place) and not there and not hole:
                    found.append(f"{one.table} {cell.key}")
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Facts of some cells, one of which failed; plays that became known late; a day on which one country was silent."""
    lake = Lake(tmp_path_factory.mktemp("index"))
    late = {CELLS[1]: at(DAYS[4], 6), CELLS[4]: at(DAYS[5], 0)}
    cells = {cell: [play(cell.day, p, p + 10) for p in (1, 2)] for cell in CELLS if cell != CELLS[5]}
    for cell, known in late.items():
        cells[cell] += [play(cell.day, 3, 13, known=known, hour=13)]
    deliver(lake, cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow_run, "audit", failing(CELLS[7]))
        run_stage(lake, Facts(), CELLS[:9], Settings(), index=fresh(lake), run_id="test")
    return lake.home


days = st.none() | st.integers(-2, 9).map(lambda n: DAYS[0] + timedelta(days=n))
places = st.none() | st.sets(st.sampled_from((*COUNTRIES, "US"))).map(lambda chosen: tuple(sorted(chosen)))
#: Both ends are given where days that nobody published are named one by one.
inputs = st.builds(
    Input, st.sampled_from(TABLES), days, days, places, st.booleans(), days, st.booleans()
).filter(lambda one: None not in (one.first, one.last) or one.table in TABLES[:5])  # fmt: skip


@given(st.lists(inputs, min_size=1, max_size=8))
def test_what_is_kept_between_inputs_changes_no_answer(home: Path, named: list[Input]) -> None:
    quick, slow = fresh(Lake(home)), Slowly(Lake(home), fresh(Lake(home)).versions)
    for one in (*named, *named):
        assert quick.resolve((one,)) == slow.resolve((one,))


@pytest.mark.parametrize("order", [1, -1])
def test_cuts_share_a_digest_only_where_they_see_the_same_rows(home: Path, order: int) -> None:
    """A row that became known on the day of a cut is not seen by it, and by the next it is: whichever was asked first."""
    quick, slow = fresh(Lake(home)), Slowly(Lake(home), fresh(Lake(home)).versions)
    asked = [Input("play_facts", DAYS[0], DAYS[0], every_country=True, cut=cut) for cut in (*DAYS, None)][::order]
    assert [quick.resolve((one,)).digests for one in asked] == [slow.resolve((one,)).digests for one in asked]
    assert len({quick.resolve((one,)).digests for one in asked}) == 4, (
        "none, what was known at once, all, all without a cut"
    )


def test_a_new_version_of_a_table_is_seen(tmp_path: Path) -> None:
    """Days, cells that were forgotten, and when the newest row became known."""
    lake = Lake(tmp_path)
    deliver(lake, {cell: [play(cell.day, 1, 11)] for cell in CELLS[:4]})
    index = fresh(lake)
    facts = (Input("play_facts", DAYS[0], DAYS[1], every_country=True, cut=DAYS[2]),)
    assert index.resolve(facts).missing == tuple(f"play_facts {cell.key}" for cell in CELLS[:4])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow_run, "audit", lambda *_a, **_k: [])
        run_stage(lake, Facts(), CELLS[:4], Settings(), index=index, run_id="test")
    assert index.resolve(facts) == Slowly(lake, index.versions).resolve(facts)
    assert not index.resolve(facts).missing


words = st.text(max_size=8)
configs = st.dictionaries(
    words,
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | words | st.dates(), st.lists, max_leaves=5),
)


@given(words, st.integers(0, 9), configs, st.integers(), st.lists(st.tuples(words, words)))
def test_a_fingerprint_is_the_hash_of_one_list_with_the_keys_in_order(
    stage: str, code_version: int, config: Mapping[str, object], seed: int, digests: list[tuple[str, str]]
) -> None:
    """As in every home that there is: were it another, all that stands would be stale."""
    whole = json.dumps([stage, code_version, config, seed, digests], sort_keys=True, default=str)
    found = fingerprint(stage, code_version, config, seed, Resolved(tuple(digests)))
    assert found == hashlib.sha256(whole.encode()).hexdigest()
