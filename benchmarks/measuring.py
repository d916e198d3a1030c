"""Contestants run each in a process of its own, so that none pays for, or profits from, another's memory and caches.

A contestant is a function `f(meter, **arguments)` in a module beside this one. What it does inside `meter.phase(...)`
counts: CPU-seconds of all threads (user and system) and seconds on the clock. What it returns, an Arrow table, is kept
beside the cost for the comparison of values, which comes before any ratio is printed.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

HERE = Path(__file__).parent

#: Memory that a child touches before each phase, in bytes; at most a third of what is free.
TOUCHED = 6 << 30


@dataclass(frozen=True)
class Spent:
    """What one phase took."""

    cpu: float
    wall: float


@dataclass
class Meter:
    """Phases of a contestant, in order; `facts` are further numbers it wants told.

    Memory is touched before each phase unless a contestant takes `touches` back: one that needs little memory would find
    what it had just made gone from the processor's cache. `look` is called after that: a contestant whose input stands in
    memory reads it once there, for the touching makes its next reading up to three times as dear.
    """

    phases: dict[str, Spent] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    touches: bool = True
    look: Callable[[], object] | None = None

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        if self.touches:
            touch_memory()
        if self.look is not None:
            self.look()
        cpu, wall = cpu_seconds(), time.perf_counter()
        yield
        self.phases[name] = Spent(cpu_seconds() - cpu, time.perf_counter() - wall)


@dataclass(frozen=True)
class Cost:
    """What a contestant took: phases, facts of its own, and the peak of its memory in GB."""

    phases: dict[str, Spent]
    facts: dict[str, float]
    peak: float

    @property
    def cpu(self) -> float:
        return sum(spent.cpu for spent in self.phases.values())

    @property
    def wall(self) -> float:
        return sum(spent.wall for spent in self.phases.values())

    def only(self, *names: str) -> Spent:
        """The sum of some phases."""
        mine = [self.phases[name] for name in names]
        return Spent(sum(one.cpu for one in mine), sum(one.wall for one in mine))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def touch_memory() -> None:
    """Have a child touch memory and give it back, so that every phase of every contestant begins alike.

    A virtual machine's host takes free memory back after seconds, and the first touch of such a page costs up to ten times
    as much: the same 2 GB took 0.3 to 4.5 CPU-seconds, whoever asked first paying for all.
    """
    size = min(TOUCHED, free_memory() // 3)
    touch = f"""
import mmap
room = mmap.mmap(-1, {size}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
room.madvise(mmap.MADV_HUGEPAGE)
for page in range(0, {size}, 4096):
    room[page] = 1
"""
    subprocess.run([sys.executable, "-c", touch], check=True)


def free_memory() -> int:
    """What the machine could give away now, in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


def peak_memory() -> float:
    """The most resident memory this process ever had, in GB (getrusage would count the parent's before exec)."""
    return _status("VmHWM")


def resident_memory() -> float:
    """The resident memory of this process now, in GB."""
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024 / 1e9


def run(contestant: str, *, out: Path | None = None, cores: int | None = None, **arguments: Any) -> Cost:
    """`module.function` in a fresh process, on so many cores; its table goes to `out` as Arrow IPC.

    Raises `SystemExit` with the contestant's words where it fails.
    """
    command = [
        sys.executable,
        str(HERE / "measuring.py"),
        contestant,
        json.dumps(arguments, default=str),
        str(out or ""),
    ]
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, allowed)), *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{contestant} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Cost({name: Spent(**spent) for name, spent in told.pop("phases").items()}, **told)


def best(contestant: str, *, times: int = 3, out: Path | None = None, **arguments: Any) -> Cost:
    """The cheapest of some runs in fresh processes: what takes a second is at the mercy of what else the machine does."""
    return min((run(contestant, out=out, **arguments) for _ in range(times)), key=lambda cost: cost.cpu)


def read_table(path: Path) -> pa.Table:
    """A contestant's table, mapped into memory."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def differences(ours: pa.Table, theirs: pa.Table, *, row: str, tolerance: float) -> dict[str, int]:
    """Per column of `theirs` but `row`: how many values differ from ours, NaN equal to NaN.

    `row` says which of our rows each of theirs is; all rows must be there once.
    """
    place = theirs.column(row).to_numpy()
    if not np.array_equal(np.bincount(place, minlength=ours.num_rows), np.ones(ours.num_rows)):
        raise SystemExit(f"{theirs.num_rows} rows do not hold each of our {ours.num_rows} once")
    found = {}
    for name in theirs.column_names:
        if name != row:
            expected, value = ours.column(name).to_numpy()[place], theirs.column(name).to_numpy()
            found[name] = int(np.count_nonzero(~np.isclose(value, expected, rtol=tolerance, atol=0, equal_nan=True)))
    return found


def require_equal(name: str, ours: pa.Table, theirs: pa.Table, *, row: str = "row", tolerance: float = 2e-7) -> None:
    """Stop where a peer's values are not ours: a time for another result is no time."""
    wrong = {column: n for column, n in differences(ours, theirs, row=row, tolerance=tolerance).items() if n}
    if wrong:
        raise SystemExit(f"{name}: values differ from ours in {wrong} of {ours.num_rows} rows")


def line(name: str, cpu: float, wall: float, peak: float | None = None, note: str = "") -> None:
    memory = "        " if peak is None else f"{peak:5.2f} GB"
    print(f"  {name:<44} {cpu:9.2f} CPU-s {wall:9.2f} s  {memory}  {note}".rstrip(), flush=True)


def cost_line(name: str, cost: Cost, note: str = "") -> None:
    line(name, cost.cpu, cost.wall, cost.peak, note)


def ratio_line(name: str, value: float, hold: str, *, judged: bool = True) -> None:
    """One number beside what it should be, e.g. `at most 3`; judged only at the size it should hold at."""
    bound = float(hold.split()[-1])
    held = value <= bound if hold.startswith("at most") else value >= bound
    verdict = ("" if held else "  (missed)") if judged else "  (not judged at this size)"
    print(f"  {name:<64} {value:9.2f}  {hold}{verdict}", flush=True)


def main(contestant: str, arguments: str, out: str) -> None:
    module, _, name = contestant.rpartition(".")
    work = getattr(importlib.import_module(module), name)
    meter = Meter()
    result = work(meter, **json.loads(arguments))
    peak = peak_memory()
    if out and result is not None:
        with pa.OSFile(out, "wb") as sink, pa.ipc.new_file(sink, result.schema) as writer:
            writer.write_table(result)
    phases = {name: asdict(spent) for name, spent in meter.phases.items()}
    print(json.dumps({"phases": phases, "facts": meter.facts, "peak": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
