"""Rankers of a user's files: the example keeps the contract, files that cannot be meant are refused by line."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rec_platform import columns as c
from rec_platform.config import RankerConfig, RecommendConfig, Settings
from rec_platform.errors import ArtefactError, ConfigError, NumericError, SchemaError
from rec_platform.evaluation.stage import Metrics
from rec_platform.models.artefact import Artefact
from rec_platform.models.contract import RankerTrainer
from rec_platform.models.own import declared_in
from rec_platform.models.registry import known_rankers, load_scorer, ranker_trainers, score_scales
from rec_platform.models.stage import RankerModels
from rec_platform.models.training import with_both_labels
from rec_platform.pipeline import Sources
from rec_platform.scoring.stage import Recommendations
from rec_platform.testing.model_contract import NOTES, RankerContract, made_frame, stored

EXAMPLE = Path(__file__).parents[2] / "examples" / "rankers" / "evidence.py"
IMPORTS = """
from dataclasses import dataclass
import numpy as np
from rec_platform.models.artefact import Artefact
from rec_platform.models.contract import RankerTrainer, Scorer, base_manifest, column
from rec_platform.models.logistic import LogisticTrainer
from rec_platform.models.training import TrainingFrames, notes_of
"""
#: A ranker by its first feature.
FIRST = (
    IMPORTS
    + """
@dataclass(frozen=True)
class FirstScorer(Scorer):
    notes: tuple
    name = "first"

    @property
    def features(self):
        return self.notes

    def score(self, frame):
        return np.nan_to_num(column(frame, self.notes[0].name)).astype(float)

    def contributions(self, frame, rows):
        return np.zeros((len(rows), len(self.notes)))


class FirstTrainer(RankerTrainer):
    name = "first"
    code_version = 1

    def fit(self, frames, *, features, config, seed):
        training = TrainingFrames.of(frames, features, max_items=config.max_items, seed=seed)
        manifest = base_manifest(
            kind="ranker", code_version=1, seed=seed, data=training.data(), features=training.notes(), parameters={}
        )
        return Artefact.of(self.name, manifest, {}) if training.n_items else None

    def load(self, artefact):
        return FirstScorer(notes_of(artefact))
"""
)


class TestEvidence(RankerContract):
    trainer = declared_in(str(EXAMPLE))[0]


def file(folder: Path, source: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return str(path)


def first(folder: Path, old: str = "", new: str = "") -> RankerTrainer:
    """The ranker of `FIRST` with a change."""
    assert old in FIRST
    return declared_in(file(folder, FIRST.replace(old, new) if old else FIRST))[0]


def fitted(trainer: RankerTrainer) -> Artefact:
    made = trainer.fit([made_frame()], features=NOTES, config=RankerConfig(), seed=7)
    assert made is not None
    return made


def test_evidence_of_a_feature_is_what_it_says() -> None:
    """The feature `signal` alone, no sampling: each part's rate against that of all, drawn to it by 50 items, times a weight."""
    frame = with_both_labels(made_frame(contexts=200))
    ones = np.ones(frame.n_items)
    frame = frame.with_items({c.WEIGHT: ones, c.ITEM_INCLUSION_PROBABILITY: ones})
    artefact = TestEvidence.trainer.fit([frame], features=NOTES[:1], config=RankerConfig(), seed=7)
    assert artefact is not None
    signal = np.asarray(frame.features.column("signal"))
    label = np.asarray(frame.item(c.LABEL))
    cuts = [sorted(signal)[0], *np.quantile(signal, np.arange(1, 10) / 10), np.inf]
    inside = [(signal >= low) & (signal < high) for low, high in pairwise(cuts)]
    told = [np.log((label[one].sum() + 50 * label.mean()) / (one.sum() + 50) / label.mean()) for one in inside]
    of_item = np.array(told) @ np.array(inside)
    weight = np.cov(of_item, label, bias=True)[0, 1] / (np.var(of_item) + 0.01)
    assert weight > 0
    assert artefact.array("evidence.npy")[0, :10] == pytest.approx(weight * np.array(told))
    assert artefact.array("evidence.npy")[0, 10] == 0  # nothing is missing: nothing is known of missing ones


