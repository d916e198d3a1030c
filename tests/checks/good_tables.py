"""A small partition of every table that holds to all rules, for the tests of the checks to break."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from rec_platform import clock, tables
from rec_platform import columns as c
from rec_platform.dmc12.frame import Frame, nested
from rec_platform.tables import TableSpec

DAY = date(2025, 3, 10)
MIDNIGHT = clock.midnight(DAY)
HOUR = clock.HOUR
Rows = dict[str, list[Any]]


def typed(spec: TableSpec, rows: Mapping[str, list[Any]]) -> pa.Table:
    """Rows as a table with the spec's types; nulls are let through, as a faulty stage might."""
    fields = [pa.field(field.name, field.type) for field in spec.schema]
    return pa.table([pa.array(rows[field.name], field.type) for field in fields], schema=pa.schema(fields))


def landing() -> Rows:
    return {
        c.FILE_HASH: ["aa", "aa"], c.FILE_NAME: ["a.csv"] * 2, c.LINE: [1, 2],
        c.DELIVERED_AT: [MIDNIGHT] * 2, c.DELIVERED: ["{}"] * 2,
    }  # fmt: skip


def raw_plays() -> Rows:
    n = 4
    played = [MIDNIGHT + hour * HOUR for hour in (1, 2, 2, 23)]
    return {
        c.PLAY_ID: [1, 2, 3, 4], c.EVENT: ["play"] * 3 + ["shown"], c.PROFILE: [7, 7, 8, 7], c.TITLE: [1, 2, 2, 3],
        c.PLAYED_AT: played, c.KNOWN_AT: [at + HOUR for at in played], c.WATCHED_MS: [1000, None, 0, 5],
        c.RUNTIME_MS: [9000, None, 1, 1], c.ENGAGED: [True, None, False, None], c.SESSION_ID: [None] * n,
        c.DEVICE: ["tv", None, "tv", "tv"], c.REQUEST_ID: [None] * n, c.SURFACE: [None] * n, c.ROW: [0, None, 1, 2],
        c.POSITION: [0, None, 1, 2], c.PROPENSITY: [1.0, None, 0.001, 0.5],
    }  # fmt: skip


def raw_counts(delivered: int = 7, duplicates: int = 1, missing_id: int = 2) -> dict[str, Any]:
    accepted = delivered - duplicates - missing_id
    return {
        "delivered": delivered, "accepted": accepted, "duplicates": duplicates, "quarantined": {"missing_id": missing_id}
    }  # fmt: skip


def quarantined_plays() -> Rows:
    return {**landing(), c.RULE: ["missing_id"] * 2, c.DETAIL: ["user_id is empty"] * 2}


def titles() -> Rows:
    return {
        c.TITLE: [1, 2], c.KNOWN_AT: [0, 0], c.SOURCE_ID: ["1", "2"], c.NAME: ["One", None], c.GENRES: [["drama"], []],
        c.TAGS: [[], []], c.RUNTIME_MS: [1000, None], c.RELEASED_AT: [0, None],
    }  # fmt: skip


def profiles() -> Rows:
    return {
        c.PROFILE: [7, 8], c.KNOWN_AT: [0, 0], c.SOURCE_ID: ["7", "8"], c.SIGNUP_AT: [0, None], c.HOME_COUNTRY: ["FR", None]
    }  # fmt: skip


def availability() -> Rows:
    return {
        c.TITLE: [1, 2], c.COUNTRY: ["FR", "FR"], c.AVAILABLE_FROM: [0, 0], c.AVAILABLE_TO: [None, 5], c.KNOWN_AT: [0, 0]
    }  # fmt: skip


def play_facts() -> Rows:
    raw = raw_plays()
    kept = {name: raw[name][:3] for name in tables.PLAY_FACTS.schema.names}
    return {**kept, c.ENGAGED: [1, 0, 0], c.WATCHED_MS: [1000, 0, 0], c.DEVICE: ["tv", "unknown", "tv"]}


def title_tiles() -> Rows:
    return {
        c.KNOWN_DATE: [DAY, DAY], c.TITLE: [1, 2], c.PLAYS: [1, 2], c.WATCHED_MS: [1000, 0], c.ENGAGED_PLAYS: [1, 0],
        c.LAST_PLAYED_AT: [MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR],
    }  # fmt: skip


