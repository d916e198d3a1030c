"""In the simulated world, where the truth is known, the rankers get nearer to it than every baseline.

The models learn from a delivery with late, doubled and damaged rows, through the whole flow. Then every model's scores of
the last day, over whole candidate sets, are held against the true utility that each profile's plays were drawn from
(docs/simulated-world.md). Nothing of the truth is in the delivery.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import rankdata
from simulated_homes import TO_SCORES, fill, run, world

from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, flat
from rec_platform.flow import Platform
from rec_platform.partition import Partition
from rec_platform.simulation import Truth, load_truth, simulate, true_utilities
from rec_platform.tables import PROFILES, SCORES_TABLE

pytestmark = pytest.mark.slow

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BASELINES = ("random", "popularity", "last_played", "collaborative")
RANKERS = ("xgboost", "logistic")
MEASURES = ("rank agreement", "ndcg at 10")
#: `keep_top` beyond the catalogue keeps every candidate in the scores, so whole rankings can be compared.
SETTINGS = """
[rankers]
training_days = 7
n_trees = 30
[evaluation]
keep_top = 1000
"""


def nearness(scores: Floats, utility: Floats, k: int = 10) -> tuple[float, float]:
    """How near one context's scores come to the truth: 1 is the truth itself, by either measure.

    Rank agreement is Spearman's correlation with the utility (0 for constant scores). NDCG@k has the true choice
    probabilities, softmax of the utility, as gains; equal scores share their gains, the mean over random orders of them.
    """
    ranks, true_ranks = rankdata(scores), rankdata(utility)
    agreement = float(np.corrcoef(ranks, true_ranks)[0, 1]) if np.ptp(ranks) else 0.0
    gains = np.exp(utility - utility.max())
    _, group, size = np.unique(-scores, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    shared = (np.bincount(group, gains) / size)[group][order]
    discount = 1 / np.log2(np.arange(2, min(k, len(gains)) + 2))
    best = np.sort(gains)[::-1][: len(discount)] @ discount
    return agreement, float(shared[: len(discount)] @ discount / best)


def test_nearness_is_one_for_the_truth_alone() -> None:
    utility = np.array([1.0, -0.5, 0.2, 2.0])
    assert nearness(10 * utility, utility, k=2) == pytest.approx((1, 1))
    assert nearness(-utility, utility)[0] == pytest.approx(-1)
    assert nearness(utility[::-1], utility)[1] < 0.9


def test_equal_scores_share_their_gains() -> None:
    """Odds 4 : 2 : 1 all alike: each place gains 7/3, the ideal order 4, then 2."""
    utility = np.log(np.array([1.0, 4.0, 2.0]))
    agreement, ndcg = nearness(np.zeros(3), utility, k=2)
    second = 1 / np.log2(3)
    assert agreement == 0
    assert ndcg == pytest.approx(7 / 3 * (1 + second) / (4 + 2 * second))


class Compared:
    """Nearness of every model in every context of the last day: `near[model]` of shape (contexts, measures)."""

    def __init__(self, home: Path, truth: Truth, day: date) -> None:
        lake = Platform(home).lake
        known = lake.read(PROFILES.name, [Partition()])
        users = dict(zip(known[c.PROFILE].to_pylist(), known[c.SOURCE_ID].to_pylist(), strict=True))
        parts = [part for part in sorted(lake.state(SCORES_TABLE.name)) if part.day == day]
        frames = [flat(lake.read(SCORES_TABLE.name, [part], SCORES_TABLE.schema.names)) for part in parts]
        self.profile: Ints = np.concatenate([frame.context(c.PROFILE) for frame in frames])
        self.near = {
            model: np.array([near for frame in frames for near in near_contexts(frame, model, truth, users)])
            for model in frames[0].scores.column_names
        }

    def ahead(self, ranker: str, baseline: str, measure: int) -> tuple[float, float]:
        """Bounds of the 99 % interval of the mean difference, by paired bootstrap over profiles."""
        difference = (self.near[ranker] - self.near[baseline])[:, measure]
        _, who = np.unique(self.profile, return_inverse=True)
        total, count = np.bincount(who, difference), np.bincount(who)
        draws = np.random.default_rng(1).multinomial(len(count), np.full(len(count), 1 / len(count)), size=2_000)
        low, high = np.quantile((draws @ total) / (draws @ count), [0.005, 0.995])
        return float(low), float(high)


def near_contexts(frame: Frame, model: str, truth: Truth, users: dict[int, str]) -> list[tuple[float, float]]:
    """The nearness of one model in each context of a frame, over the titles offered then."""
    rows = frame.context_of_item
    user = [users[profile] for profile in frame.context(c.PROFILE)[rows]]
    country, at = frame.context(c.COUNTRY)[rows], frame.context(c.AT)[rows]
    utility = true_utilities(truth, user, frame.item(c.TITLE), country, at)
    scores = np.asarray(frame.scores.column(model))
    offered = np.isfinite(utility) & frame.item(c.REACHABLE).astype(bool)
    runs = [np.arange(a, b)[offered[a:b]] for a, b in zip(frame.offsets[:-1], frame.offsets[1:], strict=True)]
    return [nearness(scores[run], utility[run]) for run in runs]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("truth")
    config = world(plays=24_000, days=25, n_titles=200)
    simulate(config, folder / "world")
    home = fill(folder / "home", (folder / "world" / "delivery").iterdir(), SETTINGS)
    last = config.start + timedelta(days=config.days - 1)
    run(home, last, last, TO_SCORES)
    return Compared(home, load_truth(folder / "world"), last)


def test_whole_candidate_sets_of_many_profiles_are_compared(compared: Compared) -> None:
    assert set(compared.near) == {*BASELINES, *RANKERS}
    assert len(np.unique(compared.profile)) > 200
    assert compared.near["random"][:, 0].tolist() == [0.0] * len(compared.profile)


@pytest.mark.parametrize("measure", range(len(MEASURES)), ids=MEASURES)
@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("ranker", RANKERS)
def test_a_ranker_is_nearer_to_the_truth_than_every_baseline(
    compared: Compared, ranker: str, baseline: str, measure: int
) -> None:
    low, high = compared.ahead(ranker, baseline, measure)
    means = {model: near[:, measure].mean().round(3) for model, near in compared.near.items()}
    assert low > 0, f"{ranker} - {baseline} lies in [{low:.3f}, {high:.3f}] by {MEASURES[measure]}; means {means}"
