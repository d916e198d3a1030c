"""Features: numbers a model reads, made by pure functions (encoders) from facts of the time machine."""

from rec_platform.features.encoders import Encoder, encoder
from rec_platform.features.feature_set import FeatureSet
from rec_platform.features.generator import FeatureGenerator
from rec_platform.features.live import LiveFeatures
from rec_platform.timetravel.facts import Fact

__all__ = ["Encoder", "Fact", "FeatureGenerator", "FeatureSet", "LiveFeatures", "encoder"]
