"""CPU-seconds of one small partition of each stage: what a date of many countries pays, however little they hold.

    python benchmarks/bench_stages.py [HOME]

HOME holds a finished run; without it a small world is made and run first. The newest partitions of every stage are built
again in memory and written nowhere; what only the first build pays (imports, compiled code) is not counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from rec_platform.flow.platform import Platform
from rec_platform.partition import Partition

#: Partitions built of each stage, the newest.
PARTITIONS = 10
MAPPING = Path(__file__).parent.parent / "examples" / "mappings" / "simulated.toml"


def main(given: str | None) -> None:
    """A line per stage: partitions built, CPU-seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        for line in costs(Platform(Path(given or finished(Path(folder))))):
            print(line, flush=True)


def finished(folder: Path) -> Path:
    """The home of a small world's finished run."""
    home, world = folder / "home", folder / "world"
    for command in (
        ["simulate", str(world), "--plays", "8000"],
        ["ingest", "--home", str(home), "--mapping", str(MAPPING), str(world / "delivery")],
        ["run", "--home", str(home), "--from", "2025-02-02", "--to", "2025-02-03"],
    ):
        subprocess.run([sys.executable, "-m", "rec_platform.cli", *command], check=True, capture_output=True)
    return home


def costs(platform: Platform) -> list[str]:
    lines = []
    for name, stage in platform.stages.items():
        published = sorted(one for one in platform.index.state(stage.tables[0].name) if one.date)[-PARTITIONS:]
        if published:
            seconds = cpu_seconds(platform, name, published)
            lines.append(f"{name:20s} {len(published):3d} partitions {seconds:8.3f} CPU-s each")
    return lines


def cpu_seconds(platform: Platform, name: str, partitions: list[Partition]) -> float:
    stage, settings = platform.stages[name], platform.settings
    reader = platform.reader(*(one for partition in partitions for one in stage.inputs(partition, settings)))
    list(islice(stage.build(partitions, reader, settings), 1))
    start = time.process_time()
    built = len(list(stage.build(partitions, reader, settings)))
    return (time.process_time() - start) / built


if __name__ == "__main__":
    main(next((one for one in sys.argv[1:] if not one.startswith("--")), None))
