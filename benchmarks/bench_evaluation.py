"""Evaluation: four models by eight metrics over lists of scores, beside DuckDB, pytrec_eval and ranx, on equal values.

    python benchmarks/bench_evaluation.py             # 50,000 contexts x 50 items
    python benchmarks/bench_evaluation.py --full      # 500,000 contexts x 50 items

Each contestant runs in its own process; before its clock starts it holds the scores in memory and has read them once. Ours
and DuckDB run three times; the best counts in ratios, and every run is told. pytrec_eval and ranx take dictionaries:
pytrec_eval runs on all contexts, ranx on so many that it takes a minute. The same of 5,000 contexts, scaled up, stands
beside it: few dictionaries stay in the processor's cache, which flatters.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from evaluation_world import MODELS
from measuring import Cost, Spent, cost_line, line, ratio_line, read_table, run

CACHE = Path(__file__).parents[1] / ".rec-platform" / "bench"
#: Values are sums of contexts rounded to 2^-30 each.
TOLERANCE = 1e-8
#: trec_eval holds scores in 32 bits: of half a million lists a few have a tie then, and the means are that far from ours.
TOLERANCE_OF_32_BITS = 1e-5
#: Contexts of which dictionaries stay in the processor's cache.
FEW = 5_000
#: Contexts that ranx is given at most: 50,000 take it a minute.
MANY = 50_000


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


def equal_values(name: str, ours: Path, theirs: Path, tolerance: float = TOLERANCE) -> str:
    """How far a peer's values are from ours at most; stops where that is too far, or where it has others."""
    expected, found = by_key(read_table(ours)), by_key(read_table(theirs))
    worst = max(abs(expected[key] - value) for key, value in found.items())
    if not worst <= tolerance:
        raise SystemExit(f"{name}: values differ from ours by up to {worst}")
    return f"{len(found) // len(MODELS)} metrics, values equal to {worst:.0e}"


def three(contestant: str, **arguments: object) -> list[Cost]:
    """Three runs in fresh processes, the cheapest first."""
    return sorted((run(contestant, **arguments) for _ in range(3)), key=lambda cost: cost.cpu)


def told(runs: list[Cost], note: str = "") -> str:
    """The CPU-seconds of every run, in words."""
    singly = "single runs " + ", ".join(f"{one.cpu:.3f}" for one in runs)
    return f"{singly}; {note}" if note else singly


def of_dictionaries(cost: Cost, models: tuple[str, ...], scale: float) -> tuple[Spent, Spent]:
    """Inputs and calls of some models, scaled up."""
    parts = [cost.only(*(f"{part} {model}" for model in models)) for part in ("inputs", "call")]
    inputs, calls = (Spent(part.cpu * scale, part.wall * scale) for part in parts)
    return inputs, calls


def against_duckdb(folder: str, ours: list[Cost], values: Path, scratch: Path) -> None:
    costs = []
    for title, contestant in (("windows", "windows"), ("counts of what scores above", "counts")):
        out = scratch / f"{contestant}.arrow"
        costs.append(three(f"peers.evaluation_duckdb.{contestant}", out=out, folder=folder))
        cost_line(f"DuckDB, {title}", costs[-1][0], told(costs[-1], equal_values(title, values, out)))
    theirs = min(costs, key=lambda runs: runs[0].cpu)
    ratio_line("DuckDB windows / ours, CPU, best of three each", costs[0][0].cpu / ours[0].cpu, "at least 15")
    ratio_line("best DuckDB / ours, CPU, best of three each", theirs[0].cpu / ours[0].cpu, "at least 15")
    ratio_line("best DuckDB, its best run / our worst, CPU", theirs[0].cpu / ours[-1].cpu, "at least 15")


def dictionaries(name: str, folder: str, size: Size, first: int, scratch: Path) -> tuple[Spent, Spent]:
    """What a peer with dictionaries takes for the first contexts, scaled to all: inputs and calls.

    Of few contexts the first model is left out, since it still warms up.
    """
    values, out = scratch / f"first-{first}.arrow", scratch / f"{name}-{first}.arrow"
    run("evaluation_ours.plain", out=values, folder=folder, first=first)
    contestant = f"peers.evaluation_dicts.by_{name}"
    models = MODELS[1:] if first == FEW else MODELS
    cost = three(contestant, out=out, folder=folder, first=first)[0] if first == FEW else run(
        contestant, out=out, folder=folder, **({"first": first} if first < size.contexts else {})
    )  # fmt: skip
    scale = size.contexts / first * len(MODELS) / len(models)
    inputs, calls = of_dictionaries(cost, models, scale)
    scaled = "all contexts" if first == size.contexts else f"scaled from {first:,} contexts"
    tolerance = TOLERANCE_OF_32_BITS if name == "pytrec_eval" and first != FEW else TOLERANCE
    note = f"{equal_values(name, values, out, tolerance)}; {scaled}"
    line(f"{name}, inputs and call", inputs.cpu + calls.cpu, inputs.wall + calls.wall, cost.peak, note)
    line("    of it the call", calls.cpu, calls.wall)
    return inputs, calls


def against_dictionaries(folder: str, size: Size, ours: Cost, scratch: Path) -> None:
    for name, most in (("pytrec_eval", size.contexts), ("ranx", min(MANY, size.contexts))):
        dictionaries(name, folder, size, FEW, scratch)
        inputs, calls = dictionaries(name, folder, size, most, scratch)
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
    reading = three("evaluation_ours.reading", folder=folder)
    cost_line("summing the scores once", reading[0], told(reading))
    ours = three("evaluation_ours.plain", out=values, folder=folder)
    cost_line("rec-platform", ours[0], told(ours))
    intervals = three("evaluation_ours.intervals", folder=folder)
    cost_line("rec-platform, 200 replicates, 6 slices", intervals[0], told(intervals))
    ratio_line("CPU-seconds, every single run", ours[-1].cpu, "at most 0.3", judged=full)
    ratio_line("CPU-seconds, 200 replicates, 6 slices, every single run", intervals[-1].cpu, "at most 3", judged=full)
    ratio_line("ours / summing the scores once, CPU", ours[0].cpu / reading[0].cpu, "at most 5", judged=full)
    ratio_line(
        "peak memory of the process / bytes of scores", intervals[0].peak / size.score_bytes, "at most 2.5", judged=full
    )
    against_duckdb(folder, ours, values, scratch)
    against_dictionaries(folder, size, ours[0], scratch)


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
