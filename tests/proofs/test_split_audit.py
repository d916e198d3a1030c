"""The split audit on days written out by hand, and on a home's models."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rec_platform.cli_prove import LEGENDS, REPAIRS, _print, _sampled, prove
from rec_platform.clock import DAY, midnight
from rec_platform.errors import MissingInput
from rec_platform.flow import Platform
from rec_platform.proofs.flow import prove_split, split_of_models
from rec_platform.proofs.placebo import Knowledge
from rec_platform.proofs.split import Side, SplitAudit, audit, shown, verdict
from rec_platform.proofs.verdict import Proof

#: 10 March 2025, and a session gap of 30 minutes.
TENTH = date(2025, 3, 10)
GAP = 1_800_000_000
HOUR = DAY // 24


def side(*rows: tuple[int, int, float]) -> Side:
    """Contexts as (context_id, profile, hours after 00:00 of the tenth)."""
    ids, who, hours = zip(*rows, strict=True)
    at = [midnight(TENTH) + int(hour * HOUR) for hour in hours]
    return Side(np.array(ids), np.array(who), np.array(at))


def audited(training: Side, evaluation: Side, last_day: date = TENTH, horizon: int = 1) -> SplitAudit:
    return audit(training, evaluation, last_day=last_day, horizon_days=horizon, session_gap=GAP)


def test_training_that_closes_before_judging_begins_holds() -> None:
    found = audited(side((1, 7, 3.0), (2, 8, 23.9)), side((3, 7, 24.0), (4, 9, 30.0)))
    assert found.holds
    assert (found.embargo_days, found.future_contexts, found.same_context) == (0, 0, 0)
    assert found.row()["gap hours"] == 0.0


@pytest.mark.parametrize(("horizon", "embargo", "inside"), [(1, 0, 0), (2, 1, 1), (4, 3, 1)])
def test_label_windows_across_the_cut_need_an_embargo(horizon: int, embargo: int, inside: int) -> None:
    found = audited(side((1, 7, 3.0)), side((3, 7, 24.0)), horizon=horizon)
    assert (found.embargo_days, found.future_contexts, found.future_profiles) == (embargo, inside, inside)
    assert found.holds is (embargo == 0)


def test_features_that_read_past_the_cut_need_an_embargo_too() -> None:
    """Known by now: features of the tenth were made from what became known a day and a half later."""
    training = replace(side((1, 7, 3.0)), newest=midnight(TENTH) + 60 * HOUR)
    found = audited(training, side((3, 7, 24.0)))
    assert (found.future_contexts, found.embargo_days, found.holds) == (0, 2, False)
    assert found.row()["features read until"] == "2025-03-12T12:00:00Z"


def test_contexts_on_both_sides_are_counted_once() -> None:
    training = side((1, 7, 3.0), (2, 8, 5.0), (5, 9, 6.0))
    evaluation = side((1, 7, 3.0), (6, 8, 5.0), (7, 9, 6.25), (8, 9, 7.0), (9, 11, 6.0))
    found = audited(training, evaluation)
    assert (found.same_context, found.same_instant, found.near) == (1, 1, 1)
    assert not found.holds


def test_somebody_who_sits_over_midnight_is_near_and_no_fault() -> None:
    found = audited(side((1, 7, 23.9)), side((2, 7, 24.1)))
    assert (found.near, found.holds) == (1, True)


def test_the_verdict_names_days_profiles_and_the_embargo() -> None:
    found = verdict({"a": audited(side((1, 7, 3.0)), side((1, 7, 3.0)))})
    assert not found.passed
    assert "a: training ends 2025-03-11T00:00:00Z, judging begins 2025-03-10T03:00:00Z" in found.observed
    assert "on both sides 1 context, 0 more at the same instant; embargo needed: 1 day" in found.observed


def test_a_homes_own_models_hold(made: Path, last: date) -> None:
    proof = split_of_models(Platform(made), [last])
    assert proof.passed
    (row,) = proof.rows
    assert row["trained on"] == f"{last - timedelta(days=2)} to {last - timedelta(days=1)}, judged {last}"
    assert 0 <= row["gap hours"] < 24
    assert str(last - timedelta(days=2)) <= row["features read until"] < str(last)


def test_the_command_exits_with_1_where_training_reaches_into_the_judged_day(made: Path, last: date) -> None:
    window = ["--from", str(last), "--to", str(last), "--home", str(made)]
    assert CliRunner().invoke(prove, ["split", *window]).exit_code == 0
    across = [*window, "--train-from", str(last - timedelta(days=1)), "--train-to", str(last)]
    done = CliRunner().invoke(prove, ["split", *across])
    assert done.exit_code == 1
    assert "1 of 1 fail" in done.output
    assert "embargo needed: 1 day" in done.output.replace("\n", " ")
    assert done.output.count("repair Judge later days") == 1


def test_countries_are_those_judged_and_training_is_everybodys(made: Path, last: date) -> None:
    platform = Platform(made)
    (of_all,), (of_one,) = prove_split(platform, last, last), prove_split(platform, last, last, ["DE"])
    assert (of_one.subject, of_one.passed) == (f"{last} to {last} for DE", True)
    (whole,), (part,) = of_all.rows, of_one.rows
    assert [part[name] for name in ("trained on", "label windows close", "features read until")] == [
        whole[name] for name in ("trained on", "label windows close", "features read until")
    ]
    assert part["first judged"] >= whole["first judged"]
    across = (last - timedelta(days=1), last)
    found = {where: next(prove_split(platform, last, last, where, across)).rows[0] for where in ((), ("US",), ("DE",))}
    assert found["US",]["same context"] + found["DE",]["same context"] == found[()]["same context"] > 0
    (untrained,) = prove_split(platform, *across[:1] * 2)
    assert (untrained.verdict, untrained.observed[:10]) == ("not judged", "not judged")
    with pytest.raises(MissingInput, match=f"contexts has no rows from {last} to {last} for FR"):
        list(prove_split(platform, last, last, ["FR"]))
    with pytest.raises(MissingInput, match="contexts has no rows"):
        list(prove_split(platform, last, last, (), (last - timedelta(days=90), last - timedelta(days=80))))


def test_the_next_proof_is_asked_of_the_same_countries_and_home(made: Path, last: date) -> None:
    window = ["--from", str(last), "--to", str(last), "--countries", "US,DE", "--home", str(made)]
    then = {
        name: re.search(r"Next: rec-platform prove (.*)", CliRunner().invoke(prove, [name, *window]).output)
        for name in ("incremental", "split")
    }
    assert {name: found and found[1] for name, found in then.items()} == {
        "incremental": f"split {' '.join(window)}", "split": f"placebo {' '.join(window)}"
    }  # fmt: skip


def test_features_that_say_nothing_are_counted_and_have_no_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"feature": "a", "knows": 0.2, "jump": -0.0}, {"feature": "b", "knows": float("nan"), "jump": float("nan")}]
    _print([Proof("placebo", "2025-01-01", True, "fine", 0.1, tuple(rows))], "What features know", "all")
    told = capsys.readouterr().out
    assert told.startswith("What features know, 2025-01-01\n")
    assert re.search(r"\na +0\.2 +0 *\n1 more with nothing to tell beyond the past", told)


def test_every_proof_has_a_repair() -> None:
    assert set(REPAIRS) == {"leak", "replay", "incremental", "split", "placebo"} == set(get_command(prove).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [["leak", "--instants", "1"], ["replay", "--at-most", "1"], ["incremental"]])
def test_every_command_prints_json_with_its_cost(made: Path, last: date, command: list[str]) -> None:
    window = ["--from", str(last), "--to", str(last), "--home", str(made), "--json"]
    done = CliRunner().invoke(prove, [*command, *window])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found
    assert all(one["passed"] and one["cpu_seconds"] > 0 for one in found)


def test_the_table_of_a_split_fits_80_columns_and_json_is_complete(made: Path, last: date) -> None:
    window = ["--from", str(last), "--to", str(last), "--home", str(made)]
    table = CliRunner().invoke(prove, ["split", *window]).stdout.split("Split audit\n")[0].splitlines()
    assert max(len(line) for line in table) <= 80
    assert table[1].split("  ")[0] == "trained on"
    assert [line.split("  ")[0].strip() for line in table[3:5]] == [
        str(last - timedelta(days=2)), f"to {last - timedelta(days=1)}"
    ]  # fmt: skip
    assert [line.split()[0] for line in table[5:]] == [name.split()[0] for name in LEGENDS["split"]]
    (proof,) = json.loads(CliRunner().invoke(prove, ["split", *window, "--json"]).stdout)
    assert set(proof["rows"][0]) == {"trained on", *audited(side((1, 7, 3.0)), side((3, 7, 24.0))).row()}


def test_a_row_for_people_says_the_gap_to_the_second_and_both_kinds_of_doubles() -> None:
    training = replace(side((1, 7, 3.0), (2, 8, 5.0)), newest=midnight(TENTH) + 4 * HOUR + 999_999)
    row = verdict(
        {"2025-03-08 to 2025-03-10, judged 2025-03-11": audited(training, side((1, 7, 3.0), (6, 8, 5.0)))}
    ).rows[0]
    assert shown(row) == {
        "trained on": "2025-03-08\nto 2025-03-10", "read until": "2025-03-10\n04:00:00Z", "judged from": "2025-03-10\n03:00:00Z",
        "gap": "-21.0 h", "future": 2, "both": 2, "near": 0, "embargo": 1,
    }  # fmt: skip


def test_every_column_that_needs_words_has_them() -> None:
    row = shown({"trained on": "a", **audited(side((1, 7, 3.0)), side((3, 7, 24.0))).row()})
    assert set(LEGENDS["split"]) == set(row) - {"trained on", "judged from"}
    known = Knowledge("x", *[0.0] * 6, titles=60, free=20)
    assert set(LEGENDS["placebo"]) == set(known.row()) - {"feature", "leaks"}
    assert "above 0.10 the feature leaks" in LEGENDS["placebo"]["low"]


@pytest.mark.parametrize(
    ("proof", "drawn", "said"),
    [
        ("replay", [(1, 1335)] * 40, " (40 of 1,335 partitions; --at-most for more)"),
        ("replay", [(1, 2)] * 2, ""),
        ("leak", [(1, 3), (0, 0), (1, 3), (1, 3)], " (an instant each of 3 of 3 partitions; --instants for more)"),
        ("incremental", [(90, 1000), (110, 900)], " (200 of 1,900 profiles and titles; --about for more)"),
        ("incremental", [(90, 90), (110, 110)], ""),
        ("placebo", [(20_000, 45_000)], " (20,000 of 45,000 titles)"),
        ("split", [(0, 0)], ""),
    ],
)
def test_a_sample_is_said_to_be_one_and_of_how_many(proof: str, drawn: list[tuple[int, int]], said: str) -> None:
    assert _sampled([Proof(proof, "x", True, "", 0.1, drawn=n, drawn_of=of) for n, of in drawn]) == said


def test_the_commands_say_how_much_of_what_there_is_they_looked_at(made: Path, last: date) -> None:
    window = ["--from", str(last), "--to", str(last), "--home", str(made)]

    def told(*command: str) -> str:
        return CliRunner().invoke(prove, [*command, *window]).stdout

    assert "it holds (1 of 2 partitions; --at-most for more)" in told("replay", "--at-most", "1")
    assert "all 2 hold, " in told("replay", "--at-most", "2")
    assert "(an instant each of 1 of 2 partitions; --instants for more)" in told("leak", "--instants", "1")
    some, whole = told("incremental", "--about", "3"), told("incremental", "--about", "100000")
    found = re.search(r"all 2 hold \((\d+) of (\d+) profiles and titles; --about for more\)", some)
    assert found and 0 < int(found[1]) < int(found[2])
    assert "all 2 hold, " in whole
