"""How the numbers of a report were judged, and what its words mean, for readers who were not there."""

from __future__ import annotations

from typing import Final

from rec_platform.evaluation.protocol import DAILY_LIST, Evidence, Protocol
from rec_platform.reports.tables import Cell

#: What a report's words mean, in the order one meets them.
WORDS: Final = {
    "context": "the setting of one ranking: a profile that starts a session, at an instant, in a country",
    "watched, positive": "a title that the profile played and engaged with, as the source's engagement rule says",
    "candidate set": "everything that could have been shown to the profile at that instant; all of it is ranked",
    "random": "an order by chance; its expected value, worked out exactly: no model should fall below it",
    "ceiling": "the best that any order of the candidate set could reach",
    "95 % interval": "where the number would lie in 95 of 100 repetitions with other profiles (Poisson bootstrap by profile)",
    "surely, very surely": "the chance that any of the differences drawn together is wrong is at most 5 % (Holm's correction), "
    "and its own 95 % interval lies beside 0; very: at most 0.1 %",
    "no verdict": "too few contexts, or profiles, for an interval",
}

_SEEN: Final = {
    "keep": "titles already played stay in the lists",
    "drop": "titles already played leave the candidate set",
}


def rules(protocol: Protocol, evidence: Evidence, *, replicates: int) -> list[dict[str, Cell]]:
    """The rules of a judgement as rows of rule and meaning."""
    judged = (
        "the published list of a profile by the plays of its date" if protocol.kind == DAILY_LIST
        else f"each session start by what the profile watched until 00:00 UTC {_days(protocol.horizon_days)} after its date began"
    )  # fmt: skip
    cuts = f"from {evidence.first_cut} to {evidence.last_cut}" if evidence.first_cut else ""
    told = {
        "what is judged": judged,
        "split": f"models saw nothing of anybody at or after 00:00 UTC of their date {cuts}".strip()
        if protocol.split == "time" else f"{protocol.split}: LEAKS what is later into the past",
        "what is ranked": "every title available in the country at that instant, no sample of it"
        if protocol.candidates == "available" else protocol.candidates,
        "titles already played": _SEEN.get(protocol.seen, protocol.seen),
        "watched outside the candidate set": "counts as never found, and stays in the denominators"
        if protocol.cold == "kept" else protocol.cold,
        "equal scores": "the mean over all their orders" if protocol.ties == "expected" else protocol.ties,
        "weight of a context": "1 over the probability that it was sampled"
        if protocol.weighting == "1/inclusion_probability" else protocol.weighting,
        "training sets know": "what was known at each context's own instant"
        if protocol.known_by == "then" else f"all that is known {protocol.known_by}",
        "intervals": f"95 %, from {replicates:,} replicates that draw whole profiles" if replicates else "none: no replicates",
    }  # fmt: skip
    return [{"rule": name, "here": text} for name, text in told.items()]


def words() -> list[dict[str, Cell]]:
    """`WORDS` as rows."""
    return [{"word": name, "means": text} for name, text in WORDS.items()]


def _days(n: int) -> str:
    return "a day" if n == 1 else f"{n} days"
