"""The only room that reads and writes tables: Delta Lake tables, written by stage, audit, publish.

lake = Lake(home)
with lake.staging("run-1") as staging:
    staged = staging.write(PLAY_FACTS, partition, rows)      # nothing is visible yet
    lake.publish([staged], Manifest(run_id="run-1", stage="facts", ...))   # one atomic commit per table
lake.read("play_facts", [partition])

    lake.py       publish, append, state, files, read
    staging.py    rows before they passed their audit, in a folder that its process holds (held.py)
    commit.py     what a commit says of partitions (manifest.py), which files come and go
    delta.py      the Delta table: schema, versions, commits, live files
    index.py      states of partitions, cached in a file
    files.py      rows of Parquet files
    content.py    hashes of rows
    storage.py    faults of the disk, writers in turn
"""

from rec_platform.lake.content import content_hash, content_hash_like, known_hashes
from rec_platform.lake.held import HeldFolder, remove_left
from rec_platform.lake.lake import Lake
from rec_platform.lake.manifest import Manifest, PartitionState
from rec_platform.lake.staging import Staged, Staging

__all__ = [
    "HeldFolder",
    "Lake",
    "Manifest",
    "PartitionState",
    "Staged",
    "Staging",
    "content_hash",
    "content_hash_like",
    "known_hashes",
    "remove_left",
]