def profile_tiles() -> Rows:
    return {
        c.KNOWN_DATE: [DAY, DAY], c.PROFILE: [7, 8], c.PLAYS: [2, 1], c.WATCHED_MS: [1000, 0], c.ENGAGED_PLAYS: [1, 0],
        c.LAST_PLAYED_AT: [MIDNIGHT + 2 * HOUR] * 2,
    }  # fmt: skip


def _windows(scope: str = "") -> Rows:
    """Two rows: one with plays of growing windows, one with none."""
    values = {c.PLAYS: (0, 2, 3, 4), c.WATCHED_MS: (0, 10, 20, 20), c.ENGAGED_PLAYS: (0, 1, 1, 3)}
    return {
        c.windowed(measure, days, scope): [value, 0]
        for measure, per_window in values.items()
        for days, value in zip(tables.WINDOWS, per_window, strict=True)
    }


def profile_snapshot() -> Rows:
    last = {c.LAST_PLAYED_AT: [MIDNIGHT - 26 * HOUR, None]}
    return {c.PROFILE: [7, 8], **_windows(), c.windowed(c.PLAYS, 90, "country"): [2, 0], **last}


def title_snapshot() -> Rows:
    return {c.TITLE: [1, 2], **_windows("country"), **_windows(), c.LAST_PLAYED_AT: [MIDNIGHT - 26 * HOUR, None]}


def contexts(country: str = "FR", n: int = 4) -> Rows:
    return {
        c.PROFILE: list(range(n)), c.CONTEXT_ID: list(range(100, 100 + n)),
        c.AT: [MIDNIGHT + place * clock.MINUTE for place in range(n)], c.DEVICE: ["tv"] * n, c.TENURE_DAYS: [0.0] * n,
        c.TENURE_BAND: ["new"] * n, c.ACTIVITY_BAND: ["none"] * n, c.STRATUM: [f"{country}/new"] * n,
        c.INCLUSION_PROBABILITY: [0.5] * n, c.KNOWN_BY: ["then"] * n, c.NEWEST_PLAYED_AT: [MIDNIGHT - 2] * n,
        c.NEWEST_KNOWN_AT: [None, *[MIDNIGHT - 1] * (n - 1)],
    }  # fmt: skip


Columns = dict[str, Any]
Change = Callable[[Columns, Columns], None]


def dmc12(country: str, n: int, change: Change | None, *, scores: bool) -> pa.Table:
    """`n` contexts of 3 items, the first of them the positive, broken by `change(context columns, item columns)`.

    Item columns are flat; those of inner structs are written `struct.leaf`.
    """
    rows: Columns = {**contexts(country, n), c.DMC12_NAMES[c.COUNTRY]: [country] * n}
    m, noise = 3 * n, np.random.default_rng(0)
    items: Columns = {
        c.TITLE: np.tile([1, 2, 3], n), c.LABEL: np.tile([1.0, 0.0, 0.0], n), c.WEIGHT: np.ones(m),
        c.ITEM_INCLUSION_PROBABILITY: np.tile([1.0, 0.5, 0.5], n), "offsets": np.arange(0, m + 1, 3),
    }  # fmt: skip
    if scores:
        rows[c.N_CANDIDATES] = [2] * n
        items |= {
            c.REACHABLE: np.tile([True, True, False], n), "scores.random": np.zeros(m),
            "n_above.random": np.tile([0, 0, 2], n), "n_equal.random": np.tile([1, 1, 0], n),
        }  # fmt: skip
        items[c.LABEL] = np.tile([1.0, 0.0, 1.0], n)
    else:
        items |= {"features.plays_28d": noise.random(m), "features.days_since": np.tile([np.nan, 1.0, np.nan], n)}
    if change:
        change(rows, items)
    return _nested(tables.SCORES_TABLE if scores else tables.TRAINING_SETS, rows, items)


def _nested(spec: TableSpec, rows: Columns, items: Columns) -> pa.Table:
    structs: dict[str, dict[str, Any]] = {}
    for name, values in items.items():
        struct, dot, leaf = name.partition(".")
        if dot:
            structs.setdefault(struct, {})[leaf] = values
    plain = {name: values for name, values in items.items() if "." not in name and name != "offsets"}
    contexts_ = pa.table([pa.array(rows[f.name], f.type) for f in spec.schema if f.name != c.ITEMS],
                         names=[name for name in spec.schema.names if name != c.ITEMS])  # fmt: skip
    frame = Frame.of(contexts_, items["offsets"], items=plain)
    return nested(
        frame, item_columns=tuple(plain), structs={name: pa.table(leaves) for name, leaves in structs.items()}
    ).cast(_loose(spec, structs), safe=True)