def test_rankers_of_files_are_fitted_beside_those_named(tmp_path: Path) -> None:
    files = (file(tmp_path, FIRST), str(EXAMPLE))
    config = RankerConfig(models=("xgboost",), files=files)
    assert list(ranker_trainers(config)) == ["xgboost", "first", "evidence"]
    assert list(ranker_trainers(RankerConfig(models=("first", "xgboost"), files=files[:1]))) == ["first", "xgboost"]
    with pytest.raises(ConfigError, match=r"no ranker 'second'.*Rankers: logistic, xgboost, first"):
        ranker_trainers(RankerConfig(models=("second",), files=files[:1]))


def test_a_stored_model_is_read_by_the_file_that_made_it(tmp_path: Path) -> None:
    files = [file(tmp_path, FIRST)]
    artefact = stored(fitted(known_rankers(files)["first"]))
    frame = made_frame(seed=2)
    scores = load_scorer(artefact, files).apply(frame, Sources()).scores.column("first")
    assert np.array_equal(scores, np.asarray(frame.features.column("signal"), dtype=np.float64))
    file(tmp_path, "# A comment is no other code.\n" + FIRST)
    load_scorer(artefact, files)
    file(tmp_path, FIRST.replace("np.nan_to_num(", "-np.nan_to_num("))
    with pytest.raises(ArtefactError, match=r"other code than the file holds now .*mine\.py.*rec-platform run"):
        load_scorer(artefact, files)
    with pytest.raises(ArtefactError, match=r"\[rankers\] files does not name.*model first.*Name the file again"):
        load_scorer(artefact)
    Path(files[0]).unlink()
    with pytest.raises(ConfigError, match=r"cannot be read.*mine\.py.*\[rankers\] files"):
        load_scorer(artefact, files)


def test_a_name_that_makes_no_lists_is_refused_when_they_are_planned(tmp_path: Path) -> None:
    mine, lists = file(tmp_path, FIRST), RecommendConfig(models=("first", "popularity"))
    Recommendations().config(Settings(recommend=lists, rankers=RankerConfig(files=(mine,))))
    with pytest.raises(
        ConfigError, match=r"no model 'first' \(recommend\.models\)\. Models: logistic, xgboost, random"
    ):
        Recommendations().config(Settings(recommend=lists))


def test_what_the_stage_is_made_from_follows_the_code_and_nothing_else(tmp_path: Path) -> None:
    def config(*files: str) -> object:
        return RankerModels().config(Settings(rankers=RankerConfig(files=files)))

    before = config(file(tmp_path, FIRST))
    assert before == config(file(tmp_path, FIRST + "\n# the end\n", "moved.py"))
    assert before != config(file(tmp_path, FIRST.replace("np.zeros", "np.ones")))
    assert "own" not in config()  # as it was before there were such files
    assert "files" not in config()["rankers"]


def test_scales_of_files_are_known(tmp_path: Path) -> None:
    mine = file(tmp_path, FIRST.replace("code_version = 1", "code_version = 1\n    scale = 'probability'"))
    assert score_scales([mine]) == score_scales() | {"first": "probability"}
    with_scale, without = (Settings(rankers=RankerConfig(files=files)) for files in ((mine,), (str(EXAMPLE),)))
    assert Metrics().config(with_scale)["scales"] == {"first": "probability"}
    assert Metrics().config(without) == Metrics().config(Settings())  # ranks alone: their numbers hang on scores only


