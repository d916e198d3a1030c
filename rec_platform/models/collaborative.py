"""Candidate model `collaborative`: implicit-feedback matrix factorisation (ALS, library `implicit`).

A profile's score of a title is the dot product of two float32 vectors, fitted by alternating least squares on
confidences

    1 + confidence * ln(1 + plays + engaged plays)

(Hu, Koren, Volinsky 2008, with their logarithmic weighting). Deterministic: seeded start, one thread, one BLAS
thread. A profile or title without a visible play in `history_days` scores 0, the value of "nothing known", and
`candidate_known` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform.config import CandidateConfig
from rec_platform.models.artefact import Artefact, libraries, npy_bytes
from rec_platform.models.contract import (
    CandidateModel,
    CandidateTrainer,
    FeatureNote,
    Floats32,
    Ids,
    Pairs,
    base_manifest,
)
from rec_platform.models.lookup import positions
from rec_platform.models.visible import VisiblePlays, visible_plays

COLLABORATIVE: Final = FeatureNote("candidate_collaborative", "taste match with profiles who play alike")
KNOWN: Final = FeatureNote(
    "candidate_known", "profile and title are both known to the collaborative model (1) or not (0)"
)
#: Pairs per block: two gathered blocks of 32 float32 each stay in the second-level cache.
BLOCK: Final = 8192


@dataclass(frozen=True, eq=False)
class Collaborative(CandidateModel):
    """Fitted vectors.

    Attributes:
        profiles, titles: sorted ids (p and t).
        profile_vectors, title_vectors: float32 of shape (p + 1, e) and (t + 1, e); the last row is zeros, for the
        unknown.
    """

    profiles: Ids
    titles: Ids
    profile_vectors: Floats32
    title_vectors: Floats32

    notes = (COLLABORATIVE, KNOWN)

    def features(self, pairs: Pairs) -> dict[str, Floats32]:
        profile = positions(self.profiles, pairs.profiles)[pairs.context_of_item]
        title = positions(self.titles, pairs.titles)
        known = (profile < len(self.profiles)) & (title < len(self.titles))
        return {COLLABORATIVE.name: self._dot(profile, title), KNOWN.name: known.astype(np.float32)}

    def _dot(self, profile: Ids, title: Ids) -> Floats32:
        """Pair by pair and not as a matrix product, whose rounding depends on how many rows it is given."""
        out = np.empty(len(title), dtype=np.float32)
        for start in range(0, len(title), BLOCK):
            rows = slice(start, start + BLOCK)
            np.einsum("ij,ij->i", self.profile_vectors[profile[rows]], self.title_vectors[title[rows]], out=out[rows])
        return out


class CollaborativeTrainer(CandidateTrainer):
    """Implicit ALS; see the module."""

    name = "collaborative"
    code_version = 1
    notes = Collaborative.notes

    def fit(self, plays: pa.Table, *, as_of: date, titles: pa.Table, config: CandidateConfig, seed: int) -> Artefact:
        visible = visible_plays(plays, as_of=as_of, days=config.history_days)
        profile_ids, profile = np.unique(visible.profiles, return_inverse=True)
        title_ids, title = np.unique(visible.titles, return_inverse=True)
        profile_vectors, title_vectors = _factors(
            visible, profile, title, (len(profile_ids), len(title_ids)), config, seed
        )
        manifest = base_manifest(
            kind="candidate", code_version=self.code_version, seed=seed,
            data=visible.data(as_of, config.history_days), parameters=_parameters(config),
            libraries=libraries("implicit", "numpy", "scipy"),
        )  # fmt: skip
        files = {
            "profiles.npy": npy_bytes(profile_ids),
            "titles.npy": npy_bytes(title_ids),
            "profile_vectors.npy": npy_bytes(profile_vectors),
            "title_vectors.npy": npy_bytes(title_vectors),
        }
        return Artefact.of(self.name, manifest, files)

    def load(self, artefact: Artefact) -> Collaborative:
        names = ("profiles.npy", "titles.npy", "profile_vectors.npy", "title_vectors.npy")
        return Collaborative(*(artefact.array(name) for name in names))


def _parameters(config: CandidateConfig) -> dict[str, float]:
    names = ("history_days", "embedding_size", "epochs", "reg", "confidence")
    return {name: getattr(config, name) for name in names}


def _factors(
    visible: VisiblePlays, profile: Ids, title: Ids, shape: tuple[int, int], config: CandidateConfig, seed: int
) -> tuple[Floats32, Floats32]:
    """Profile and title vectors with a last row of zeros."""
    if not len(visible):
        empty = np.zeros((1, config.embedding_size), dtype=np.float32)
        return empty, empty
    # Imported here: scoring needs neither, and they take most of a second.
    import scipy.sparse as sparse
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    plays = sparse.csr_matrix(((1.0 + visible.engaged).astype(np.float32), (profile, title)), shape=shape)
    plays.sum_duplicates()
    plays.data = (1.0 + config.confidence * np.log1p(plays.data)).astype(np.float32)
    with threadpool_limits(limits=1):
        model = AlternatingLeastSquares(
            factors=config.embedding_size, regularization=config.reg, alpha=1.0, iterations=config.epochs,
            random_state=seed, num_threads=1, calculate_training_loss=False,
        )  # fmt: skip
        model.fit(plays, show_progress=False)
    return _with_unknown(model.user_factors), _with_unknown(model.item_factors)


def _with_unknown(vectors: Floats32) -> Floats32:
    return np.vstack([vectors, np.zeros((1, vectors.shape[1]))]).astype(np.float32)
