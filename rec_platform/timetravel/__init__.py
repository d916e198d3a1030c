"""The time machine: timelines, the compiled loops under them, declared facts, and snapshots."""
