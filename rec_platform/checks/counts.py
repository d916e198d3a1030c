"""Measures that come from what a stage counted, from history, and from other tables of the same call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from rec_platform import tables as t
from rec_platform.checks.measured import Measured, Measures, Scene
from rec_platform.lake import Staged
from rec_platform.partition import Partition

#: Fewer delivered rows than this may all be refused: a small country whose rows all lack the profile (Online Retail has one).
MANY_ROWS: Final = 1_000
#: A median over fewer partitions is no history.
MIN_HISTORY: Final = 7


def raw_play_measures(staged: Sequence[Staged], scene: Scene) -> Measures:
    """Reconciliation, refused share, and volume against history of `raw_plays`."""
    return {
        "landing_reconciles": [_unaccounted(one) for one in staged],
        "quarantined_share_bounded": [_quarantined_share(one.extra) for one in staged],
        "some_row_accepted": [_accepted(staged)] * len(staged),
        "volume_like_history": volume(staged, scene),
    }


def _unaccounted(one: Staged) -> Measured:
    """Delivered rows that are neither accepted, duplicate nor quarantined, and accepted ones that are not in the table."""
    extra = one.extra
    if "delivered" not in extra:
        return Measured(None, "the stage gave no counts")
    refused = _quarantined(extra)
    apart = abs(extra["delivered"] - extra["accepted"] - extra["duplicates"] - refused) + abs(
        extra["accepted"] - one.rows
    )
    return Measured(
        float(apart),
        f"{extra['delivered']} delivered = {extra['accepted']} accepted + {extra['duplicates']} duplicates + {refused} "
        f"quarantined, {one.rows} in the table: {apart} unaccounted for",
    )


def _quarantined(extra: Mapping[str, Any]) -> int:
    return int(sum(extra["quarantined"].values()))


def _quarantined_share(extra: Mapping[str, Any]) -> Measured:
    if not extra.get("delivered"):
        return Measured(None, "nothing was delivered")
    share = _quarantined(extra) / extra["delivered"]
    by_rule = ", ".join(f"{rule} {rows}" for rule, rows in sorted(extra["quarantined"].items()) if rows)
    return Measured(share, f"{share:.3g} of {extra['delivered']} delivered rows" + (f" ({by_rule})" if by_rule else ""))


def _accepted(staged: Sequence[Staged]) -> Measured:
    """Rows accepted in the whole call; not judged where few were delivered."""
    delivered = sum(one.extra.get("delivered", 0) for one in staged)
    accepted = sum(one.extra.get("accepted", 0) for one in staged)
    note = f"{accepted} of {delivered} rows delivered in the run accepted"
    return Measured(float(accepted) if delivered >= MANY_ROWS else None, note)


def volume(staged: Sequence[Staged], scene: Scene) -> list[Measured]:
    """Rows of each partition over the median of the country's last `volume_days` partitions before it.

    History is what is published and what is staged in the same call, so that the later days of a first backfill have one.
    """
    rows = {partition: state.rows for partition, state in scene.lake.state(t.RAW_PLAYS.name).items()}
    rows |= {one.partition: one.rows for one in staged}
    countries: dict[str | None, list[Partition]] = {}
    for partition in sorted(rows, key=lambda known: known.day):
        countries.setdefault(partition.country, []).append(partition)
    return [_against(one, countries[one.partition.country], rows, scene.settings.volume_days) for one in staged]


def _against(one: Staged, known: Sequence[Partition], rows: Mapping[Partition, int], days: int) -> Measured:
    history = [rows[partition] for partition in known if partition.day < one.partition.day][-days:]
    if len(history) < min(MIN_HISTORY, days):
        return Measured(None, f"{one.rows} rows; {len(history)} partitions before it, too few to compare")
    usual = median(history)
    if not usual:
        return Measured(None, f"{one.rows} rows; the median of {len(history)} partitions before it is 0")
    return Measured(one.rows / usual, f"{one.rows} rows, {one.rows / usual:.3g} times the median {usual:g}")


def quarantine_measures(staged: Sequence[Staged], scene: Scene) -> Measures:
    """Rows of `quarantined_plays` beside the count of refused rows."""
    return {"quarantined_rows_counted": [_counted(one) for one in staged]}


def _counted(one: Staged) -> Measured:
    if "quarantined" not in one.extra:
        return Measured(None, "the stage gave no counts")
    counted = _quarantined(one.extra)
    return Measured(float(abs(counted - one.rows)), f"{one.rows} rows, {counted} counted")


def tile_measures(staged: Sequence[Staged], scene: Scene) -> Measures:
    """Sums of tiles beside those of the play facts of the same call; not judged where these are not in it."""
    facts = scene.sums.get(t.PLAY_FACTS.name, {})
    tiles = scene.sums[staged[0].spec.name]
    return {"tile_sums_equal_facts": [_apart(tiles[one.partition], facts.get(one.partition)) for one in staged]}


def _apart(tiles: Mapping[str, Any], facts: Mapping[str, Any] | None) -> Measured:
    if facts is None:
        return Measured(None, "play_facts is not part of this call")
    apart = sum(abs(int(tiles[name] or 0) - int(facts[name] or 0)) for name in tiles)
    return Measured(float(apart), f"tiles {_sums(tiles)}; facts {_sums(facts)}")


def _sums(sums: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {int(value or 0)}" for name, value in sums.items())


def training_measures(staged: Sequence[Staged], scene: Scene) -> Measures:
    """Contexts of `training_sets` beside those of `contexts`."""
    contexts = scene.of(t.CONTEXTS.name)
    return {"contexts_match": [_same_rows(one, contexts.get(one.partition)) for one in staged]}


def _same_rows(one: Staged, contexts: Staged | None) -> Measured:
    if contexts is None:
        return Measured(None, "contexts is not part of this call")
    return Measured(float(abs(one.rows - contexts.rows)), f"{one.rows} training contexts, {contexts.rows} contexts")


#: Table -> what measures its counted rules.
COUNTED: Final[dict[str, Callable[[Sequence[Staged], Scene], Measures]]] = {
    t.RAW_PLAYS.name: raw_play_measures,
    t.QUARANTINED_PLAYS.name: quarantine_measures,
    t.TITLE_TILES.name: tile_measures,
    t.PROFILE_TILES.name: tile_measures,
    t.TRAINING_SETS.name: training_measures,
}