def _loose(spec: TableSpec, structs: Mapping[str, Mapping[str, Any]]) -> pa.Schema:
    kinds = {name: pa.struct([(leaf, pa.float64()) for leaf in leaves]) for name, leaves in structs.items()}
    element = spec.schema.field(c.ITEMS).type.value_type
    inner = pa.struct([pa.field(f.name, kinds.get(f.name, f.type)) for f in element])
    return pa.schema([pa.field(f.name, pa.list_(inner) if f.name == c.ITEMS else f.type) for f in spec.schema])


def models() -> Rows:
    manifest = json.dumps({"data": {"as_of": DAY.isoformat()}}).encode()
    payloads = [manifest, b"\x93NUMPY"]
    return {
        c.MODEL: ["popularity"] * 2, "file": ["manifest.json", "weights.npy"],
        "sha256": [hashlib.sha256(payload).hexdigest() for payload in payloads], "payload": payloads,
    }  # fmt: skip


def _metric_keys(n: int) -> Rows:
    return {
        "protocol": ["session"] * n, "estimand": ["context"] * n, c.MODEL: ["popularity"] * n,
        c.METRIC: ["ndcg"] * n, c.CUTOFF: list(range(n)), c.SLICE: ["all"] * n, c.SLICE_VALUE: ["all"] * n,
    }  # fmt: skip


def metrics() -> Rows:
    nan = float("nan")
    return {
        **_metric_keys(3), c.VALUE: [0.1, 1.0, nan], c.LOW: [0.05, nan, nan], c.HIGH: [0.2, nan, nan],
        c.DETECTABLE: [nan] * 3, c.N: [40, 3, 0], c.N_EXCLUDED: [1, 0, 0], c.N_UNREACHABLE: [0, 0, 0], "rules": ["{}"] * 3,
    }  # fmt: skip


def metric_sums() -> Rows:
    return {
        **_metric_keys(2), "kind": ["mean", "tally"], "population": ["positive", "any"], "seed": [1, 1],
        c.N: [4, 4], c.N_EXCLUDED: [0, 0], c.N_UNREACHABLE: [0, 0], "total": [5, 9], "replicates": [[1, 2], []],
        "by_group": [[3, 2], []], "rules": ["{}"] * 2,
        "cells": [[], [1, 2]], "groups": [[], [1, 1]], "weights": [[], [4, 4]],
    }  # fmt: skip


def recommendations() -> Rows:
    return {
        c.PROFILE: [7, 7, 8], c.RANK: [1, 2, 1], c.TITLE: [1, 2, 1], c.SCORE: [0.5, 0.5, 0.9],
        c.MODEL: ["xgboost"] * 3, c.REASONS: [["liked"], [], []],
    }  # fmt: skip


FLAT: dict[str, Callable[[], Rows]] = {
    **{spec.name: landing for spec in tables.TABLES if spec.stage == "landing"},
    "raw_plays": raw_plays, "quarantined_plays": quarantined_plays, "titles": titles, "profiles": profiles,
    "availability": availability, "play_facts": play_facts, "title_tiles": title_tiles, "profile_tiles": profile_tiles,
    "profile_snapshot": profile_snapshot, "title_snapshot": title_snapshot, "contexts": contexts,
    "candidate_models": models, "ranker_models": models, "metrics": metrics, "metric_sums": metric_sums,
    "recommendations": recommendations,
}  # fmt: skip


def good(table: str, country: str = "FR", n: int = 4) -> pa.Table:
    """The good partition of a table."""
    if table == "contexts":
        return typed(tables.CONTEXTS, contexts(country, n))
    if table in ("training_sets", "scores"):
        return dmc12(country, n, None, scores=table == "scores")
    return typed(tables.table(table), FLAT[table]())


def extra_of(table: str) -> dict[str, Any]:
    return raw_counts() if table in ("raw_plays", "quarantined_plays") else {}
