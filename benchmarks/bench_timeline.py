"""Features as of their own instants: the time machine beside DuckDB, Polars and pandas, and its own laws of growth.

    python benchmarks/bench_timeline.py             # 2 M plays, 50,000 contexts x 50 items x 20 features
    python benchmarks/bench_timeline.py --full      # 20 M plays, 500,000 contexts x 50 items; pandas with 16 GB, and at 2 M

A contestant reads the plays from Parquet and fills twenty columns of float32; each runs in its own process on all cores.
Values are compared before ratios are printed. Day level: contexts at 00:00 and every play known when it was played, as
daily facts assume; exact: contexts at their own instant, both clocks, one play in twenty late.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from measuring import Cost, cost_line, free_memory, line, ratio_line, read_table, require_equal, run
from timeline_world import DAYS, World

CACHE = Path(__file__).parents[1] / ".rec-platform" / "bench"
#: Buckets of the slope's smallest log.
BUCKETS = 8
#: What pandas takes per play at most, in bytes.
PANDAS_BYTES = 900
#: How often what is at the mercy of its neighbours is run.
TURNS = 3
#: Days of the backfill that are measured as runs of their own; the others are reckoned to cost what these do on average.
SAMPLED_DAYS = (9, 29, 49, 69, 89)


@dataclass(frozen=True)
class Size:
    """How large a world is."""

    plays: int
    contexts: int
    items: int = 50

    def __str__(self) -> str:
        return f"{self.plays:,} plays, {self.contexts:,} contexts x {self.items} items x 20 features"


DEFAULT, FULL = Size(2_000_000, 50_000), Size(20_000_000, 500_000)


def world(cache: Path, size: Size) -> str:
    """The folder of a world of that size, made if it is not there; worlds in files of ZSTD had no suffix."""
    folder = cache / f"{size.plays}-{size.contexts}-{size.items}-differences"
    if not (folder / "complete").exists():
        run("timeline_world.make", folder=folder, plays=size.plays, contexts=size.contexts, items=size.items)
    return str(folder)


def phases(cost: Cost) -> None:
    for name, spent in cost.phases.items():
        line(f"    {name}", spent.cpu, spent.wall)


def peer(title: str, contestant: str, folder: str, ours: Path, scratch: Path, **how: Any) -> Cost:
    """A peer's cost, told once its values are found to be ours."""
    out = scratch / "peer.arrow"
    cost = run(contestant, out=out, folder=folder, **how)
    require_equal(title, read_table(ours), read_table(out))
    out.unlink()
    cost_line(title, cost, "values equal")
    phases(cost)
    return cost


def ours_of(title: str, folder: str, out: Path | None, **how: Any) -> Cost:
    cost = run("timeline_ours.features", out=out, folder=folder, **how)
    cost_line(title, cost)
    phases(cost)
    return cost


def against_peers(cache: Path, size: Size, scratch: Path) -> None:
    """Peers once each, ours in turn: a peer is held against the median of ours, the least of either level is compared."""
    folder = world(cache, size)
    print(f"Peers: {size}")
    exact_values, day_values = scratch / "exact.arrow", scratch / "day.arrow"
    run("timeline_ours.reading", folder=folder)  # so that whoever comes first does not pay for the disk
    cost_line("the same columns read by pyarrow, no more", run("timeline_ours.reading", folder=folder))
    exact, day = [], []
    for _ in range(TURNS):
        exact.append(ours_of("rec-platform, exact", folder, exact_values))
        day.append(ours_of("rec-platform, day level", folder, day_values, midnight=True, one_clock=True))
    direct = peer("DuckDB, direct join, exact", "peers.timeline_duckdb.direct", folder, exact_values, scratch)
    daily = peer("DuckDB, daily facts, day level", "peers.timeline_duckdb.daily", folder, day_values, scratch)
    summed = peer("Polars, daily sums, day level", "peers.timeline_polars.daily_summed", folder, day_values, scratch)
    as_of = peer("Polars, as-of joins, day level", "peers.timeline_polars.daily_as_of", folder, day_values, scratch)
    ours = median(one.cpu for one in exact)
    for name, cpu, hold in (
        ("best DuckDB", min(direct.cpu, daily.cpu), 4),
        ("DuckDB exact", direct.cpu, 4),
        ("best Polars", min(summed.cpu, as_of.cpu), 8),
    ):
        ratio_line(f"{name} / ours exact, CPU", cpu / ours, f"at least {hold}", judged=size == FULL)
    if size == FULL:
        against_large_pandas(folder, ours, day_values, scratch)
    against_pandas(cache, size, scratch)
    levels = min(one.cpu for one in exact) / min(one.cpu for one in day)
    ratio_line("exact instants and late plays / day level, CPU", levels, "at most 1.3")
    ratio_line("CPU-seconds, exact", max(one.cpu for one in exact), "at most 15", judged=size == FULL)
    ratio_line("peak GB, exact", max(one.peak for one in exact), "at most 4", judged=size == FULL)


