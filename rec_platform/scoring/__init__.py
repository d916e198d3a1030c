"""Scoring: contexts over their whole candidate sets with many models at once, and ranked lists for profiles.

candidates.py   frames that hold a context's whole candidate set
ranking.py      how many candidates score above and equal; who is in a top; ties
rankers.py      the rankers of a date, and which of them raised
score.py        contexts with every model in one pass, chunk by chunk
recommend.py    lists for profiles
stage.py        the stages scores and recommendations; recommend_one for a single profile
"""
