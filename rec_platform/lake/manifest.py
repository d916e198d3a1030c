"""What a commit says of itself, and what that makes of each partition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

#: The key under which a commit's metadata holds its manifest.
KEY: Final = "rec_platform"
#: `rows` of a partition whose only attempts failed their audit.
NEVER_PUBLISHED: Final = -1


@dataclass(frozen=True)
class Manifest:
    """Who wrote a commit, from what.

    Attributes:
        run_id: the run; also its staging folder's name.
        stage: the stage that made the rows.
        code_version: the stage's integer.
        config: the part of the settings the stage read, as JSON.
        seed: the deployment's seed.
        inputs: the version of every table the stage read.
        libraries: versions of the libraries that can change numbers.
        extra: anything else worth keeping (file hashes of a delivery, partitions used though stale).
    """

    run_id: str
    stage: str
    code_version: int = 1
    config: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    inputs: Mapping[str, int] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, partitions: Mapping[str, Mapping[str, Any]]) -> str:
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps({**body, "partitions": partitions}, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class PartitionState:
    """A partition as the newest commit that names it left it.

    Attributes:
        rows: 0 is a state too: an empty partition has no file.
        content_hash: over the rows in order.
        fingerprint: of what it was made from; equal fingerprint, nothing to do.
        known: content hash per known date (ISO, in order), for tables whose rows say when they became known.
        parts: hashes of the appended parts, for tables that only grow.
        version: the table version that wrote it.
        stale: why a newer attempt failed its audit; readers still have this older good version.
        extra: counts the stage gave.
        lacks: what could not be made of it and why, by name; the rows are without it.
    """

    rows: int
    content_hash: str
    fingerprint: str = ""
    known: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    version: int = 0
    stale: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the newest attempt passed, with all that belongs to it."""
        return not self.stale and not self.lacks

    def to_json(self) -> dict[str, Any]:
        body = {"rows": self.rows, "hash": self.content_hash, "fingerprint": self.fingerprint, "version": self.version}
        optional = {
            "known": self.known, "parts": self.parts, "stale": self.stale, "extra": self.extra, "lacks": self.lacks,
        }  # fmt: skip
        return body | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> PartitionState:
        return cls(
            rows=body["rows"],
            content_hash=body["hash"],
            fingerprint=body.get("fingerprint", ""),
            known=dict(body.get("known", ())),  # Pairs, in homes of before.
            parts=tuple(body.get("parts", ())),
            version=body.get("version", 0),
            stale=body.get("stale", ""),
            extra=body.get("extra", {}),
            lacks=body.get("lacks", {}),
        )

    @property
    def newest_known(self) -> str:
        """The newest known date; '' where the rows have none, or there are no rows."""
        return max(self.known, default="")

    def visible_hash(self, cut: date | None) -> str:
        """The hash of the rows a reader with this cut may see: known before 00:00 UTC of `cut`."""
        if cut is None or not self.known:
            return self.content_hash
        before = cut.isoformat()
        seen = [digest for day, digest in self.known.items() if day < before]
        return hashlib.sha256("".join(seen).encode()).hexdigest() if seen else ""


def parts_hash(parts: tuple[str, ...]) -> str:
    """The content hash of a partition that only grows: the same parts in any order of delivery give the same."""
    return hashlib.sha256("".join(sorted(parts)).encode()).hexdigest()
