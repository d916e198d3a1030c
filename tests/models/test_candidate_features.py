"""Candidate scores as features: each context from the models of its own date."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from rec_platform import clock
from rec_platform import columns as c
from rec_platform.config import CandidateConfig, Settings
from rec_platform.dmc12.frame import Frame
from rec_platform.errors import ConfigError
from rec_platform.models.artefact import to_rows
from rec_platform.models.candidate_features import AddCandidateFeatures, CandidateFeatures, CandidateModelsByDay
from rec_platform.models.collaborative import CollaborativeTrainer
from rec_platform.models.popularity import PopularityTrainer
from rec_platform.partition import Partition
from rec_platform.pipeline import Sources
from rec_platform.tables import INSTANT, TITLES
from rec_platform.testing.model_contract import AS_OF, made_plays
from rec_platform.testing.readers import MemoryReader

CONFIG = CandidateConfig(embedding_size=4, epochs=3, popularity_days=28)
NO_TITLES = TITLES.schema.empty_table()


def artefacts(day: date):
    trainers = (CollaborativeTrainer(), PopularityTrainer())
    return [t.fit(made_plays(), as_of=day, titles=NO_TITLES, config=CONFIG, seed=1) for t in trainers]


def frame_of(days: list[date], titles: tuple[int, ...] = (0, 25, 999)) -> Frame:
    at = pa.array([clock.midnight(day) + 20 * clock.HOUR for day in days], pa.int64()).cast(INSTANT)
    n = len(days)
    contexts = pa.table(
        {c.PROFILE: np.arange(n), c.COUNTRY: pa.array(["FR"] * n), c.CONTEXT_ID: np.arange(n), c.AT: at}
    )
    items = {c.TITLE: np.tile(np.array(titles), n)}
    return Frame.of(contexts, np.arange(n + 1) * len(titles), items=items)


def added(frame: Frame, models: CandidateModelsByDay) -> dict[str, list[float]]:
    return AddCandidateFeatures().apply(frame, Sources(models)).features.to_pydict()


def test_a_context_reads_the_newest_models_not_after_its_date():
    older, newer = AS_OF - timedelta(days=5), AS_OF
    both = CandidateModelsByDay.of({older: artefacts(older), newer: artefacts(newer)})
    days = [AS_OF - timedelta(days=3), AS_OF, AS_OF + timedelta(days=2)]
    got = added(frame_of(days), both)
    assert got["candidate_age_days"] == [2.0] * 3 + [0.0] * 3 + [2.0] * 3
    only_old = added(frame_of(days), CandidateModelsByDay.of({older: artefacts(older)}))
    assert got["candidate_popularity"][:3] == only_old["candidate_popularity"][:3]
    assert got["candidate_popularity"][3:6] != only_old["candidate_popularity"][3:6]


def test_without_a_model_young_enough_all_are_missing():
    models = CandidateModelsByDay.of({AS_OF: artefacts(AS_OF)})
    got = added(frame_of([AS_OF - timedelta(days=1), AS_OF + timedelta(days=8)]), models)
    assert all(np.isnan(values).all() for values in got.values())


def test_unknown_profiles_and_titles_score_0_and_say_so():
    models = CandidateModelsByDay.of({AS_OF: artefacts(AS_OF)})
    got = added(frame_of([AS_OF]), models)
    assert got["candidate_known"] == [1.0, 1.0, 0.0]
    assert got["candidate_collaborative"][2] == 0.0
    assert got["candidate_popularity"][2] == 0.0


def test_popularity_is_the_smoothed_share_by_hand():
    plays = made_plays().slice(0, 0).schema.empty_table()
    row = made_plays().slice(0, 1).to_pylist()[0]
    at = clock.midnight(AS_OF) - clock.DAY
    rows = [
        {**row, c.TITLE: title, c.COUNTRY: country, c.PLAYED_AT: at, c.KNOWN_AT: at}
        for title, country, n in ((1, "FR", 3), (2, "FR", 1), (2, "GB", 4))
        for _ in range(n)
    ]
    plays = pa.Table.from_pylist(rows, schema=plays.schema)
    trainer = PopularityTrainer()
    model = trainer.load(trainer.fit(plays, as_of=AS_OF, titles=NO_TITLES, config=CONFIG, seed=1))
    # 8 plays in the world, 3 of title 1; 4 plays in FR, 3 of title 1; smoothing 200 plays.
    assert model.shares[0, 0] == pytest.approx(1000 * (3 + 200 * 3 / 8) / (4 + 200))
    assert model.shares[2, 0] == pytest.approx(1000 * 3 / 8)


def test_the_collaborative_model_finds_the_planted_taste():
    trainer = CollaborativeTrainer()
    model = trainer.load(artefacts(AS_OF)[0])
    scores = model.profile_vectors[:-1] @ model.title_vectors[:-1].T
    own_half = (np.arange(60)[:, None] % 2) == (np.arange(40)[None, :] // 20)
    assert scores[own_half].mean() > 5 * abs(scores[~own_half].mean())


def test_the_extension_reads_only_the_days_it_names():
    reader = MemoryReader(
        {"candidate_models": {Partition(day): to_rows(artefacts(day)) for day in (AS_OF, AS_OF - timedelta(days=20))}}
    )
    extension, settings = CandidateFeatures(), Settings()
    (wanted,) = extension.inputs(Partition(AS_OF, "FR"), settings)
    assert (wanted.first, wanted.last, wanted.optional) == (AS_OF - timedelta(days=7), AS_OF, True)
    steps, sources = extension.steps(reader, [AS_OF, AS_OF + timedelta(days=1)], settings)
    (models,) = sources
    assert list(models.days) == [AS_OF]
    assert steps == (AddCandidateFeatures(),)


class Noting(MemoryReader):
    """Remembers the dates whose models were read."""

    def read(self, table, partitions, columns=None):
        wanted = list(partitions)
        self.dates = [*getattr(self, "dates", []), *(partition.day for partition in wanted)]
        return super().read(table, wanted, columns)


def test_models_are_read_when_contexts_ask_for_them_and_few_stay():
    days = [AS_OF + timedelta(days=number) for number in range(4)]
    reader = Noting({"candidate_models": {Partition(day): to_rows(artefacts(day)) for day in days}})
    lazy = CandidateModelsByDay.read(reader, days)
    assert list(lazy.days) == days and not hasattr(reader, "dates")
    loaded = CandidateModelsByDay.of({day: artefacts(day) for day in days})
    assert added(frame_of(days), lazy) == added(frame_of(days), loaded)
    for day in (*days, days[-1], days[-2], days[0]):
        lazy.for_day(day)
    assert reader.dates == [*days, *days, days[0]]
    with pytest.raises(KeyError):
        lazy.days[AS_OF - timedelta(days=1)]


def test_a_missing_source_is_named():
    with pytest.raises(ConfigError, match="CandidateModelsByDay"):
        AddCandidateFeatures().apply(frame_of([AS_OF]), Sources())
