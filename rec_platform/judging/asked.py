"""Metrics and cut-offs as people write and ask for them."""

from __future__ import annotations

from collections.abc import Sequence

from rec_platform.errors import KeyRefused
from rec_platform.evaluation.own import platforms


def chosen_metrics(known: Sequence[tuple[str, int]], asked: Sequence[str]) -> list[tuple[str, int]]:
    """Metrics and cut-offs by the names asked for: `ndcg` is `ndcg` at every cut-off there is, `ndcg@10` at that one.

    >>> chosen_metrics([("mrr", 0), ("ndcg", 5), ("ndcg", 10)], ["ndcg@10", "mrr"])
    [('ndcg', 10), ('mrr', 0)]
    """
    found = {text: [(name, k) for name, k in known if text in (name, heading(name, k))] for text in asked}
    strange = sorted(text for text, pairs in found.items() if not pairs)
    if strange:
        cuts = sorted({k for _, k in known} - {0})
        have = ", ".join(sorted({f"{name}@k" if k else name for name, k in known}))
        where = f", with k of {', '.join(map(str, cuts))}" if cuts else ""
        stored = set(platforms([text.partition("@")[0] for text in strange]).names) - {name for name, _ in known}
        why = f"{', '.join(sorted(stored))}: with --estimand context and --protocol session only. " if stored else ""
        raise KeyRefused(f"no metric {', '.join(strange)}", place="--metric", repair=f"{why}There are: {have}{where}.")
    return list(dict.fromkeys(pair for pairs in found.values() for pair in pairs))


def not_counted(pairs: Sequence[tuple[str, int]], by: str) -> str:
    """Which metrics a slice does not count, as a note or a fault; nothing if it counts all."""
    names = ", ".join(heading(*pair) for pair in pairs)
    return names and f"{names}: not counted by {by} (docs/metrics.md says what each slice counts)"


def refuse_not_counted(pairs: Sequence[tuple[str, int]], by: str) -> KeyRefused:
    """Of a slice that counts none of the metrics asked for."""
    return KeyRefused(not_counted(pairs, by), place="--by", repair="Leave --by out, or slice by country.")


def heading(metric: str, k: int) -> str:
    """A metric and its cut-off (0: it has none) as people write it: `ndcg@10`."""
    return f"{metric}@{k}" if k else metric