def against_pandas(cache: Path, size: Size, scratch: Path) -> None:
    """pandas at 2 M plays, asked for as many contexts as the others and for those of its own plays' world.

    In turn, the best of three, since so short a run is at the mercy of its neighbours.
    """
    folder, values = world(cache, DEFAULT), scratch / "small.arrow"
    for contexts in sorted({DEFAULT.contexts, size.contexts}):
        asked = world(cache, size if contexts == size.contexts else DEFAULT)
        run("timeline_ours.features", out=values, folder=folder, asked=asked, midnight=True, one_clock=True)
        title = f"2 M plays, {contexts:,} contexts"
        exact, pandas = [], []
        for _ in range(TURNS):
            exact.append(ours_of(f"rec-platform, exact, {title}", folder, None, asked=asked))
            pandas.append(
                peer(f"pandas, daily, {title}", "peers.timeline_pandas.daily", folder, values, scratch, asked=asked)
            )
        best = min(one.cpu for one in pandas) / min(one.cpu for one in exact)
        ratio_line(f"pandas / ours exact, {title}, CPU", best, "at least 8", judged=contexts == size.contexts)


def against_large_pandas(folder: str, ours: float, day_values: Path, scratch: Path) -> None:
    """pandas at 20 M plays, where the machine has the memory for it."""
    wanted, free = FULL.plays * PANDAS_BYTES, free_memory()
    if wanted > free:
        print(f"  pandas is left out here: it takes {wanted / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free")
        return
    pandas = peer("pandas, daily facts, day level", "peers.timeline_pandas.daily", folder, day_values, scratch)
    ratio_line("pandas / ours exact, CPU", pandas.cpu / ours, "at least 8")


