"""A fitted model as files: what is stored, shipped and checked. Data only, no code.

An artefact is a model's name and a few files, one of them `manifest.json`. The manifest names the hash of every other
file, and the table row names the hash of the manifest, so one wrong byte is found before anything is parsed
(measured: a tampered XGBoost file crashes the process at predict). Times of making are not in it: the same inputs
give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rec_platform import columns as c
from rec_platform.errors import ArtefactError
from rec_platform.tables import MODEL_FIELDS

MANIFEST: Final = "manifest.json"
#: What a file of an artefact may be: each is data, none can run code when it is read.
SUFFIXES: Final = (".json", ".npy", ".ubj", ".parquet")
FORMAT: Final = 1

_REPAIR: Final = "Make it again: run the stage that publishes it with --force."


@dataclass(frozen=True)
class Artefact:
    """A fitted model.

    Attributes:
        model: the model's name.
        files: name -> bytes, with `manifest.json` among them.
    """

    model: str
    files: Mapping[str, bytes]

    @classmethod
    def of(cls, model: str, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Artefact:
        """An artefact from its parts: the manifest gets the format, the model's name and every file's hash."""
        for name in files:
            _allowed(model, name)
        whole = {
            **manifest,
            "format": FORMAT,
            "model": model,
            "files": {name: sha256(files[name]) for name in sorted(files)},
        }
        return cls(model, {MANIFEST: json_bytes(whole), **{name: files[name] for name in sorted(files)}})

    @property
    def manifest(self) -> dict[str, Any]:
        """`manifest.json`, parsed."""
        return self.json(MANIFEST)

    def file(self, name: str) -> bytes:
        """A file's bytes; `ArtefactError` naming it and what is there otherwise."""
        if name not in self.files:
            raise ArtefactError(
                f"no file {name!r}; it holds {sorted(self.files)}", place=f"model {self.model}", repair=_REPAIR
            )
        return self.files[name]

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file as a dict."""
        found = json.loads(self.file(name))
        if not isinstance(found, dict):
            raise _fault(self.model, name, "is not a JSON object")
        return found

    def array(self, name: str) -> npt.NDArray[Any]:
        """A `.npy` file as an array; object arrays are refused."""
        try:
            return np.asarray(np.load(io.BytesIO(self.file(name)), allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise _fault(self.model, name, f"is not a plain NumPy array ({error})") from None

    @property
    def sha256(self) -> str:
        """The hash of the manifest, which names the hashes of all other files: the artefact's identity."""
        return sha256(self.file(MANIFEST))


def sha256(payload: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(payload).hexdigest()


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """JSON whose bytes depend on the content alone: sorted keys, no NaN."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False).encode()


def npy_bytes(array: npt.NDArray[Any]) -> bytes:
    """An array in NumPy's own format, C order, data only."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def data_sha256(*arrays: npt.NDArray[Any]) -> str:
    """One hash over the data a model was fitted on: the version of its data that no storage layout can change."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def libraries(*names: str) -> dict[str, str]:
    """Installed versions of the libraries a model was made with, for its manifest."""
    return {name: version(name) for name in sorted(names)}


def to_rows(artefacts: Sequence[Artefact]) -> pa.Table:
    """Artefacts as rows of a model table, in its order (model, file)."""
    rows = sorted(
        (artefact.model, name, sha256(payload), payload)
        for artefact in artefacts
        for name, payload in artefact.files.items()
    )
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    schema = pa.schema(MODEL_FIELDS)
    return pa.table([pa.array(values, kind.type) for values, kind in zip(columns, schema, strict=True)], schema=schema)


def from_rows(rows: pa.Table, *, place: str) -> dict[str, Artefact]:
    """The artefacts of a model table by model name, every hash checked before anything is parsed.

    Args:
        place: the partition the rows come from, for errors.

    Raises:
        ArtefactError: a payload is not what its hash says, a file is missing, unexpected, or of a kind never loaded.
    """
    found: dict[str, dict[str, bytes]] = {}
    for model, name, expected, payload in _values(rows):
        _allowed(model, name, place=place)
        if sha256(payload) != expected:
            raise _fault(model, name, "does not match its SHA-256", place=place)
        found.setdefault(model, {})[name] = payload
    return {model: _checked(Artefact(model, files), place=place) for model, files in found.items()}


def _values(rows: pa.Table) -> Iterator[tuple[str, str, str, bytes]]:
    names = (c.MODEL, "file", "sha256", "payload")
    return zip(*(rows.column(name).to_pylist() for name in names), strict=True)


def _checked(artefact: Artefact, *, place: str) -> Artefact:
    manifest = artefact.manifest
    if manifest.get("format") != FORMAT or manifest.get("model") != artefact.model:
        raise _fault(artefact.model, MANIFEST, f"is of format {manifest.get('format')!r}", place=place)
    listed = manifest.get("files", {})
    for name in sorted(set(listed) | (set(artefact.files) - {MANIFEST})):
        if name not in artefact.files:
            raise _fault(artefact.model, name, "is missing", place=place)
        if listed.get(name) != sha256(artefact.files[name]):
            raise _fault(artefact.model, name, "is not the file its manifest names", place=place)
    return artefact


def _allowed(model: str, name: str, *, place: str = "model being made") -> None:
    if not name.endswith(SUFFIXES) or "/" in name or "\\" in name:
        raise _fault(model, name, f"is of a kind that is never loaded (only {', '.join(SUFFIXES)})", place=place)


def _fault(model: str, name: str, fault: str, *, place: str = "its artefact") -> ArtefactError:
    return ArtefactError(f"file {name!r} of model {model!r} {fault}", place=place, repair=_REPAIR)
