"""How metrics are called in pictures and on pages, what each says in plain words, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rec_platform.evaluation.scored import SAMPLED

#: The kinds of metrics, in the order of a page.
RANKING: Final = "How high up what was watched stood"
LISTS: Final = "What lists are like"
CHANCES: Final = "Whether probabilities come true"
PAGE: Final = "Where the page itself had it"
OWN: Final = "Metrics of your own"
KINDS: Final = (RANKING, LISTS, CHANCES, PAGE, OWN)

HIGHER, LOWER, NEITHER = 1, -1, 0


@dataclass(frozen=True)
class Term:
    """A metric for readers.

    Attributes:
        spoken: its name as people write it, without a cut-off.
        says: what it says, in a few plain words; k is the cut-off.
        better: 1 if higher is better, -1 if lower is, 0 if it only describes.
        kind: one of `KINDS`.
    """

    spoken: str
    says: str
    better: int
    kind: str


#: Every metric of the platform; their formulas stand in docs/metrics.md.
TERMS: Final = {
    "nmrr": Term("NMRR", "how near the top everything watched stood; 1 is all of it on top", HIGHER, RANKING),
    "ndcg": Term("NDCG", "what was watched in the first k, worth the more the higher up; 1 is the best order", HIGHER, RANKING),
    "recall": Term("recall", "share of what was watched that stood in the first k", HIGHER, RANKING),
    "hit_rate": Term("hit rate", "share of sessions with something watched in the first k", HIGHER, RANKING),
    "precision": Term("precision", "share of the first k that was watched", HIGHER, RANKING),
    "map": Term("MAP", "precision at each watched title, averaged", HIGHER, RANKING),
    "mrr": Term("MRR", "1 over the place of the first watched title", HIGHER, RANKING),
    "r_precision": Term("R-precision", "precision in as many places as titles were watched", HIGHER, RANKING),
    "auc": Term("AUC", "chance that a watched title stands above another one; 0.5 is chance", HIGHER, RANKING),
    "percentile_rank": Term("percentile rank", "share of the catalogue above what was watched; 0 is the top", LOWER, RANKING),
    "mean_rank": Term("mean rank", "place of a watched title, on average", LOWER, RANKING),
    "median_rank": Term("median rank", "place of a watched title, in the middle", LOWER, RANKING),
    "mean_first_rank": Term("mean first rank", "place of a session's first watched title, on average", LOWER, RANKING),
    "median_first_rank": Term("median first rank", "place of a session's first watched title, in the middle", LOWER, RANKING),
    "coverage": Term("coverage", "share of the catalogue that somebody is shown in the first k", NEITHER, LISTS),
    "gini": Term("Gini", "how unequally titles are shown in the first k; 0 is all alike", NEITHER, LISTS),
    "novelty": Term("novelty", "bits of surprise per title of the first k; higher is rarer titles", NEITHER, LISTS),
    "diversity": Term("diversity", "how unlike in genre the first k are; 1 is nothing in common", NEITHER, LISTS),
    "serendipity": Term("serendipity", "share of the first k that was watched and popularity would not show", HIGHER, LISTS),
    "popularity_lift": Term("popularity lift", "popularity of the first k over that of the own plays, less 1", NEITHER, LISTS),
    "genre_divergence": Term("genre divergence", "how far the first k's genres are from the profile's; 0 is alike", LOWER, LISTS),
    "log_loss": Term("log loss", "surprise at what happened, in nats per title", LOWER, CHANCES),
    "calibration_error": Term("calibration error", "how far promised and observed shares lie apart", LOWER, CHANCES),
    "calibration_ratio": Term("calibration ratio", "observed over promised; below 1 promises too much", NEITHER, CHANCES),
    "logged_places": Term("logged places", "share of what was watched whose place on the page is known", NEITHER, PAGE),
    "mean_logged_row": Term("logged row", "row of the page it was watched from, counted from 0", NEITHER, PAGE),
    "mean_logged_position": Term("logged position", "position in the row it was watched from, counted from 0", NEITHER, PAGE),
    "mean_rank_first_row": Term("mean rank, first row", "its place of what was watched from the first row", LOWER, PAGE),
    "mean_rank_lower_rows": Term("mean rank, lower rows", "its place of what was watched from further down", LOWER, PAGE),
}  # fmt: skip


def term(metric: str) -> Term:
    """The term of a metric; one that is not the platform's is the user's own.

    >>> term("taste_match")
    Term(spoken='taste match', says='as declared', better=0, kind='Metrics of your own')
    """
    known = TERMS.get(metric.removesuffix(SAMPLED))
    if known is None:
        return Term(metric.replace("_", " "), "as declared", NEITHER, OWN)
    return Term(f"{known.spoken}, sampled", known.says, known.better, known.kind) if metric not in TERMS else known


def spoken(metric: str, k: int = 0) -> str:
    """A metric's name as people write it.

    >>> spoken("ndcg", 10), spoken("hit_rate", 5), spoken("nmrr")
    ('NDCG@10', 'hit rate@5', 'NMRR')
    """
    return term(metric).spoken + (f"@{k}" if k else "")


def says(metric: str, k: int = 0) -> str:
    """What it says, the cut-off in place of k.

    >>> says("recall", 10)
    'share of what was watched that stood in the first 10'
    """
    text = term(metric).says
    return text.replace("first k", f"first {k}") if k else text


def direction(metric: str) -> str:
    """
    >>> direction("nmrr"), direction("mean_rank"), direction("novelty")
    ('higher is better', 'lower is better', '')
    """
    return {HIGHER: "higher is better", LOWER: "lower is better", NEITHER: ""}[term(metric).better]
