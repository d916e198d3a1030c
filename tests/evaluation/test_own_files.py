"""Files of the user's own: what they may declare, every fault with its line, and their numbers beside the stored ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError
from rec_platform.evaluation import ACCUMULATORS, ALL_METRICS, Slices, context_slice, evaluate, metric_rows, title_slice
from rec_platform.evaluation.on_demand import beside
from rec_platform.evaluation.own import NONE, Own, _on_trial, fingerprints, load, tried
from rec_platform.evaluation.plan import CONTEXT
from rec_platform.evaluation.tallies import ONE, tallied
from rec_platform.tables import TITLES
from rec_platform.testing.metric_oracle import orders

EXAMPLE = Path(__file__).parents[2] / "examples" / "metrics" / "patience.py"
HEAD = """\
import numpy as np
from rec_platform.evaluation import Accumulator, Added, context_slice, metric, title_slice
from rec_platform.evaluation.metrics import Population
def shown(view, k):
    return Added(*view.lists.shown(k))
"""
LINES = HEAD.count("\n")


def file_of(folder: Path, body: str, name: str = "mine.py") -> str:
    (folder / name).write_text(HEAD + body)
    return str(folder / name)


# --- the example -----------------------------------------------------------------------------------------------------


def rbp(labels, lost, k):
    """From its definition on a ranked list."""
    return 0.2 * sum(0.8 ** (rank - 1) for rank, label in enumerate(labels, 1) if label > 0)


@pytest.mark.parametrize(
    ("scores", "labels", "lost"),
    [
        ([5, 4, 4, 4, 1], [0, 1, 0, 1, 0], []),
        ([1, 1, 1, 1], [1, 0, 2, 0], [1.0]),
        ([3, 2, 1], [1, 1, 1], []),
        ([2, 2, 1, 1, 1], [0, 1, 1, 0, 1], []),
    ],
)
def test_the_closed_form_of_the_example_is_the_mean_over_all_orders(scores, labels, lost):
    items = {
        "title_id": np.arange(len(labels) + len(lost)), "label": np.array([*labels, *lost], float),
        "reachable": np.array([True] * len(labels) + [False] * len(lost)),
    }  # fmt: skip
    frame = Frame.of(pa.table({"profile_id": [1]}), np.array([0, len(labels) + len(lost)]), items=items,
                     scores={"m": np.array([*scores, *[0] * len(lost)], float)})  # fmt: skip
    own = tried((str(EXAMPLE),))
    sums = evaluate(frame, seed=1, metrics=own.metrics, accumulators=(), slices=Slices(()), replicates=0)
    found = next(row for row in metric_rows(sums).to_pylist() if (row["model"], row["metric"]) == ("m", "rbp"))
    assert found["value"] == pytest.approx(np.mean([rbp(one, lost, 0) for one in orders(scores, labels)]), abs=1e-9)


def test_the_example_declares_what_it_says():
    own = tried((str(EXAMPLE),))
    assert own.names == ("even_ids", "rbp", "effective_catalogue")
    assert [(one.name, one.of, one.reads) for one in own.slices] == [
        ("length", "title", ("runtime_ms",)), ("weekend", "context", ("at",))
    ]  # fmt: skip
    assert own.metrics[1].by_group is not None
    assert own.shown([("rbp", 0), ("even_ids", 5), ("even_ids", 10), ("effective_catalogue", 3), ("nmrr", 0)]) == [
        ("even_ids", 10), ("rbp", 0), ("effective_catalogue", 3)
    ]  # fmt: skip
    # lists that show n titles alike: n
    reading = own.accumulators[0].readings["effective_catalogue"]
    assert reading(tallied(np.arange(7), np.zeros(7, np.int64), np.full(7, 3 * ONE))) == pytest.approx(7.0)
    assert np.isnan(reading(tallied(*(np.zeros(0, np.int64) for _ in range(3)))))


# --- faults ----------------------------------------------------------------------------------------------------------

MINE = "@metric('mine', about='')\ndef mine(groups, k):\n"
ONES = "    return np.ones(groups.truth.n_contexts)\n"


@pytest.mark.parametrize(
    ("body", "line", "match"),
    [
        ("x = 1\n", None, "no metric in it"),
        ("def broken(:\n", 1, "not Python"),
        ("x = 1 / 0\n", 1, "ZeroDivisionError"),
        ("@metric('mrr', about='')\ndef mine(groups, k):\n" + ONES, 1, "'mrr' is taken"),
        ("@metric('mean_rank', about='')\ndef mine(groups, k):\n" + ONES, 1, "'mean_rank' is taken"),
        ("@metric('found@k', about='')\ndef mine(groups, k):\n" + ONES, 1, "'found@k' is no name for a metric"),
        ("@metric('x_sampled', about='')\ndef mine(groups, k):\n" + ONES, 1, "'x_sampled' is no name"),
        ("@metric('mine', about='')\ndef mine(groups):\n" + ONES, 1, r"'mine' cannot be called with \(groups or view, k\)"),
        ("@metric('mine', about='', needs=('moon',))\ndef mine(view, k):\n" + ONES, 1, "needs 'moon'"),
        ("@metric('mine', about='', population='all')\ndef mine(groups, k):\n" + ONES, 1, "of population 'all'"),
        ("SHOWN = Accumulator('exposure', shown, {'n': lambda t: 1.0}, needs=('lists',))\n", -1, "'exposure' is taken"),
        ("SHOWN = Accumulator('mine', shown, {'gini': lambda t: 1.0}, needs=('lists',))\n", -1, "'gini' is taken"),
        ("SHOWN = Accumulator('mine', shown, {}, needs=('lists',))\n", -1, "nothing is read from it"),
        ("@context_slice(about='')\ndef device(at):\n    return at\n", 1, "'device' is taken"),
        ("@context_slice(about='')\ndef mine(moon):\n    return moon\n", 1, "reads 'moon', which no context has"),
        ("@title_slice(about='')\ndef mine(at):\n    return at\n", 1, "reads 'at', which no title has"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named_with_its_line(tmp_path, body, line, match):
    with pytest.raises(ConfigError, match=match) as caught:
        load((file_of(tmp_path, body),))
    assert str(tmp_path / "mine.py") in caught.value.place
    assert caught.value.repair
    if line is not None:
        assert caught.value.fault.startswith(f"line {LINES + line if line > 0 else 4}: ")


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (MINE + "    return groups.positives / groups.size\n", "for 24 contexts of random"),
        (MINE + "    return 1.0 / groups.truth.n_candidates\n", "'mine' is inf for a context"),
        (MINE + "    return np.cumsum(groups.truth.n_positives)\n", "another number among fewer"),
        (MINE + "    return groups.moon\n", f"line {LINES + 3}: 'mine' raised AttributeError"),
        ("@metric('mine', about='', over=lambda truth, k: np.ones(truth.n_contexts))\ndef mine(groups, k):\n"
         "    return np.cumsum(groups.positives) * 1.0\n", "another number among fewer"),
        ("@metric('mine', about='', population=Population.ANY)\ndef mine(groups, k):\n"
         "    return groups.total(groups.gain) / groups.truth.n_positives\n", "'mine' is nan for a context"),
        ("def bad(view, k):\n    return Added(np.array([99]), np.array([1]))\n"
         "A = Accumulator('mine', bad, {'n': lambda t: 1.0})\n", "adds to contexts outside the 24"),
        ("A = Accumulator('mine', shown, {'n': lambda t: 'many'}, cut=True, needs=('lists',))\n", "reads 'n' as str"),
    ],
)  # fmt: skip
def test_what_goes_wrong_on_trial_is_named(tmp_path, body, match):
    file = file_of(tmp_path, body)
    assert load((file,))
    with pytest.raises(ConfigError, match=match):
        tried((file,))


def test_every_fault_is_said_at_once(tmp_path):
    body = "@metric('mrr', about='')\ndef one(groups, k):\n    return 1\n"
    body += "@metric('two', about='', needs=('moon',))\ndef two(view, k):\n    return 1\n"
    with pytest.raises(ConfigError, match=r"line 6: 'mrr' is taken; line 9: 'two' needs 'moon'"):
        load((file_of(tmp_path, body),))


def test_two_files_may_not_share_a_name(tmp_path):
    body = MINE + ONES
    files = [file_of(tmp_path, body, name) for name in ("one.py", "two.py")]
    with pytest.raises(ConfigError, match="two files declare the metric 'mine'"):
        load(files)


# --- slices over expressions -----------------------------------------------------------------------------------------


def test_a_slice_of_contexts_is_the_column_it_makes(full):
    @context_slice(about="")
    def big(profile_id, device):
        return [f"{word}!" if who >= 10 else None for who, word in zip(profile_id, device, strict=True)]

    frame = full(3)
    values = big.values(frame.contexts).to_pylist()
    rows = frame.contexts.to_pylist()
    assert values == [f"{row['device']}!" if row["profile_id"] >= 10 else "unknown" for row in rows]
    odd = context_slice(about="")(lambda profile_id: profile_id % 2 == 1)
    assert set(odd.values(frame.contexts).to_pylist()) == {"true", "false"}


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda profile_id: profile_id[:3], "returned 3 values"),
        (lambda profile_id: [[1]] * len(profile_id), "returned 60 values of list"),
        (lambda profile_id: profile_id.moon, "raised AttributeError"),
    ],
)
def test_a_slice_that_gives_no_value_per_row_is_refused(full, function, match):
    with pytest.raises(ConfigError, match=match):
        context_slice(about="")(function).values(full(3).contexts)


def test_a_slice_of_titles_divides_those_known():
    @title_slice(about="")
    def first(genres):
        return [some[0] if len(some) else None for some in genres]

    empty = {one.name: None for one in TITLES.schema}
    genres = {9: ["noir"], 4: [], 7: ["drama", "noir"]}
    rows = [empty | {c.TITLE: t, c.GENRES: g, c.TAGS: [], c.KNOWN_AT: 0, c.SOURCE_ID: ""} for t, g in genres.items()]
    division = first.division(pa.Table.from_pylist(rows, TITLES.schema))
    told = [division.labels[code] for code in division.of(np.array([4, 5, 7, 9]))]
    assert told == ["unknown", "unknown", "drama", "noir"]


# --- beside what is stored -------------------------------------------------------------------------------------------


def judged(frame, own=NONE, **changes):
    options = {"seed": 1, "cutoffs": (3,), "replicates": 20, "slices": Slices(("device",)), "list_length": 30}
    known = {"metrics": own.metrics, "accumulators": own.accumulators} if own else {}
    return evaluate(frame, **(options | known | changes))


def test_beside_stored_sums_they_are_what_one_pass_gives(full):
    own, frame = tried((str(EXAMPLE),)), full(4)
    whole = Own(ALL_METRICS + own.metrics, ACCUMULATORS + own.accumulators)
    known = whole.accumulators
    both = beside(judged(frame), judged(frame, own), own)
    one_pass = judged(frame, whole)
    ours, theirs = (metric_rows(sums, accumulators=known).to_pandas() for sums in (both, one_pass))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert {key.estimand for key in both.keys} == {CONTEXT}


def test_a_changed_metric_takes_the_place_of_the_stored_one(full, tmp_path):
    text = MINE + "    return np.full(groups.truth.n_contexts, {})\n"
    old, new = (load((file_of(tmp_path, text.format(value)),)) for value in (0.25, 0.75))
    sums = beside(judged(full(4), old), judged(full(4), new), new)
    values = [row["value"] for row in metric_rows(sums).to_pylist() if row["metric"] == "mine"]
    assert values == pytest.approx([0.75] * len(values))
    assert values


def test_other_contexts_than_the_stored_ones_are_refused(full):
    own = tried((str(EXAMPLE),))
    with pytest.raises(ConfigError, match="the stored metrics are not of the stored scores"):
        beside(judged(full(4)), judged(full(5), own), own)


@pytest.mark.parametrize(
    "one", [*ALL_METRICS, *(one for one in ACCUMULATORS if "pages" not in one.needs)], ids=lambda one: one.name
)
def test_the_platforms_own_pass_the_trial(one):
    assert list(_on_trial(one, EXAMPLE)) == []


def test_a_module_beside_is_part_of_a_file(tmp_path):
    (tmp_path / "discounts.py").write_text("def halved(value):\n    return value / 2\n")
    body = """
from discounts import halved
@metric("half", about="half the number of shown positives")
def half(view, k):
    return halved(view.lists.shown(k)[1].astype(float))
"""
    file = file_of(tmp_path, body)
    assert load((file,)).names == ("half",)
    before = fingerprints([file])
    (tmp_path / "discounts.py").write_text("def halved(value):\n    return value / 3\n")
    assert fingerprints([file]) != before
    (tmp_path / "discounts.py").write_text("halved = 1 / 0\n")
    with pytest.raises(ConfigError, match=r"discounts\.py, line 1: ZeroDivisionError"):
        load((file,))
