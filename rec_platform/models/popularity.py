"""Candidate model `popularity`: recent plays per country, smoothed with the world's.

    share(t, country) = (plays of t in the country + K * share of t in the world) / (plays in the country + K)

over the last `popularity_days`, K = 200 plays: a country with far more plays than K speaks for itself, one with a
handful borrows from the world (additive smoothing towards a background distribution, Zhai & Lafferty 2004). A country
never seen has the world's shares; a title not played in the window has 0. Reported per 1,000 plays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from rec_platform.config import CandidateConfig
from rec_platform.models.artefact import Artefact, json_bytes, libraries, npy_bytes
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

SMOOTHING_PLAYS: Final = 200.0
POPULARITY: Final = FeatureNote("candidate_popularity", "recent plays in the country", "per 1,000 plays")


@dataclass(frozen=True, eq=False)
class Popularity(CandidateModel):
    """Fitted shares.

    Attributes:
        titles: sorted ids (t).
        countries: names (k).
        shares: plays per 1,000, shape (k + 1, t + 1): the last row is the world, the last column titles never played.
    """

    titles: Ids
    countries: tuple[str, ...]
    shares: Floats32

    notes = (POPULARITY,)

    def features(self, pairs: Pairs) -> dict[str, Floats32]:
        rows = {name: row for row, name in enumerate(self.countries)}
        row = np.array([rows.get(name, len(rows)) for name in pairs.countries], dtype=np.int64)
        return {POPULARITY.name: self.shares[row[pairs.context_of_item], positions(self.titles, pairs.titles)]}


class PopularityTrainer(CandidateTrainer):
    """Counts plays; see the module."""

    name = "popularity"
    code_version = 1
    notes = Popularity.notes

    def fit(self, plays: pa.Table, *, as_of: date, titles: pa.Table, config: CandidateConfig, seed: int) -> Artefact:
        days = config.popularity_days
        visible = visible_plays(plays, as_of=as_of, days=days)
        ids, title = np.unique(visible.titles, return_inverse=True)
        manifest = base_manifest(
            kind="candidate", code_version=self.code_version, seed=seed, data=visible.data(as_of, days),
            parameters={"popularity_days": days, "smoothing_plays": SMOOTHING_PLAYS},
            libraries=libraries("numpy"),
        )  # fmt: skip
        files = {
            "titles.npy": npy_bytes(ids),
            "countries.json": json_bytes({"countries": list(visible.country_names)}),
            "shares.npy": npy_bytes(_shares(visible, title, len(ids))),
        }
        return Artefact.of(self.name, manifest, files)

    def load(self, artefact: Artefact) -> Popularity:
        countries = tuple(artefact.json("countries.json")["countries"])
        return Popularity(artefact.array("titles.npy"), countries, artefact.array("shares.npy"))


def _shares(visible: VisiblePlays, title: Ids, n_titles: int) -> Floats32:
    n = len(visible.country_names)
    flat = np.bincount(visible.countries * n_titles + title, minlength=n * n_titles) if len(visible) else np.zeros(0)
    counts = flat.reshape(n, n_titles).astype(np.float64)
    world = counts.sum(axis=0) / max(len(visible), 1)
    shares = (counts + SMOOTHING_PLAYS * world) / (counts.sum(axis=1, keepdims=True) + SMOOTHING_PLAYS)
    never = np.zeros((n + 1, 1))
    return np.asarray(1000.0 * np.hstack([np.vstack([shares, world]), never]), dtype=np.float32)