def test_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    for name in ("xgboost", "popularity", "collaborative", "random", "ceiling"):
        mine = file(tmp_path, FIRST.replace('name = "first"', f'name = "{name}"'))
        with pytest.raises(
            ConfigError,
            match=rf"a model '{name}' is there already, of the platform \(ranker file .*mine\.py, line 25\)",
        ):
            known_rankers([mine])
    both = [file(tmp_path, FIRST), file(tmp_path, FIRST, "yours.py")]
    with pytest.raises(
        ConfigError, match=r"'first' is there already, of .*mine\.py \(ranker file .*yours\.py, line 25\)"
    ):
        known_rankers(both)
    assert "first" in known_rankers([both[0], both[0]])  # one file named twice is one


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = (", "line 1: not Python"),
        ("x = 1\ny = x / 0\n", "line 2: ZeroDivisionError"),
        ("import nothing_of_this_name\n", "line 1: ModuleNotFoundError"),
        ("from numpy import linalg, nothing\n", "line 1: ImportError"),
        ("import sys\nsys.exit(3)\n", "line 2: SystemExit: 3"),
        ("x = 'a\x00b'\n", "null bytes"),
        (IMPORTS, "no ranker in it"),
        (IMPORTS + "class Half(RankerTrainer):\n    name = 'half'\n", "line 8: class Half has no fit, load"),
        (FIRST.replace("RankerTrainer):\n    name = ", "RankerTrainer):\n    title = "), "None is no `name`"),
        (FIRST.replace('name = "first"\n    code', 'name = "My ranker"\n    code'), "'My ranker' is no `name`"),
        (FIRST.replace("    code_version = 1\n", ""), "line 25: class FirstTrainer: None is no `code_version`"),
        (FIRST.replace("code_version = 1\n", "code_version = 1\n    scale = 'percent'\n"), "'percent' is no `scale`"),
        (
            FIRST.replace("    def fit(", "    def __init__(self, depth):\n        pass\n\n    def fit("),
            "cannot be made",
        ),
    ],
)
def test_files_that_declare_no_ranker_are_refused(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        declared_in(file(tmp_path, source))
    assert said in refused.value.fault
    assert "mine.py" in refused.value.place
    assert refused.value.repair


def test_a_base_class_of_the_file_is_no_ranker(tmp_path: Path) -> None:
    """Neither where it lacks a method, nor where it has all and only no name."""
    base = "class Base(RankerTrainer):\n    code_version = 1\n\n\nclass FirstTrainer(Base)"
    whole = (
        FIRST.replace('Trainer):\n    name = "first"\n', "Trainer):\n") + "\n\nclass Mine(FirstTrainer):\n    name = "
    )
    for source in (FIRST.replace("class FirstTrainer(RankerTrainer)", base), f"{whole}'first'\n"):
        assert [one.name for one in declared_in(file(tmp_path, source))] == ["first"]


def test_variants_are_rankers_beside_what_they_build_on_and_need_names(tmp_path: Path) -> None:
    more = "\n\nclass Second(FirstTrainer):\n    name = 'second'\n"
    assert [(one.name, one.line) for one in declared_in(file(tmp_path, FIRST + more))] == [
        ("first", 25),
        ("second", 40),
    ]
    with pytest.raises(ConfigError, match="line 40: class Second has the name of FirstTrainer, 'first'"):
        declared_in(file(tmp_path, FIRST + more.replace("second", "first")))


def test_a_mark_of_the_byte_order_is_no_code(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_bytes(b"\xef\xbb\xbf" + FIRST.encode())
    assert declared_in(str(tmp_path / "mine.py"))[0].code == declared_in(file(tmp_path, FIRST, "other.py"))[0].code


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("training = TrainingFrames.of(", "training = None.of(", "line 30: AttributeError"),
        ("return Artefact.of(self.name, manifest, {}) if", "return 7 if", "`fit` of ranker 'first' returned int"),
        ("Artefact.of(self.name, manifest", "Artefact.of('second', manifest", "returned an artefact of model 'second'"),
        ("features=training.notes(), ", "", "has no 'features'"),
        ("return FirstScorer(notes_of(artefact))", "return None", "`load` of ranker 'first' returned NoneType"),
        ('notes: tuple\n    name = "first"', 'notes: tuple\n    name = "second"', "returned the scorer 'second'"),
        ("    def contributions(self, frame, rows):\n        return np.zeros((len(rows), len(self.notes)))\n", "",
         "TypeError: Can't instantiate abstract class FirstScorer"),
        ("np.zeros((len(rows), len(self.notes)))", "np.zeros(len(rows))", "explained"),
        (".astype(float)", ".astype(float)[:3]", "gave float64 of shape (3,)"),
        (".astype(float)", ".astype(str)", "gave <U"),
        ("np.nan_to_num(column", "abs(column", "gave the score nan where every feature is missing"),
        ("np.zeros((len(rows), len(self.notes)))", "np.stack([column(frame, one.name)[rows] for one in self.notes], 1)",
         "gave a contribution nan"),
        ("manifest, {})", "manifest, {'w.npy': np.ones(2)})", "file 'w.npy' of ranker 'first' is ndarray, not bytes"),
        ("        return Art", "        frames[0].offsets[-1] -= 1\n        return Art", "writes into the frames"),
        ("    code_version = 1\n\n", "    code_version = 1\n    scale = 'probability'\n\n", "which is no probability"),
        ("        return np.nan_to_num", "        frame.offsets[1] -= 1\n        return np.nan_to_num",
         "which other models score"),
        ("        return np.nan_to_num", "        np.asarray(frame.item('label'))[:] = 0\n        return np.nan_to_num",
         "line 19: ValueError: assignment destination is read-only"),
        ("return self.notes\n", "return list(self.notes)\n", "`features` of the scorer 'first' are no tuple"),
        ("return self.notes\n", "return self.nothing\n", "line 16: AttributeError"),
        ("return FirstScorer(notes_of(artefact))", "return FirstScorer(self.notes)", "has no attribute 'notes'"),
        ("np.nan_to_num(column(frame, self.notes[0].name)).astype(float)",
         "np.nan_to_num(frame.feature_matrix(tuple(n.name for n in self.notes))) @ (np.ones(4, np.float32) / np.float32(3))",
         "other last digits"),
        (".astype(float)", ".astype(float) - frame.n_items", "another score among other contexts"),
    ],
)  # fmt: skip
def test_a_ranker_that_cannot_score_is_refused_when_it_is_fitted(tmp_path: Path, old: str, new: str, said: str) -> None:
    trainer = first(tmp_path, old, new)
    with pytest.raises(ConfigError) as refused:
        fitted(trainer)
    assert said in refused.value.fault
    assert "mine.py" in refused.value.place


