"""Training weights, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from context_worlds import DAY_ONE, contexts_frame, timeline

from rec_platform import columns as c
from rec_platform.clock import DAY, HOUR, midnight
from rec_platform.config import WeightConfig
from rec_platform.contexts.weights import TrainingWeights
from rec_platform.dmc12.frame import Frame
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.testing.context_oracle import Play

START = midnight(DAY_ONE)


def weighed(profiles: list[int], items: list[tuple[int, float]], plays: list[Play], config: WeightConfig) -> Frame:
    """One item per context: (title, label)."""
    contexts = contexts_frame([(profile, START + HOUR + k) for k, profile in enumerate(profiles)]).contexts
    titles, labels = np.array([t for t, _ in items], int), np.array([label for _, label in items], float)
    frame = Frame.of(contexts, np.arange(len(items) + 1), items={c.TITLE: titles, c.LABEL: labels})
    return Pipeline([TrainingWeights(config)]).apply(frame, Sources(timeline(plays)))


def popular(counts: dict[int, int]) -> list[Play]:
    return [
        Play(50, START - DAY + k, title, title * 1000 + k, START - DAY + k)
        for title, n in counts.items()
        for k in range(n)
    ]


def test_a_heavy_profile_weighs_no_more_than_its_power_allows() -> None:
    frame = weighed([1, 1, 1, 1, 2], [(7, 0.0)] * 5, [], WeightConfig(profile_power=0.5, title_power=0.5))
    # 4 contexts of 1/2 and one of 1: mean 3/5
    np.testing.assert_allclose(frame.item(c.WEIGHT), [5 / 6] * 4 + [5 / 3])


def test_a_hit_weighs_less_as_a_positive_and_the_same_as_a_negative() -> None:
    plays = popular({7: 99, 8: 3})
    frame = weighed([1, 2, 3, 4], [(7, 1.0), (8, 1.0), (9, 1.0), (7, 0.0)], plays, WeightConfig(title_power=0.5))
    mean = (99 / 10 + 3 / 2) / 102
    np.testing.assert_allclose(frame.item(c.WEIGHT), [1 / 10 / mean, 1 / 2 / mean, 1 / mean, 1])


def test_without_powers_every_weight_is_one() -> None:
    config = WeightConfig(profile_power=0, title_power=0)
    assert set(weighed([1, 1, 2], [(7, 1.0)] * 3, popular({7: 5}), config).item(c.WEIGHT)) == {1.0}


def test_without_recent_plays_every_title_factor_is_one() -> None:
    assert set(weighed([1, 2], [(7, 1.0), (8, 0.0)], [], WeightConfig()).item(c.WEIGHT)) == {1.0}


def test_profile_factors_have_a_mean_of_one_over_contexts() -> None:
    profiles = [1] * 9 + [2] * 4 + [3]
    frame = weighed(profiles, [(7, 0.0)] * len(profiles), [], WeightConfig())
    assert frame.item(c.WEIGHT).mean() == pytest.approx(1)


def test_plays_of_the_day_itself_and_late_ones_change_nothing() -> None:
    today = [Play(50, START + k, 7, 5000 + k, START + k) for k in range(20)]
    late = [Play(50, START - HOUR + k, 7, 6000 + k, START + k) for k in range(20)]
    rows = ([1, 2], [(7, 1.0), (8, 1.0)])
    before, after = (weighed(*rows, p, WeightConfig()) for p in (popular({7: 9}), popular({7: 9}) + today + late))
    assert before.items.equals(after.items)


def test_an_empty_frame_passes() -> None:
    assert weighed([], [], [], WeightConfig()).n_items == 0