def growth(cache: Path, size: Size) -> None:
    """The same contexts asked of a tenth of the plays; in turn, the least of each is compared."""
    folder, tenth = world(cache, size), world(cache, Size(size.plays // 10, size.contexts // 10))
    print(f"Growth: the same output from {size.plays // 10:,} and from {size.plays:,} plays")
    few, many = [], []
    for _ in range(TURNS):
        few.append(run("timeline_ours.features", folder=tenth, asked=folder))
        many.append(run("timeline_ours.features", folder=folder))
        cost_line(f"{size.plays // 10:,} plays", few[-1])
        cost_line(f"{size.plays:,} plays", many[-1])
    ratio = min(one.cpu for one in many) / min(one.cpu for one in few)
    ratio_line("ten times the plays, CPU", ratio, "at most 3", judged=size == FULL)


def threads(cache: Path, size: Size) -> None:
    """The kernel part alone, the best of six in a process."""
    folder = world(cache, size)
    print("Threads: the features phase, best of six")
    walls = {}
    for cores in (1, 2):
        cost = run("timeline_ours.features", cores=cores, folder=folder, repeats=6)
        best = min((spent for name, spent in cost.phases.items() if name.startswith("features")), key=lambda s: s.wall)
        line(f"{cores} core{'s' * (cores - 1)}", best.cpu, best.wall)
        walls[cores] = best.wall
    ratio_line("one core / two cores, on the clock", walls[1] / walls[2], "at least 1.7")


def snapshots(cache: Path, size: Size) -> None:
    print("Snapshots of one more day, all countries; rolled equals counted")
    cost = run("snapshots_ours.one_more_day", folder=world(cache, size))
    phases(cost)
    ratio_line("rolled / counted, CPU", cost.phases["rolled"].cpu / cost.phases["counted"].cpu, "at most 0.1")
    print(f"The stage of one more day, from opening a home to its commits, the best of {TURNS}; rolled equals counted")
    with TemporaryDirectory(dir=cache) as scratch:
        cost = run("snapshots_ours.stage_of_one_more_day", folder=world(cache, size), scratch=scratch, turns=TURNS)
    best = {way: min(cost.phases[f"{way} {turn}"].cpu for turn in range(TURNS)) for way in ("rolled", "counted")}
    for way, cpu in best.items():
        print(f"  {way:<44} {cpu:9.2f} CPU-s")
    ratio_line("rolled / counted, CPU", best["rolled"] / best["counted"], "at most 0.1", judged=size == FULL)


def backfill(cache: Path, size: Size) -> None:
    """Contexts of 90 days in one run, and in a run per day."""
    folder = world(cache, size)
    asked = f"{folder}/spread"
    if not World(Path(asked)).items.exists():
        run("timeline_world.spread", folder=folder, contexts=size.contexts, items=size.items)
    print(f"Backfill: contexts over {DAYS} days")
    whole = run("timeline_ours.features", folder=folder, asked=asked)
    days = [run("timeline_ours.one_day", folder=folder, asked=asked, day=day) for day in SAMPLED_DAYS]
    cpu, wall = (DAYS * sum(getattr(cost, one) for cost in days) / len(days) for one in ("cpu", "wall"))
    cost_line("one run", whole)
    line(f"{DAYS} runs, reckoned from {len(days)}", cpu, wall, max(cost.peak for cost in days))
    ratio_line(f"{DAYS} runs / one run, CPU", cpu / whole.cpu, "at least 10")


def slope(cache: Path, size: Size) -> None:
    """The same contexts asked of more and more plays: whole, and swept in buckets that grow in number with the plays."""
    asked = world(cache, size)
    print(f"Slope: {size.contexts:,} contexts x {size.items} items, features of one log and of its multiples")
    peaks = {}
    with TemporaryDirectory(dir=cache) as scratch:
        for times in (1, 2, 4):
            plays, buckets = times * size.plays, times * BUCKETS
            folder = world(cache, Size(plays, size.contexts if times == 1 else DEFAULT.contexts))
            whole = run("timeline_ours.features", folder=folder, asked=asked)
            swept = run("timeline_ours.swept", folder=folder, asked=asked, buckets=buckets, scratch=scratch)
            cost_line(f"{plays:,} plays, whole", whole)
            cost_line(f"{plays:,} plays, {buckets} buckets", swept)
            peaks[times] = whole.peak, swept.peak
    ratio_line("four times the plays, whole, peak", peaks[4][0] / peaks[1][0], "at least 1")
    ratio_line("four times the plays and buckets, peak", peaks[4][1] / peaks[1][1], "at most 1.2", judged=size == FULL)


def table_write(cache: Path, size: Size) -> None:
    """The best of several turns of each: fresh memory of a file's size can cost more than the work in it."""
    print("Writing the training sets: nested, hashed and staged, beside bare pyarrow from the same float32 columns")
    cost = run("timeline_ours.written", folder=world(cache, size))
    best = {
        name: min(spent.cpu for phase, spent in cost.phases.items() if phase.startswith(name))
        for name in ("table", "pyarrow, nesting", "pyarrow, writing")
    }
    for name, spent in best.items():
        print(f"  {name:<44} {spent:9.2f} CPU-s")
    print(f"  {'MB on disk, table and pyarrow':<44} {cost.facts['table']:9.1f} {cost.facts['bare']:9.1f}")
    whole = best["pyarrow, nesting"] + best["pyarrow, writing"]
    ratio_line("table / pyarrow, CPU", best["table"] / whole, "at most 1.2")


def warm_start(cache: Path, size: Size) -> None:
    print("Warm start of the kernels in a fresh process")
    run("timeline_ours.warm_start")
    cost = run("timeline_ours.warm_start")
    phases(cost)
    ratio_line("CPU-seconds", cost.cpu, "at most 1")


OWN: tuple[Callable[[Path, Size], None], ...] = (growth, threads, snapshots, backfill, slope, table_write, warm_start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="20 M plays; takes half an hour and 8 GB (16 with pandas)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where worlds are kept (default: %(default)s)")
    names = [work.__name__ for work in (against_peers, *OWN)]
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="some of the parts")
    options = parser.parse_args()
    size = FULL if options.full else DEFAULT
    options.cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=options.cache) as scratch:
        if "against_peers" in options.only:
            against_peers(options.cache, size, Path(scratch))
    for work in OWN:
        if work.__name__ in options.only:
            work(options.cache, size)


if __name__ == "__main__":
    main()
