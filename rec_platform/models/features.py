"""Every feature a ranker reads, in order: the declared ones, then those of the candidate models."""

from __future__ import annotations

from rec_platform.config import Settings
from rec_platform.features import FeatureSet
from rec_platform.models.candidate_features import candidate_feature_notes
from rec_platform.models.contract import FeatureNote


def feature_notes(settings: Settings) -> tuple[FeatureNote, ...]:
    """Names, and what explanations say of them."""
    declared = FeatureSet.from_config(settings.features)
    notes = tuple(FeatureNote(one.name, one.about, one.unit) for one in declared.encoders)
    return (*notes, *candidate_feature_notes())
