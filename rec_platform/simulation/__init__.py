"""A simulated world with known truth: a seeded delivery of plays, and the taste behind it (docs/simulated-world.md)."""

from rec_platform.simulation.config import CountryConfig, WorldConfig
from rec_platform.simulation.generate import WorldSummary, simulate
from rec_platform.simulation.store import load_truth
from rec_platform.simulation.truth import (
    Truth,
    engagement_probability,
    true_choice_probabilities,
    true_utilities,
    true_utility,
)

__all__ = [
    "CountryConfig",
    "Truth",
    "WorldConfig",
    "WorldSummary",
    "engagement_probability",
    "load_truth",
    "simulate",
    "true_choice_probabilities",
    "true_utilities",
    "true_utility",
]
