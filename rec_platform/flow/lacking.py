"""What published partitions lack: parts that raised while they were made (`Built.lacks`): a ranker of a date, its scores.

Such a partition is good for what it holds: stages after it go on with that, and its fingerprint is that of its inputs. It is
not current until it is whole: every run builds it again, as `Stage.rebuild` can, what stands being taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rec_platform.flow.index import Index
from rec_platform.partition import Partition
from rec_platform.stage import Stage

#: By partition, then by name: why a part of it could not be made.
Lacking = Mapping[Partition, Mapping[str, str]]


def lacking_of(index: Index, stage: Stage, partitions: Iterable[Partition]) -> Lacking:
    """What partitions of a stage lack as they stand; without those that lack nothing."""
    states = index.state(stage.tables[0].name)
    return {one: states[one].lacks for one in partitions if one in states and states[one].lacks}


def lacks_told(lacking: Lacking, most: int = 3) -> list[str]:
    """A text per part and reason, naming at most so many of the partitions that lack it.

    >>> lacks_told({Partition.parse("2025-01-02"): {"sign": "line 3: KeyError: 'x'."}})
    ["2025-01-02 lacks sign: line 3: KeyError: 'x'"]
    """
    keys: dict[tuple[str, str], list[str]] = {}
    for partition, lacks in lacking.items():
        for part, reason in lacks.items():
            keys.setdefault((part, reason), []).append(partition.key)
    return [
        f"{_named(found, most)} {part}: {reason.removesuffix('.')}" for (part, reason), found in keys.items()
    ]  # fmt: skip


def _named(keys: list[str], most: int) -> str:
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return f"{', '.join(keys[:most])}{more} {'lacks' if len(keys) == 1 else 'lack'}"
