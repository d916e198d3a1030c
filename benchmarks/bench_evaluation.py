"""Evaluation: four models by eight metrics over lists of scores, beside DuckDB, pytrec_eval and ranx, on equal values.

    python benchmarks/bench_evaluation.py             # 50,000 contexts x 50 items
    python benchmarks/bench_evaluation.py --full      # 500,000 contexts x 50 items

Each contestant runs in its own process and holds the scores in memory before its clock starts. pytrec_eval and ranx take
dictionaries: they run on some of the contexts and are scaled up, their cost being one of queries.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from evaluation_world import MODELS
from measuring import Cost, Spent, best, cost_line, line, ratio_line, read_table, run

CACHE = Path(__file__).parents[1] / ".rec-platform" / "bench"
#: Values are sums of contexts rounded to 2^-30 each.
TOLERANCE = 1e-8
#: Contexts that the peers with dictionaries are given.
FEW = 5_000


@dataclass(frozen=True)
class Size:
    contexts: int
    items: int = 50

    @property
    def score_bytes(self) -> float:
        """GB of scores."""
        return self.contexts * self.items * len(MODELS) * 8 / 1e9

    def __str__(self) -> str:
        return f"4 models x 8 metrics, {self.contexts:,} contexts x {self.items} items"


DEFAULT, FULL = Size(50_000), Size(500_000)


def world(cache: Path, size: Size) -> str:
    """The folder of the lists of that size, made if they are not there."""
    folder = cache / f"lists-{size.contexts}-{size.items}"
    if not (folder / "complete").exists():
        run("evaluation_world.make", folder=folder, contexts=size.contexts, items=size.items)
    return str(folder)


def by_key(table: pa.Table) -> dict[tuple[str, str], float]:
    return {(row["model"], row["metric"]): row["value"] for row in table.to_pylist()}


def equal_values(name: str, ours: Path, theirs: Path) -> str:
    """How far a peer's values are from ours at most; stops where that is too far, or where it has others."""
    expected, found = by_key(read_table(ours)), by_key(read_table(theirs))
    worst = max(abs(expected[key] - value) for key, value in found.items())
    if not worst <= TOLERANCE:
        raise SystemExit(f"{name}: values differ from ours by up to {worst}")
    return f"{len(found) // len(MODELS)} metrics, values equal to {worst:.0e}"


def of_dictionaries(cost: Cost, scale: float) -> tuple[Spent, Spent]:
    """Inputs and calls of the last three models (the first one still warms up), for all four, scaled up."""
    parts = [cost.only(*(f"{part} {model}" for model in MODELS[1:])) for part in ("inputs", "call")]
    factor = scale * len(MODELS) / (len(MODELS) - 1)
    inputs, calls = (Spent(part.cpu * factor, part.wall * factor) for part in parts)
    return inputs, calls


def against_duckdb(folder: str, ours: Cost, values: Path, scratch: Path) -> None:
    costs = []
    for title, contestant in (("windows", "windows"), ("counts of what scores above", "counts")):
        out = scratch / f"{contestant}.arrow"
        costs.append(best(f"peers.evaluation_duckdb.{contestant}", out=out, folder=folder))
        cost_line(f"DuckDB, {title}", costs[-1], equal_values(title, values, out))
    ratio_line("DuckDB windows / ours, CPU", costs[0].cpu / ours.cpu, "at least 15")
    ratio_line("best DuckDB / ours, CPU", min(cost.cpu for cost in costs) / ours.cpu, "at least 15")


def against_dictionaries(folder: str, size: Size, ours: Cost, scratch: Path) -> None:
    values = scratch / "few.arrow"
    run("evaluation_ours.plain", out=values, folder=folder, first=FEW)
    for name, contestant in (("pytrec_eval", "by_pytrec_eval"), ("ranx", "by_ranx")):
        out = scratch / f"{contestant}.arrow"
        cost = best(f"peers.evaluation_dicts.{contestant}", out=out, folder=folder, first=FEW)
        note = f"{equal_values(name, values, out)}; scaled from {FEW:,} contexts"
        inputs, calls = of_dictionaries(cost, size.contexts / FEW)
        line(f"{name}, inputs and call", inputs.cpu + calls.cpu, inputs.wall + calls.wall, None, note)
        line("    of it the call", calls.cpu, calls.wall)
        ratio_line(f"{name} with inputs / ours, CPU", (inputs.cpu + calls.cpu) / ours.cpu, "at least 200")
        ratio_line(f"{name}, the call alone / ours, CPU", calls.cpu / ours.cpu, "at least 200")


def catalogues() -> None:
    """Whole catalogues, chunk by chunk."""
    print("Ranking given scores of 20,000 contexts x 10,000 titles x 4 models, in chunks")
    shape = {"contexts": 20_000, "titles": 10_000, "chunk": 50}
    judged = run("evaluation_ours.whole_catalogues", **shape)
    cost_line("every positive's place, eight metrics", judged)
    best = run("evaluation_ours.best_of_catalogues", top=100, **shape)
    cost_line("each model's best 100 kept, with places", best)
    ratio_line("CPU-seconds, places and metrics (one thread)", judged.cpu, "at most 10")
    ratio_line("CPU-seconds, best 100 kept (one thread)", best.cpu, "at most 10")


def lists(cache: Path, size: Size, scratch: Path) -> None:
    folder, values, full = world(cache, size), scratch / "ours.arrow", size == FULL
    print(f"{size}, the best of three runs each")
    reading = best("evaluation_ours.reading", folder=folder)
    cost_line("summing the scores once", reading)
    ours = best("evaluation_ours.plain", out=values, folder=folder)
    cost_line("rec-platform", ours)
    intervals = best("evaluation_ours.intervals", folder=folder)
    cost_line("rec-platform, 200 replicates, 6 slices", intervals)
    ratio_line("CPU-seconds", ours.cpu, "at most 0.3", judged=full)
    ratio_line("CPU-seconds, 200 replicates, 6 slices", intervals.cpu, "at most 3", judged=full)
    ratio_line("ours / summing the scores once, CPU", ours.cpu / reading.cpu, "at most 5", judged=full)
    ratio_line(
        "peak memory of the process / bytes of scores", intervals.peak / size.score_bytes, "at most 2.5", judged=full
    )
    against_duckdb(folder, ours, values, scratch)
    against_dictionaries(folder, size, ours, scratch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="500,000 contexts; needs 8 GB")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where lists are kept (default: %(default)s)")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=options.cache) as scratch:
        lists(options.cache, FULL if options.full else DEFAULT, Path(scratch))
    catalogues()


if __name__ == "__main__":
    main()
