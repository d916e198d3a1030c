"""How a later stage adds features to training sets without being imported here.

Candidate-model scores are features, but models are a later stage. So the flow hands `TrainingSets` an object of this
shape, and scoring uses the same object; nothing else knows where the added features come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

import numpy as np

from rec_platform.config import Settings
from rec_platform.dmc12.frame import Frame
from rec_platform.partition import Partition
from rec_platform.pipeline import Transformer
from rec_platform.stage import Input, Reader
from rec_platform.timetravel.kernels import NONE, Int64


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

    def as_of(self, frame: Frame) -> Int64:
        """Per context, the first instant that what the steps read could not see; `NONE` where they read nothing.

        Told from what the steps left in the frame, not from what they should have read: it goes into the certificate.
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

    def as_of(self, frame: Frame) -> Int64:
        return np.full(frame.n_contexts, NONE, dtype=np.int64)
