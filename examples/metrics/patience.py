"""Metrics and slices of one's own: `rec-platform metrics --from A --to B --with examples/metrics/patience.py`.

Shows a metric over tie groups with its closed form for equal scores, one that reads the lists that were shown, a number that
is no mean over contexts, and slices over expressions. Named in platform.toml (`[evaluation] files`), their numbers are stored.
"""

import numpy as np

from rec_platform.clock import DAY
from rec_platform.evaluation import Accumulator, Added, context_slice, metric, title_slice
from rec_platform.evaluation.metrics import Population

#: How likely somebody who looked at one title looks at the next.
PATIENCE = 0.8


@metric(
    "rbp", about="rank-biased precision: (1 - p) times the sum over positives of p^(rank - 1), p = 0.8",
    over=lambda truth, k: np.ones(truth.n_contexts),
)  # fmt: skip
def rbp(groups, k):
    """Moffat and Zobel 2008. A positive of a group of s that has a candidates above stands on each of the ranks a + 1 ... a + s
    alike, so it counts (1 - p) (p^a + ... + p^(a + s - 1)) / s = p^a (1 - p^s) / s in the mean over their orders."""
    return groups.positives * PATIENCE**groups.start * (1 - PATIENCE**groups.size) / groups.size


@metric(
    "even_ids", about="share of the first k whose id is even: about a half of any list that does not look at ids", cut=True,
    population=Population.LISTED, needs=("lists",),
)  # fmt: skip
def even_ids(view, k):
    return view.lists.mean((view.lists.titles % 2 == 0).astype(float), k)


def places(view, k):
    context, title = view.lists.shown(k)
    return Added(context, title)


def effective_catalogue(tally):
    """How many titles would take as many places if all took alike: 2 (p_1 + 2 p_2 + 3 p_3 + ...) - 1, p_i the share of places
    of the i-th most shown title (Gomez-Uribe and Hunt 2016)."""
    share = np.sort(tally.totals)[::-1] / max(tally.totals.sum(), 1e-12)
    return 2 * float((np.arange(1, len(share) + 1) * share).sum()) - 1 if len(share) else float("nan")


PLACES = Accumulator("places", places, {"effective_catalogue": effective_catalogue}, cut=True, needs=("lists",))


@context_slice(about="Saturday and Sunday, UTC")
def weekend(at):
    return np.where((at // DAY + 3) % 7 >= 5, "weekend", "weekday")


@title_slice(about="films of 80 minutes and more, by the runtime known then")
def length(runtime_ms):
    return np.where(np.isnan(runtime_ms), "unknown", np.where(runtime_ms >= 80 * 60_000, "long", "short"))
