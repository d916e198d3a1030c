"""Models behind one contract: trainers make artefacts, scorers read them.

contract.py            CandidateTrainer, RankerTrainer, Scorer; the registry
artefact.py            files with hashes and a manifest <-> rows of the model tables
popularity.py          candidate model: recent plays per country, smoothed with the world's
collaborative.py       candidate model: implicit ALS
candidate_features.py  their scores as features, each context from the model of its own date
baselines.py           random, popularity, last_played, collaborative: scores that are one feature
logistic.py            ranker: logistic regression
boosted_trees.py       ranker: XGBoost rank:ndcg
own.py                 rankers of a user's files, held to the contract
stage.py               the stages candidate_models and ranker_models
"""
