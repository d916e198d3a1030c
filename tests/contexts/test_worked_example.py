"""The worked example of docs/training-sets.md, number by number."""

from __future__ import annotations

from datetime import date

import pytest
from context_worlds import play_table, reader, signup_table

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, MINUTE, midnight
from rec_platform.config import NegativeConfig, Settings
from rec_platform.contexts.stage import TrainingSets
from rec_platform.dmc12.frame import flat
from rec_platform.partition import Partition
from rec_platform.tables import PROFILES, TRAINING_SETS
from rec_platform.testing.context_oracle import Offer, Play

BEFORE, TODAY = midnight(date(2025, 3, 11)), midnight(date(2025, 3, 12))
ANA = 1


def ana(at: int, title: int, engaged: int, known: int | None = None) -> Play:
    return Play(ANA, at, title, title, at if known is None else known, engaged, device="TV")


def world() -> list[Play]:
    recent = [
        Play(9, BEFORE + 100 * title + k, title, 100 * title + k, BEFORE + 100 * title + k)
        for title, n in {1: 7, 2: 3, 3: 1, 6: 1}.items()
        for k in range(n)
    ]
    evening = [
        ana(TODAY + 20 * HOUR, 2, 1),
        ana(TODAY + 20 * HOUR + 20 * MINUTE, 5, 0),
        ana(TODAY + 21 * HOUR + 30 * MINUTE, 3, 1, known=TODAY + DAY + 6 * HOUR),
        ana(TODAY + 22 * HOUR, 6, 1),
    ]
    return recent + evening


def test_the_worked_example() -> None:
    offered = [Offer(title, "FR", BEFORE - 90 * DAY, None, BEFORE - 90 * DAY) for title in range(1, 7)]
    source = reader(world(), offered, days=5)
    source.add(PROFILES.name, Partition(), signup_table({ANA: (midnight(date(2025, 2, 20)), BEFORE - 9 * DAY)}))
    settings = Settings(seed=20_250_104, negatives=NegativeConfig(items=4))
    built = next(iter(TrainingSets().build([Partition(date(2025, 3, 12), "FR")], source, settings)))
    frame = flat(built.tables[TRAINING_SETS.name])
    assert frame.context(c.AT).tolist() == [TODAY + 20 * HOUR, TODAY + 22 * HOUR]
    assert frame.context(c.STRATUM).tolist() == ["FR/1-4w"] * 2
    assert frame.context(c.TENURE_DAYS)[0] == pytest.approx(20 + 20 / 24)
    assert frame.context(c.ACTIVITY_BAND).tolist() == ["none", "light"]
    assert frame.context(c.DEVICE).tolist() == ["tv", "tv"]
    assert frame.context(c.INCLUSION_PROBABILITY).tolist() == [1.0, 1.0]
    mean = (7 * 8**-0.2 + 3 * 4**-0.2 + 2 * 2**-0.2) / 12
    rows = [
        (1, 0.0, 1.0, 1.0),
        (2, 1.0, 1.0, 4**-0.2 / mean),
        (4, 0.0, 12 / 25, 1.0),
        (5, 0.0, 1.0, 1.0),
        (6, 1.0, 1.0, 2**-0.2 / mean),
    ]
    names = (c.TITLE, c.LABEL, c.ITEM_INCLUSION_PROBABILITY, c.WEIGHT)
    found = list(zip(*(frame.item(name)[: frame.offsets[1]].tolist() for name in names), strict=True))
    for one, wanted in zip(found, rows, strict=True):
        assert one == pytest.approx(wanted)
    assert built.extra["titles_unknown_at_cut"] == 1 and play_table(world()).num_rows == 16
