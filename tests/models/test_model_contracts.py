"""Every model passes the contract suite."""

from rec_platform.models.baselines import CollaborativeScorer, LastPlayedScorer, PopularityScorer, RandomScorer
from rec_platform.models.boosted_trees import BoostedTreesTrainer
from rec_platform.models.collaborative import CollaborativeTrainer
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.popularity import PopularityTrainer
from rec_platform.testing.model_contract import CandidateContract, RankerContract, ScorerContract


class TestRandom(ScorerContract):
    scorer = RandomScorer()


class TestPopularityScorer(ScorerContract):
    scorer = PopularityScorer()


class TestLastPlayed(ScorerContract):
    scorer = LastPlayedScorer()


class TestCollaborativeScorer(ScorerContract):
    scorer = CollaborativeScorer()


class TestLogistic(RankerContract):
    trainer = LogisticTrainer()


class TestBoostedTrees(RankerContract):
    trainer = BoostedTreesTrainer()


class TestPopularityModel(CandidateContract):
    trainer = PopularityTrainer()


class TestCollaborativeModel(CandidateContract):
    trainer = CollaborativeTrainer()
