"""Artefacts: hashes before parsing, no pickle, the same bytes for the same content."""

import json

import numpy as np
import pyarrow as pa
import pytest

from rec_platform.errors import ArtefactError
from rec_platform.models.artefact import MANIFEST, Artefact, from_rows, npy_bytes, sha256, to_rows
from rec_platform.models.registry import load_candidate_model, load_scorer
from rec_platform.tables import RANKER_MODELS


def made(model: str = "small") -> Artefact:
    return Artefact.of(model, {"kind": "ranker", "seed": 1}, {"weights.npy": npy_bytes(np.arange(3.0))})


def edited(rows: pa.Table, file: str, payload: bytes, *, sha: str | None = None) -> pa.Table:
    values = rows.to_pylist()
    for row in values:
        if row["file"] == file:
            row.update(payload=payload, sha256=sha or row["sha256"])
    return pa.Table.from_pylist(values, schema=rows.schema)


def test_rows_are_of_the_declared_table_in_its_order():
    rows = to_rows([made("b"), made("a")])
    RANKER_MODELS.check(rows.schema)
    keys = list(zip(rows["model"].to_pylist(), rows["file"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert from_rows(rows, place="test") == {"a": made("a"), "b": made("b")}


def test_no_artefact_is_no_row():
    assert to_rows([]).num_rows == 0
    assert from_rows(to_rows([]), place="test") == {}


def test_a_changed_byte_is_refused_naming_file_and_repair():
    rows = edited(to_rows([made()]), "weights.npy", npy_bytes(np.arange(4.0)))
    with pytest.raises(ArtefactError, match=r"weights\.npy.*SHA-256.*2025-03-10.*--force"):
        from_rows(rows, place="ranker_models 2025-03-10")


def test_a_changed_file_with_a_hash_to_match_is_still_refused_by_the_manifest():
    payload = npy_bytes(np.arange(4.0))
    rows = edited(to_rows([made()]), "weights.npy", payload, sha=sha256(payload))
    with pytest.raises(ArtefactError, match="not the file its manifest names"):
        from_rows(rows, place="test")


def test_a_missing_and_an_unexpected_file_are_refused():
    rows = to_rows([made()])
    with pytest.raises(ArtefactError, match=r"weights\.npy.*missing"):
        from_rows(rows.slice(0, 1), place="test")
    more = Artefact("small", {**made().files, "other.npy": npy_bytes(np.zeros(1))})
    with pytest.raises(ArtefactError, match=r"other\.npy"):
        from_rows(to_rows([more]), place="test")


@pytest.mark.parametrize("name", ["model.pkl", "../weights.npy", "weights.joblib"])
def test_files_that_could_run_code_or_leave_the_folder_are_refused(name):
    with pytest.raises(ArtefactError, match="never loaded"):
        Artefact.of("small", {}, {name: b"x"})


def test_a_pickled_array_is_refused():
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    artefact = Artefact.of("small", {}, {"weights.npy": buffer.getvalue()})
    with pytest.raises(ArtefactError, match="not a plain NumPy array"):
        artefact.array("weights.npy")


def test_another_format_is_refused():
    manifest = {**made().manifest, "format": 99}
    payload = json.dumps(manifest).encode()
    rows = edited(to_rows([made()]), MANIFEST, payload, sha=sha256(payload))
    with pytest.raises(ArtefactError, match="format 99"):
        from_rows(rows, place="test")


def test_models_of_unknown_name_or_other_code_version_are_refused():
    with pytest.raises(ArtefactError, match="no ranker of that name"):
        load_scorer(made())
    with pytest.raises(ArtefactError, match="no candidate model of that name"):
        load_candidate_model(made())
    old = Artefact.of("logistic", {"code_version": 0}, {})
    with pytest.raises(ArtefactError, match="made by code version 0"):
        load_scorer(old)
