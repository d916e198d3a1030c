"""How a later stage adds features to training sets without being imported here.

Candidate-model scores are features, but models are a later stage. So the flow hands `TrainingSets` an object of this
shape, and scoring uses the same object; nothing else knows where the added features come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

from rec_platform.config import Settings
from rec_platform.partition import Partition
from rec_platform.pipeline import Transformer
from rec_platform.stage import Input, Reader


class FeatureExtension(Protocol):
    """Steps that add feature columns after the declared features, with what they read."""

    def config(self, settings: Settings) -> dict[str, Any]:
        """The part of the settings the steps read, as JSON."""

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        """The input partitions that one partition's added features read."""

    def steps(
        self, reader: Reader, days: Sequence[date], settings: Settings
    ) -> tuple[Sequence[Transformer], Sequence[object]]:
        """The steps, and the sources they need, for contexts of these days.

        A step must give a context the same values in every chunk, so it may look at nothing but that context's rows.
        """


class NoExtension:
    """Nothing added: what `TrainingSets()` uses."""

    def config(self, settings: Settings) -> dict[str, Any]:
        return {}

    def inputs(self, partition: Partition, settings: Settings) -> tuple[Input, ...]:
        return ()

    def steps(
        self, reader: Reader, days: Sequence[date], settings: Settings
    ) -> tuple[Sequence[Transformer], Sequence[object]]:
        return (), ()
