"""Rankers that raise while contexts are scored: what is left is what the other models alone give, to the bit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring_world import DAY, AgainstRemainder, ByRemainder, Remainder, played_frame, timeline

from rec_platform import columns as c
from rec_platform.config import SeenRule
from rec_platform.contexts.candidates import CandidateSets
from rec_platform.dmc12.frame import Frame, concat
from rec_platform.errors import NumericError, StorageFault
from rec_platform.models.artefact import Artefact
from rec_platform.models.baselines import RandomScorer
from rec_platform.models.contract import Scorer
from rec_platform.pipeline import Sources
from rec_platform.scoring.rankers import Rankers, StoredRankers
from rec_platform.scoring.score import ContextScorer

PROFILES = (4, 5, 6, 700)
SETS = CandidateSets(timeline(), SeenRule())
SEED = 11


def lost(frame: Frame) -> None:
    raise KeyError("lost")


@dataclass(frozen=True)
class Fragile(ByRemainder):
    """`by_remainder` from its top down, with `wrong` in its place for frames that hold a context of one of these profiles."""

    profiles: tuple[int, ...] = ()
    wrong: Callable[[Frame], Any] = lost
    asked: list[int] = field(default_factory=list)

    name = "fragile"

    def score(self, frame: Frame) -> Any:
        self.asked.append(frame.n_items)
        if set(self.profiles) & set(frame.context(c.PROFILE).tolist()):
            return self.wrong(frame)
        return 6.0 - super().score(frame)


def played(country: str = "FR", profiles: tuple[int, ...] = PROFILES) -> Frame:
    """Contexts in which the first candidates, and one title that is none, were played."""
    return played_frame(
        list(profiles), [[3, 9, 99_999]] * len(profiles), [[1.0, 0.0, 1.0]] * len(profiles), country=country
    )


def scoring(*rankers: Scorer, keep_top: int = 3, guarded: bool = True) -> ContextScorer:
    known = Rankers.of(DAY, {one.name: one for one in rankers})
    return ContextScorer(
        DAY, SETS, [Remainder()], [RandomScorer(), *rankers], Sources(), keep_top, SEED, known if guarded else None
    )  # fmt: skip


def rows(scorer: ContextScorer, frame: Frame, country: str = "FR", max_items: int = 60) -> pa.Table:
    assert scorer.rankers is not None
    scored = scorer.score(frame, max_items=max_items)
    return scored.without(scorer.rankers.lacks(country), keep_top=scorer.keep_top, seed=SEED).rows()


@given(
    st.sets(st.sampled_from(PROFILES), min_size=1), st.integers(1, 200), st.integers(1, 9), st.booleans(), st.booleans()
)
def test_without_one_that_raises_all_is_as_if_it_had_never_been(
    profiles: set[int], max_items: int, top: int, first: bool, other: bool
) -> None:
    """Whichever contexts it raises in, however they are cut into chunks, however many models are left."""
    fragile, others = Fragile(profiles=tuple(profiles)), [AgainstRemainder()] if other else []
    together = scoring(*([fragile, *others] if first else [*others, fragile]), keep_top=top)
    assert rows(together, played(), max_items=max_items).equals(rows(scoring(*others, keep_top=top), played()))
    assert together.rankers is not None
    (said,) = together.rankers.lacks("FR").values()
    assert said.startswith("KeyError: 'lost' (test_rankers_that_raise.py, line ")


def test_the_whole_partition_is_without_it_and_it_is_not_asked_about_that_again() -> None:
    """It raises in the third of four chunks: the scores of two are there by then."""
    fragile = Fragile(profiles=(6,))
    many = len(SETS.timeline.available("FR", int(played().context(c.AT)[0])))
    found = scoring(fragile).score(played(), max_items=many + 3)
    assert len(fragile.asked) == 3
    assert "fragile" in found.frame.scores.column_names, "parts of a partition have the same columns"
    assert "fragile" not in str(rows(scoring(fragile), played()).schema)


def test_it_is_missing_in_the_country_in_which_it_raises_and_in_no_other() -> None:
    """Contexts of two countries that are served together, as a sweep does it, are as they are each by itself."""
    fragile = Fragile(profiles=(5,))
    both = concat([played("FR"), played("GB", (6, 700))])
    together = scoring(fragile, AgainstRemainder())
    scored = together.score(both)
    assert together.rankers is not None
    assert [list(together.rankers.lacks(one)) for one in ("FR", "GB")] == [["fragile"], []]
    france, britain = (
        replace(scored, frame=scored.frame.take(np.array(part))).without(
            together.rankers.lacks(country), keep_top=3, seed=SEED
        )
        for country, part in (("FR", [0, 1, 2, 3]), ("GB", [4, 5]))
    )
    assert france.rows().equals(rows(scoring(AgainstRemainder()), played("FR")))
    alone = rows(scoring(Fragile(), AgainstRemainder()), played("GB", (6, 700)), "GB")
    assert britain.rows().equals(alone)


WRONG: dict[str, tuple[Callable[[Frame], Any], str]] = {
    "too few": (
        lambda frame: np.zeros(frame.n_items - 1),
        r"model fragile gave scores of shape \(\d+,\) for \d+ items",
    ),
    "a table": (lambda frame: np.zeros((frame.n_items, 1)), r"model fragile gave scores of shape \(\d+, 1\)"),
    "one number": (lambda frame: 1.0, r"model fragile gave scores of shape \(\) for"),
    "nothing": (lambda frame: None, r"model fragile gave scores of shape \(\) for"),
    "nan": (lambda frame: np.full(frame.n_items, np.nan), "model fragile gave the score nan in context"),
    "infinite": (lambda frame: np.full(frame.n_items, np.inf), "model fragile gave the score inf in context"),
    "texts": (lambda frame: np.full(frame.n_items, "high"), "TypeError: "),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_one_number_per_item_is_as_if_it_had_raised(what: str) -> None:
    wrong, said = WRONG[what]
    fragile = Fragile(profiles=PROFILES, wrong=wrong)
    guarded = scoring(fragile, AgainstRemainder())
    assert rows(guarded, played()).equals(rows(scoring(AgainstRemainder()), played()))
    assert guarded.rankers is not None
    assert re.match(said, guarded.rankers.lacks("FR")["fragile"])
    with pytest.raises((NumericError, TypeError)):
        scoring(fragile, guarded=False).score(played())


def test_what_it_writes_before_it_raises_is_in_nobody_elses_scores() -> None:
    def writes(frame: Frame) -> None:
        frame.offsets[1:-1] = frame.offsets[-1]
        lost(frame)

    alone, beside = scoring(AgainstRemainder()), scoring(Fragile(profiles=PROFILES, wrong=writes), AgainstRemainder())
    assert rows(beside, played(), max_items=10_000).equals(rows(alone, played(), max_items=10_000))


def test_nobody_is_asked_for_the_scores_of_nothing() -> None:
    fragile = Fragile(profiles=PROFILES)
    found = scoring(fragile)
    assert rows(found, played_frame([], [], [])).num_rows == 0
    assert found.rankers is not None
    empty = found.rankers.apply(fragile, played_frame([4, 5], [[], []], [[], []]), Sources())
    assert empty.scores.column("fragile").to_pylist() == []
    assert (fragile.asked, found.rankers.lacks("FR")) == ([], {})


@pytest.mark.parametrize("fault", [StorageFault("the disk is full", place="", repair=""), KeyboardInterrupt()])
def test_what_is_no_models_fault_is_never_swallowed(fault: BaseException) -> None:
    def raises(_: Frame) -> None:
        raise fault

    with pytest.raises(type(fault)):
        scoring(Fragile(profiles=PROFILES, wrong=raises)).score(played())


def test_a_step_or_a_baseline_that_raises_is_no_ranker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the platform does around rankers is not guarded: neither before them nor after."""
    for kind, method in ((Remainder, "apply"), (RandomScorer, "score")):
        with monkeypatch.context() as patch:
            patch.setattr(kind, method, lambda *_: {}["ours"])
            with pytest.raises(KeyError, match="ours"):
                scoring(ByRemainder()).score(played())
    monkeypatch.setattr("rec_platform.scoring.score.standings", lambda *_: {}["ours"])
    with pytest.raises(KeyError, match="ours"):
        scoring(ByRemainder()).score(played())


def test_one_that_cannot_be_loaded_is_told_for_every_country_and_loaded_only_when_asked_for() -> None:
    stored = StoredRankers({"gone": Artefact.of("gone", {"code_version": 1}, {})}, ())
    assert "gone" in stored, "names are known without loading"
    assert list(stored) == ["gone"]
    known = Rankers.of(DAY, stored)
    assert not known.scorers
    assert known.lacks("FR") == known.lacks("GB")
    assert known.lacks("FR")["gone"].startswith("no ranker of that name; there are ['logistic', 'xgboost']")
