"""The code that docs/models.md prints: its model passes the contract suite, its requests get a batch's scores."""

import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from rec_platform import columns as c
from rec_platform.config import RankerConfig, SourceRules
from rec_platform.dmc12.frame import concat
from rec_platform.features import FeatureGenerator, FeatureSet
from rec_platform.features.sample import Sample
from rec_platform.models.boosted_trees import BoostedTreesTrainer
from rec_platform.models.candidate_features import AddCandidateFeatures, CandidateModelsByDay
from rec_platform.models.contract import FeatureNote
from rec_platform.models.registry import load_scorer, ranker_trainers
from rec_platform.pipeline import Pipeline, Sources
from rec_platform.tables import PROFILES
from rec_platform.testing.model_contract import NOTES, RankerContract, made_frame
from rec_platform.timetravel.reading import timeline_of

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def printed(line: str) -> str:
    """The page's code block that has a line."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (source,) = [block for block in blocks if line in block]
    return source


def printed_module(line: str, **given: object) -> ModuleType:
    """The page's code block that has a line, as a module; `given` are names it takes as given."""
    source = printed(line)
    module = ModuleType(f"printed_{len(sys.modules)}")
    sys.modules[module.__name__] = module
    module.__dict__.update(given)
    exec(compile(source, str(PAGE), "exec"), module.__dict__)
    return module


class TestSign(RankerContract):
    trainer = printed_module("class SignTrainer(RankerTrainer)").SignTrainer()


def test_it_is_a_file_for_the_settings_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "sign.py"
    file.write_text(printed("class SignTrainer(RankerTrainer)"), encoding="utf-8")
    (trainer,) = ranker_trainers(RankerConfig(models=(), files=(str(file),))).values()
    made = trainer.fit([made_frame()], features=NOTES, config=RankerConfig(), seed=1)
    assert load_scorer(made, [str(file)]).name == "sign"


def test_requests_are_answered_as_a_batch_is() -> None:
    sample, rng, features = Sample.drawn(plays=400, contexts=40), np.random.default_rng(1), FeatureSet.standard()
    timeline = timeline_of(
        sample.plays, sample.titles, PROFILES.schema.empty_table(), sample.availability, rules=SourceRules(),
        facts=features.needed,
    )  # fmt: skip
    models = CandidateModelsByDay()
    steps, sources = [FeatureGenerator(features), AddCandidateFeatures()], Sources(timeline, models)
    frame = Pipeline(steps).apply(sample.frame, sources)
    ones = np.ones(frame.n_items)
    drawn = {
        c.LABEL: rng.integers(0, 2, frame.n_items).astype(float),
        c.WEIGHT: ones,
        c.ITEM_INCLUSION_PROBABILITY: ones,
    }
    trainer, notes = BoostedTreesTrainer(), [FeatureNote(name, name) for name in frame.features.column_names]
    made = trainer.fit([frame.with_items(drawn)], features=notes, config=RankerConfig(n_trees=20), seed=1)
    scorer = trainer.load(made)
    page = printed_module(
        "LiveFeatures(feature_set", feature_set=features, timeline=timeline, candidate_models=models, scorer=scorer,
        countries=sorted(set(sample.frame.context(c.COUNTRY))),
    )  # fmt: skip
    batch = Pipeline([*steps, scorer]).apply(sample.frame, sources)
    found = concat([page.answer(sample.frame.take(np.array([row]))) for row in range(sample.frame.n_contexts)])
    assert len(set(found.scores.column("xgboost").to_pylist())) > 20
    assert found.scores.equals(batch.scores)
    assert found.items.equals(batch.items)
