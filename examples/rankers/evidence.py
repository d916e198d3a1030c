"""A ranker of one's own: weights of evidence. Beside platform.toml: `[rankers] files = ["evidence.py"]`.

Each feature is cut at its deciles, "missing" is a part of its own. A part's evidence is ln(its rate of engagement / the rate
of all items). What two features both tell must not count twice, so each has a weight, by least squares of the label on the
evidence of all of them; a score is the sum of weight times evidence, and each summand what its feature did to the score.
"""

from dataclasses import dataclass

import numpy as np

from rec_platform import columns as c
from rec_platform.models.artefact import Artefact, libraries, npy_bytes
from rec_platform.models.contract import FeatureNote, RankerTrainer, Scorer, base_manifest, column
from rec_platform.models.training import TrainingFrames, inverse_inclusion, notes_of

PARTS = 10
#: Items of the usual rate that each part's rate is drawn to.
PRIOR = 50.0
#: Penalty of the features' weights, per unit of the items' weight.
RIDGE = 0.01


def part_of(values, cuts):
    """The part of each value: 0 to PARTS - 1 by the cuts, PARTS where it is missing."""
    return np.where(np.isnan(values), PARTS, np.searchsorted(cuts, values, side="right"))


@dataclass(frozen=True, eq=False)
class EvidenceScorer(Scorer):
    notes: tuple[FeatureNote, ...]
    cuts: np.ndarray  # (features, PARTS - 1)
    evidence: np.ndarray  # (features, PARTS + 1), each times its feature's weight
    name = "evidence"

    @property
    def features(self):
        return self.notes

    def score(self, frame):
        total = np.zeros(frame.n_items)
        for which, note in enumerate(self.notes):
            total += self.moved(column(frame, note.name), which)
        return total

    def contributions(self, frame, rows):
        return np.column_stack([self.moved(column(frame, note.name)[rows], f) for f, note in enumerate(self.notes)])

    def moved(self, values, which):
        """What a feature's values did to the scores."""
        return self.evidence[which][part_of(values, self.cuts[which])]


class EvidenceTrainer(RankerTrainer):
    name = "evidence"
    code_version = 1

    def fit(self, frames, *, features, config, seed):
        training = TrainingFrames.of(frames, features, max_items=config.max_items, seed=seed)
        if not training.n_items:
            return None
        weight = inverse_inclusion(training.item(c.WEIGHT), training.item(c.ITEM_INCLUSION_PROBABILITY))
        engaged = weight * (training.item(c.LABEL) > 0)
        rate = engaged.sum() / weight.sum()
        cuts, evidence = np.zeros((len(features), PARTS - 1)), np.zeros((len(features), PARTS + 1))
        told = np.zeros((len(features), training.n_items))
        for which, name in enumerate(training.names):
            values = training.feature(name)
            known = values[~np.isnan(values)]
            if len(known):
                cuts[which] = np.quantile(known, np.arange(1, PARTS) / PARTS)
            part = part_of(values, cuts[which])
            yes, all_of = (np.bincount(part, amount, PARTS + 1) for amount in (engaged, weight))
            evidence[which] = np.log((yes + PRIOR * rate) / (all_of + PRIOR) / rate)
            told[which] = evidence[which][part]
        told -= np.average(told, axis=1, weights=weight)[:, None]
        both = np.einsum("ai,bi,i->ab", told, told, weight) + RIDGE * weight.sum() * np.eye(len(features))
        evidence *= np.linalg.solve(both, np.einsum("ai,i->a", told, engaged - rate * weight))[:, None]
        manifest = base_manifest(
            kind="ranker", code_version=self.code_version, seed=seed, data=training.data(), features=training.notes(),
            parameters={"parts": PARTS, "prior": PRIOR, "ridge": RIDGE}, libraries=libraries("numpy"),
        )  # fmt: skip
        return Artefact.of(self.name, manifest, {"cuts.npy": npy_bytes(cuts), "evidence.npy": npy_bytes(evidence)})

    def load(self, artefact):
        return EvidenceScorer(notes_of(artefact), artefact.array("cuts.npy"), artefact.array("evidence.npy"))
