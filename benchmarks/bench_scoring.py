"""Scoring: batches beside XGBoost's own prediction on equal values, and one request at a time.

    python benchmarks/bench_scoring.py

A model of 200 trees on twenty features of a world of 500,000 plays and 10,000 titles. Requests have 500 candidates and go
from plays to scores: facts as of the request's instant, encoders, trees. Values are those of the batch to the bit, or it
stops. `live` keeps a `LiveFeatures` between requests; `pipeline` is the batch call on one context; `trees alone` scores
features that are there, and `inplace_predict` is XGBoost's walk over them. Times on the clock mean something on a machine
with a free core only.
"""

from __future__ import annotations

import argparse

from measuring import Cost, line, ratio_line, run

CLOCKS = ("clock", "cpu")
PLAYS, ROUNDS, REQUESTS, CANDIDATES, ITEMS = 500_000, 5, 400, 500, 500_000


def batches() -> None:
    print(f"Batch: {ITEMS:,} items x 20 features x 200 trees, best of {ROUNDS}")
    for cores in (1, None):
        cost = run("scoring_ours.batch", plays=PLAYS, items=ITEMS, rounds=ROUNDS, cores=cores)
        ours, bare = (_best(cost, name) for name in ("scorer", "inplace_predict"))
        of = "on one core" if cores else "on all cores"
        line(f"scorer, {of}", *ours)
        line(f"inplace_predict, row-major float32, {of}", *bare)
        ratio_line(f"scorer / inplace_predict, CPU, {of}", ours[0] / bare[0], "at most 0.6")


def _best(cost: Cost, name: str) -> tuple[float, float]:
    """The least CPU-seconds and the least seconds of the rounds of a phase."""
    mine = [spent for phase, spent in cost.phases.items() if phase.startswith(name)]
    return min(spent.cpu for spent in mine), min(spent.wall for spent in mine)


def requests() -> None:
    print(f"Requests: {REQUESTS} of {CANDIDATES} candidates x 20 features x 200 trees, one core, one at a time")
    cost = run("scoring_ours.live", plays=PLAYS, requests=REQUESTS, items=CANDIDATES, cores=1)
    for way in ("live", "pipeline", "trees alone", "inplace_predict"):
        told = (f"{cost.facts[f'{way} {clock} p50']:.2f} {cost.facts[f'{way} {clock} p99']:.2f}" for clock in CLOCKS)
        print(f"  {way:<44} ms at p50, p99: {', of the processor '.join(told)}", flush=True)
    before_trees = cost.facts["live cpu p50"] - cost.facts["trees alone cpu p50"]
    ratio_line("live without its trees, CPU ms at p50", before_trees, "at most 0.5")
    ratio_line("live, ms at p50 (on a free core)", cost.facts["live clock p50"], "at most 1.5")
    ratio_line("live, ms at p99 (on a free core)", cost.facts["live clock p99"], "at most 5")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    batches()
    requests()


if __name__ == "__main__":
    main()
