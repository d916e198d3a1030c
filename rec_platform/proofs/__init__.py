"""Proofs that nothing of the future reaches the past: as commands (`rec-platform prove`) and beside every run.

    scramble.py      everything not visible at T is corrupted; what is derived at T must keep its bytes
    replay.py        a partition is made again from the versions its manifest names, and must have the same hash
    incremental.py   rolled snapshots against a count straight from the plays
    split.py         training and evaluation: label windows across the cut, doubles, the embargo needed
    placebo.py       features that know more of the future than the past can tell
    flow.py          which of them a run makes of its own partitions, as a sample

A proof reads published tables at fixed versions and writes nothing. docs/proofs.md explains each with an example.
"""

from rec_platform.proofs.verdict import Proof

__all__ = ["Proof"]
