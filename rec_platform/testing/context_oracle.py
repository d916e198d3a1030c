"""Contexts, labels, candidate sets and probabilities the slow, obvious way, straight from the definitions.

What `rec_platform.contexts` computes on arrays is compared with this on random histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from rec_platform.clock import DAY, MINUTE, midnight, visible
from rec_platform.config import SamplerConfig, SeenRule, SessionRule


@dataclass(frozen=True, order=True)
class Play:
    """A play, with instants in microseconds."""

    profile_id: int
    played_at: int
    title_id: int
    play_id: int
    known_at: int
    engaged: int = 1
    session_id: int | None = None
    device: str = "unknown"
    country: str = "FR"


@dataclass(frozen=True, order=True)
class Offer:
    """A row of `availability`; `until` None is open."""

    title_id: int
    country: str
    since: int
    until: int | None
    known_at: int


def sessions(
    plays: Iterable[Play], *, country: str, day: date, cut: int, rule: SessionRule
) -> list[tuple[int, int, str]]:
    """(at, profile, device) of every context of the day, sorted."""
    known = sorted(p for p in plays if p.country == country and p.known_at < cut)
    recent = [p for p in known if midnight(day - timedelta(days=1)) <= p.played_at]
    found: dict[tuple[int, int], str] = {}
    for play in recent:
        on_day = midnight(day) <= play.played_at < midnight(day + timedelta(days=1))
        if on_day and _begins(play, recent, rule):
            found.setdefault((play.played_at, play.profile_id), play.device)
    return sorted((at, profile, device) for (at, profile), device in found.items())


def _begins(play: Play, plays: Sequence[Play], rule: SessionRule) -> bool:
    mine = [p for p in plays if p.profile_id == play.profile_id]
    if rule.kind == "session_id" and play.session_id is not None:
        same = [p.played_at for p in mine if p.session_id == play.session_id]
        return play.played_at == min(same)
    gap = rule.gap_minutes * MINUTE
    return not any(play.played_at - gap < p.played_at < play.played_at for p in mine)


def labels(plays: Iterable[Play], *, profile_id: int, country: str, at: int, close: int) -> dict[int, float | None]:
    """Label by title played in [at, close): 1.0, 0.0, or None if no play of it was known before the close."""
    window = [p for p in plays if (p.profile_id, p.country) == (profile_id, country) and at <= p.played_at < close]
    out: dict[int, float | None] = {}
    for title in {p.title_id for p in window}:
        known = [p for p in window if p.title_id == title and p.known_at < close]
        out[title] = float(max(p.engaged for p in known)) if known else None
    return out


def candidates(
    plays: Sequence[Play], offers: Sequence[Offer], *, profile_id: int, country: str, at: int, rule: SeenRule
) -> list[int]:
    """The candidate set, ascending."""
    seen = [p for p in plays if p.profile_id == profile_id and visible(p.played_at, p.known_at, at)]
    if rule.kind == "keep":
        seen = []
    if rule.kind == "drop_within_days":
        seen = [p for p in seen if p.played_at >= at - rule.days * DAY]
    return sorted(available(plays, offers, country=country, at=at) - {p.title_id for p in seen})


def available(plays: Sequence[Play], offers: Sequence[Offer], *, country: str, at: int) -> set[int]:
    """The titles offered in the country at the instant; without any offer, those visibly played anywhere."""
    if not offers:
        return {p.title_id for p in plays if visible(p.played_at, p.known_at, at)}
    newest: dict[tuple[int, int], Offer] = {}
    for offer in sorted(offers, key=lambda o: o.known_at):
        if offer.country == country and offer.known_at < at:
            newest[offer.title_id, offer.since] = offer
    return {o.title_id for o in newest.values() if o.since <= at and (o.until is None or at < o.until)}


def recent_plays(plays: Iterable[Play], *, country: str, at: int, days: int) -> dict[int, int]:
    """Plays per title in the country over `days` days, as of the last 00:00 UTC at or before the instant."""
    tick = at - at % DAY
    out: dict[int, int] = {}
    for p in plays:
        if p.country == country and visible(p.played_at, p.known_at, tick) and p.played_at >= tick - days * DAY:
            out[p.title_id] = out.get(p.title_id, 0) + 1
    return out


def sampling_probabilities(bands: Sequence[str], config: SamplerConfig) -> list[float]:
    """Each context's inclusion probability, given the tenure band of every context of one country."""
    total = sum(config.shares.values())
    out = []
    for band in bands:
        wanted = config.shares.get(band, 0.0) / total * config.max_contexts / bands.count(band)
        out.append(min(max(wanted, config.min_probability), 1.0))
    return out


def draw_probabilities(plays: Sequence[int], k: int, popularity_share: Fraction) -> list[Fraction]:
    """The exact inclusion probability of each candidate, given its recent plays: capped shares of the mixture."""
    n, smoothed = len(plays), sum(plays) + len(plays)
    sizes = [(1 - popularity_share) / n + popularity_share * Fraction(p + 1, smoothed) for p in plays]
    certain: set[int] = set()
    while True:
        rest = sum(size for i, size in enumerate(sizes) if i not in certain)
        scaled = [Fraction(1) if i in certain else size * (k - len(certain)) / rest for i, size in enumerate(sizes)]
        over = {i for i, p in enumerate(scaled) if p >= 1} - certain
        if not over:
            return scaled
        certain |= over
