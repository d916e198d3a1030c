"""Protocols of published tables: named splits of a plain log of interactions, judged like everything else here.

    from rec_platform.protocols import GlobalTime, LeaveOneOut, judged, read_interactions

    log = read_interactions("ratings.csv", profile="user_id", title="movie_id", at="timestamp")
    result = judged(log, LeaveOneOut(), models=("popularity", "collaborative"), seen="drop", cold="drop", seed=1)
    result.rows       # metrics with intervals; result.leaks says what the split lets models know that they should not

The platform itself splits time globally (docs/metrics.md). These splits are here so that its models can stand beside the
numbers of papers, each under its own name and labelled as leaking where it does.
"""

from rec_platform.protocols.interactions import Interactions, of_plays, read_interactions, read_sequences
from rec_platform.protocols.judge import Result, judged
from rec_platform.protocols.splits import SPLITS, GlobalTime, LeaveOneOut, RandomPerProfile, RandomPerTitle, Split

__all__ = [
    "SPLITS", "GlobalTime", "Interactions", "LeaveOneOut", "RandomPerProfile", "RandomPerTitle", "Result", "Split",
    "judged", "of_plays", "read_interactions", "read_sequences",
]  # fmt: skip