def test_a_fit_leaves_nothing_to_its_scorer_but_the_artefact(tmp_path: Path) -> None:
    """What `fit` sets on its instance is not there in the process that scores, so it is not there when it is tried."""
    keeps = "        training = TrainingFrames.of("
    trainer = first(tmp_path, keeps, "        self.notes = tuple(features)\n" + keeps)
    assert trainer.load(fitted(trainer)).features == NOTES
    loads = "return FirstScorer(notes_of(artefact))"
    source = (tmp_path / "mine.py").read_text().replace(loads, "return FirstScorer(self.notes)")
    with pytest.raises(ConfigError, match="line 38: AttributeError"):
        fitted(declared_in(file(tmp_path, source))[0])


def test_where_files_stand_is_nothing_that_a_fit_is_told(tmp_path: Path) -> None:
    trainer = first(tmp_path, "parameters={}", "parameters=config.model_dump(mode='json')")
    made = [
        trainer.fit([made_frame()], features=NOTES, config=RankerConfig(files=files), seed=7)
        for files in ((), (str(tmp_path),))
    ]
    assert made[0] is not None
    assert made[0] == made[1]


def test_errors_of_the_platform_stay_what_they_are_and_say_the_line(tmp_path: Path) -> None:
    trainer = first(tmp_path, "column(frame, self.notes[0].name)", "column(frame, 'singal')")
    with pytest.raises(SchemaError, match="singal") as refused:
        fitted(trainer)
    assert refused.value.place.endswith("mine.py, line 19")


def test_nothing_that_could_run_code_is_stored(tmp_path: Path) -> None:
    trainer = first(tmp_path, "manifest, {})", "manifest, {'model.pickle': b''})")
    with pytest.raises(ArtefactError, match=r"'model\.pickle' of model 'first' is of a kind that is never loaded"):
        fitted(trainer)


def test_a_score_that_is_not_finite_later_names_model_and_context(tmp_path: Path) -> None:
    trainer = first(
        tmp_path,
        "np.nan_to_num(column(frame, self.notes[0].name))",
        "1 / np.nan_to_num(column(frame, self.notes[0].name), nan=1)",
    )
    scorer, frame = trainer.load(fitted(trainer)), made_frame()
    zero = frame.with_features({"signal": np.zeros(frame.n_items, np.float32)})
    with np.errstate(divide="ignore"), pytest.raises(NumericError, match="model first gave the score inf in context"):
        scorer.apply(zero, Sources())


