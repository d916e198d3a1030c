"""How a number was judged: what must be equal before two numbers may be added or compared.

A `Protocol` is the rules; `Evidence` is what they were applied to. Both ride in every row of `metrics` and `metric_sums`
as one JSON text, so a number can always say what it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Final

import numpy as np

from rec_platform.contexts.hashing import seeded
from rec_platform.errors import ConfigError
from rec_platform.evaluation import kernels
from rec_platform.evaluation.ties import Floats, Ints, Truth
from rec_platform.timetravel.kernels import plain

SESSION: Final = "session"
DAILY_LIST: Final = "daily_list"
WORDS: Final = 2**64


@dataclass(frozen=True)
class Protocol:
    """The rules of a judgement.

    Attributes:
        kind: `session` (each session start is a list) or `daily_list` (the published recommendations of a date).
        split: how what models saw is parted from what judges them; `time`: nothing of anybody at or after the cut.
        candidates: what is ranked; `available`: every title available in the country at the context's instant.
        seen: what happens to titles the profile has already played: keep, drop, drop_within_days(n).
        cold: what happens to positives outside the candidate set; `kept`: they stay in the denominators, never found.
        horizon_days: length of the label window.
        ties: how equal scores count; `expected`: the mean over all their orders; `trec`: as trec_eval breaks them.
        weighting: what a context weighs.
        known_by: what the training sets of the models and the sample of contexts may know (`[training] known_by`); scores
            and labels are as known then whatever it is.
    """

    kind: str = SESSION
    split: str = "time"
    candidates: str = "available"
    seen: str = "keep"
    cold: str = "kept"
    horizon_days: int = 1
    ties: str = "expected"
    weighting: str = "1/inclusion_probability"
    known_by: str = "then"


@dataclass(frozen=True)
class Evidence:
    """What was judged.

    Attributes:
        first_cut, last_cut: the first and last instant (ISO date, 00:00 UTC) at which models stopped seeing; empty where
            the caller did not say.
        data: the sum modulo 2^64 of a hash per judged context and positive: equal for equal contexts, weights and
            positives in any order and any partition, whatever the models.
    """

    first_cut: str = ""
    last_cut: str = ""
    data: int = 0

    def __add__(self, other: Evidence) -> Evidence:
        firsts, lasts = ([cut for cut in pair if cut] for pair in
                         ((self.first_cut, other.first_cut), (self.last_cut, other.last_cut)))  # fmt: skip
        return Evidence(min(firsts, default=""), max(lasts, default=""), (self.data + other.data) % WORDS)


def to_text(protocol: Protocol, evidence: Evidence, seed: int) -> str:
    """Both as JSON, with the seed of the bootstrap.

    >>> of_text(to_text(Protocol(seen="drop"), Evidence("2025-03-01", "2025-03-02", 255), 7))[0].seen
    'drop'
    """
    return json.dumps(asdict(protocol) | asdict(evidence) | {"data": f"{evidence.data:016x}", "seed": seed})


def of_text(text: str) -> tuple[Protocol, Evidence]:
    """The inverse of `to_text`, without the seed; a rule that an older text does not name is the default one."""
    given = json.loads(text)
    protocol = Protocol(**{one.name: given.get(one.name, one.default) for one in fields(Protocol)})
    return protocol, Evidence(given["first_cut"], given["last_cut"], int(given["data"], 16))


def check_same(left: Protocol, right: Protocol, *, place: str) -> None:
    """Nothing if both are equal; otherwise `ConfigError` naming the first rule that differs."""
    for one in fields(Protocol):
        ours, theirs = getattr(left, one.name), getattr(right, one.name)
        if ours != theirs:
            raise ConfigError(
                f"numbers of different protocols: {one.name} is {ours!r} in one and {theirs!r} in the other",
                place=place, repair="Judge both under one protocol (`run --force` for the days concerned).",
            )  # fmt: skip


@cache
def _judged() -> np.uint64:
    """The word that every hash of what was judged starts from."""
    return np.uint64(seeded(0, purpose="judged")[0])


def data_hash(context_id: Ints, weight: Floats, truth: Truth, titles: Ints) -> int:
    """`Evidence.data` of n contexts with P positives.

    Args:
        context_id, weight: n values.
        truth, titles: what happened; the title of each of the P positives.
    """
    reachable, context = plain(truth.reachable, np.bool_), plain(truth.context, np.int64)
    ids, weights, candidates = _words(context_id), _words(weight.view(np.int64)), _words(truth.n_candidates)
    gain = _words(truth.gain.view(np.int64))
    return int(kernels.judged(_judged(), ids, weights, candidates, context, _words(titles), gain, reachable))


def _words(values: Ints) -> kernels.Words:
    return np.asarray(plain(values, np.int64).view(np.uint64))
