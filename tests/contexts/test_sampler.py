"""The sampler: probabilities by the formula, draws of their own, an unbiased sample."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec_platform import columns as c
from rec_platform.config import SamplerConfig
from rec_platform.contexts.sampler import CountryTenureStratifiedSampler, draws
from rec_platform.contexts.tagger import TENURE_BANDS
from rec_platform.dmc12.frame import Frame
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.testing import context_oracle as oracle

BANDS = list(TENURE_BANDS)


def frame(bands: list[str], ids: np.ndarray | None = None) -> Frame:
    context_id = np.arange(len(bands), dtype=np.int64) if ids is None else ids
    return Frame.of(
        pa.table(
            {
                c.CONTEXT_ID: pa.array(context_id),
                c.TENURE_BAND: pa.array(bands, pa.string()),
                c.STRATUM: pa.array([f"FR/{band}" for band in bands], pa.string()),
            }
        )
    )


def sampled(start: Frame, config: SamplerConfig, seed: int = 1) -> Frame:
    return Pipeline([CountryTenureStratifiedSampler(config, seed)]).apply(start, Sources())


@given(
    st.lists(st.sampled_from(BANDS), max_size=40),
    st.dictionaries(st.sampled_from(BANDS), st.floats(0.1, 10), min_size=1),
    st.integers(1, 60),
    st.sampled_from([0.001, 0.2, 1.0]),
)
def test_probabilities_are_those_of_the_oracle(bands: list[str], shares: dict, most: int, least: float) -> None:
    config = SamplerConfig(max_contexts=most, shares=shares, min_probability=least)
    found = CountryTenureStratifiedSampler(config, 1).probabilities(frame(bands))
    np.testing.assert_allclose(found, oracle.sampling_probabilities(bands, config), rtol=1e-12)


def test_counts_are_those_before_sampling() -> None:
    config = SamplerConfig(max_contexts=100, shares={"new": 3.0, "1y+": 1.0}, min_probability=0.01)
    kept = sampled(frame(["new"] * 300 + ["1y+"] * 50 + ["1-4w"] * 1000), config)
    strata = dict(zip(kept.context(c.TENURE_BAND), kept.context(c.INCLUSION_PROBABILITY), strict=True))
    assert strata == {"new": 75 / 300, "1y+": 25 / 50, "1-4w": 0.01}


def test_nothing_is_left_out_where_there_is_room() -> None:
    kept = sampled(frame(["new"] * 30), SamplerConfig(max_contexts=10_000))
    assert kept.n_contexts == 30 and set(kept.context(c.INCLUSION_PROBABILITY)) == {1.0}


def test_one_context_more_changes_no_others_draw() -> None:
    ids = np.arange(500, dtype=np.int64)
    np.testing.assert_array_equal(draws(ids, 3)[1:], draws(ids[1:], 3))
    config = SamplerConfig(max_contexts=100, shares={"new": 1.0})
    before = set(sampled(frame(["new"] * 500), config).context(c.CONTEXT_ID).tolist())
    after = set(sampled(frame(["new"] * 501), config).context(c.CONTEXT_ID).tolist())
    assert after - {500} <= before and len(before - after) <= 2


def test_order_of_contexts_changes_nothing() -> None:
    ids = np.random.default_rng(1).permutation(400).astype(np.int64)
    config = SamplerConfig(max_contexts=100, shares={"new": 1.0})
    shuffled = sampled(frame(["new"] * 400, ids), config).context(c.CONTEXT_ID)
    assert sorted(shuffled) == sampled(frame(["new"] * 400), config).context(c.CONTEXT_ID).tolist()


def test_the_sample_weighted_by_its_probabilities_is_unbiased() -> None:
    start, config = frame(["new"] * 300 + ["1y+"] * 100), SamplerConfig(max_contexts=80)
    totals = [(1 / sampled(start, config, seed).context(c.INCLUSION_PROBABILITY)).sum() for seed in range(400)]
    error = np.std(totals) / np.sqrt(len(totals))
    assert np.mean(totals) == pytest.approx(400, abs=4 * error)
    assert error < 10


def test_draws_are_uniform_and_differ_between_seeds() -> None:
    values = draws(np.arange(100_000, dtype=np.int64), 1)
    assert values.min() >= 0 and values.max() < 1
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert ((counts - 5000) ** 2 / 5000).sum() < 50  # chi-square, 19 degrees of freedom: 1 in 10,000
    assert abs(np.corrcoef(values, draws(np.arange(100_000, dtype=np.int64), 2))[0, 1]) < 0.02


def test_no_contexts_no_sample() -> None:
    assert sampled(frame([]), SamplerConfig()).n_contexts == 0


def test_json_holds_the_whole_configuration() -> None:
    config = SamplerConfig(max_contexts=7)
    assert CountryTenureStratifiedSampler(config, 3).to_json() == {"seed": 3, **config.model_dump(mode="json")}