# --- modules beside a file -------------------------------------------------------------------------------------------

#: `FIRST` with its score in a module of its own.
APART = FIRST.replace(
    "from dataclasses import dataclass\n", "from dataclasses import dataclass\nfrom parts import score_of\n"
)
APART = APART.replace(
    "np.nan_to_num(column(frame, self.notes[0].name)).astype(float)", "score_of(frame, self.notes[0].name)"
)
PARTS = """
from dataclasses import dataclass
import numpy as np
import factors

@dataclass
class Times:
    factor: float

def score_of(frame, name):
    from rec_platform.models.contract import column
    return Times(factors.ONE).factor * np.nan_to_num(column(frame, name)).astype(float)
"""


def apart(folder: Path, parts: str = PARTS, factors: str = "ONE = 1.0\n") -> str:
    folder.mkdir(exist_ok=True)
    file(folder, parts, "parts.py")
    file(folder, factors, "factors.py")
    return file(folder, APART)


def test_modules_beside_a_file_are_part_of_it(tmp_path: Path) -> None:
    """Also those that they import, in a function or not; whatever else stands in the folder is not."""
    files = [apart(tmp_path)]
    (trainer,) = declared_in(files[0])
    artefact, frame = stored(fitted(trainer)), made_frame(seed=2)
    assert trainer.imports == ("factors", "parts")
    assert np.array_equal(trainer.load(artefact).score(frame), np.asarray(frame.features.column("signal"), dtype=float))
    apart(tmp_path, "# A comment\n" + PARTS, '"""Factors."""\nONE = 1.0\n')
    file(tmp_path, "ONE = 2.0\n", "others.py")
    load_scorer(artefact, files)
    apart(tmp_path, factors="ONE = 2.0\n")
    with pytest.raises(ArtefactError, match="other code than the file holds now"):
        load_scorer(artefact, files)
    (again,) = declared_in(files[0])
    assert np.array_equal(again.load(stored(fitted(again))).score(frame), 2 * trainer.load(artefact).score(frame))


def test_modules_of_two_folders_do_not_meet(tmp_path: Path) -> None:
    frame = made_frame(seed=2)
    here, there = (declared_in(apart(tmp_path / str(n), factors=f"ONE = {n}.0\n"))[0] for n in (1, 3))
    scores = [one.load(fitted(one)).score(frame) for one in (here, there, here)]
    assert np.array_equal(3 * scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2])
    assert not {"parts", "factors"} & set(sys.modules)


def test_what_is_run_is_what_was_read(tmp_path: Path) -> None:
    """A module imported in a function, when it is called: the file was changed since, and is gone."""
    lazy = PARTS.replace("import factors\n", "").replace("    from rec_", "    import factors\n    from rec_")
    (trainer,) = declared_in(apart(tmp_path, lazy))
    (tmp_path / "factors.py").unlink()
    artefact, frame = fitted(trainer), made_frame(seed=2)
    assert np.array_equal(trainer.load(artefact).score(frame), np.asarray(frame.features.column("signal"), dtype=float))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("x = 1\ny = x / 0\n", "parts.py, line 2: ZeroDivisionError"),
        ("x = (\n", "parts.py, line 1: not Python"),
        ("import nothing_of_this_name\n", "parts.py, line 1: ModuleNotFoundError"),
        (
            "import factors.more\n",
            "parts.py, line 1: ModuleNotFoundError: No module named 'factors.more'; factors.py is not",
        ),
        ("x = 1\n", "line 3: ImportError: cannot import name 'score_of'"),
    ],
)
def test_faults_of_modules_beside_a_file_are_named_there(tmp_path: Path, parts: str, said: str) -> None:
    for _ in range(2):  # nothing half made is left from the first time
        with pytest.raises(ConfigError) as refused:
            declared_in(apart(tmp_path, parts))
        assert refused.value.fault.startswith(said)


def test_modules_may_import_each_other_and_all_names(tmp_path: Path) -> None:
    both = PARTS.replace("import factors\n", "from factors import *\n").replace("factors.ONE", "ONE")
    (trainer,) = declared_in(apart(tmp_path, both, "import parts\nONE = 1.0\n"))
    fitted(trainer)
