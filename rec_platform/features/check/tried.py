"""Encoders, tried on a small drawn past: the same numbers twice, nothing written into, each row as it would be alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from rec_platform import columns as c
from rec_platform.clock import DAY
from rec_platform.errors import PlatformError
from rec_platform.features.check.checked import Fault
from rec_platform.features.check.statements import Run
from rec_platform.features.encoders import COLUMNS, Array, Encoder
from rec_platform.features.encoding import encoded
from rec_platform.features.feature_set import FeatureSet
from rec_platform.features.sample import LAST, Sample
from rec_platform.timetravel.kernels import NONE
from rec_platform.timetravel.reading import compute

_ALONE: Final = 7
#: Days from an instant to one that is not there are more.
_FAR: Final = 1e7


def of_encoders(run: Run, others: FeatureSet) -> Iterator[Fault]:
    """What goes wrong when encoders are run; those that read something unknown, or another faulty one, are left out."""
    sound = _sound(run, others)
    if not sound:
        return
    whole = FeatureSet((*others.facts, *run.facts), (*others.encoders, *sound))
    features = whole.select([one.name for one in sound])
    sample = Sample.drawn()
    for one, arguments in arguments_of(features, values_of(features, sample), np.diff(sample.frame.offsets)):
        if one not in run.encoders:
            continue
        for fault, repair in list(impurities(one, arguments)) or company(one, stirred(arguments)):
            yield Fault(f"encoder {one.name!r}: {fault}", run.lines[id(one)], repair)


def arguments_of(
    features: FeatureSet, values: Mapping[str, Array], lengths: Array
) -> Iterator[tuple[Encoder, list[Array]]]:
    """Each encoder with what it is given, in order; those that read one which fails are left out.

    Args:
        values: facts and columns by name, a value per context or item.
        lengths: the number of items of each context.
    """
    known = dict(values)
    for one in features.order:
        if any(name not in known for name in one.reads):
            continue
        wide = features.feature_level(one.name) == "item"
        arguments = [
            np.repeat(known[name], lengths) if wide and features.level(name) == "context" else known[name]
            for name in one.reads
        ]
        yield one, arguments
        with contextlib.suppress(PlatformError), np.errstate(all="ignore"):
            known.setdefault(one.name, encoded(one, [values.copy() for values in arguments]))


def _sound(run: Run, others: FeatureSet) -> list[Encoder]:
    """Of a file's encoders, the ones that can be run with what is declared: names known and unique, no rings."""
    facts = [fact.name for fact in (*others.facts, *run.facts)]
    if len(set(facts)) < len(facts) or set(facts) & set(COLUMNS):
        return []
    names = [one.name for one in (*others.encoders, *run.encoders)]
    ready = {*COLUMNS, *facts, *(one.name for one in others.encoders)}
    left, sound = [one for one in run.encoders if names.count(one.name) == 1], list[Encoder]()
    while fit := [one for one in left if set(one.reads) <= ready]:
        sound += fit
        ready |= {one.name for one in fit}
        left = [one for one in left if one not in fit]
    return [one for one in run.encoders if one in sound]


def values_of(features: FeatureSet, sample: Sample) -> dict[str, Array]:
    """The facts and columns that a set reads, of the sample's contexts and items."""
    frame = sample.frame
    asked = {"profile_id": frame.context(c.PROFILE), "country": frame.context(c.COUNTRY), "at": frame.context(c.AT),
             "offsets": frame.offsets, "title_id": frame.item(c.TITLE)}  # fmt: skip
    found: dict[str, Array] = dict(compute(sample.timeline(features.needed), features.needed, **asked))
    columns = {n: frame.context(n) if level == "context" else frame.item(n) for n, level in COLUMNS.items()}
    return {**columns, **found}


def impurities(one: Encoder, arguments: list[Array]) -> Iterator[tuple[str, str]]:
    """What is wrong with an encoder's answers: (fault, repair)."""
    given = [values.copy() for values in arguments]
    with np.errstate(all="ignore"):
        try:
            first = encoded(one, given).copy()
        except PlatformError as error:
            yield error.fault, error.repair
            return
        touched = [name for name, a, b in zip(one.reads, given, arguments, strict=True) if not _same(a, b)]
        if touched:
            yield f"it writes into {', '.join(touched)}", "Make a copy first: np.where, or values.copy()."
            return
        if not _same(first, encoded(one, [values.copy() for values in arguments])):
            yield (
                "it gave other numbers for the same rows",
                "Let it depend on its parameters alone: no chance, no clock.",
            )
            return
        yield from company(one, arguments)
        yield from reckoned(one, arguments, first)


def reckoned(one: Encoder, arguments: list[Array], first: Array) -> Iterator[tuple[str, str]]:
    """Whether it reckons with `NONE`: its number is huge there, and the same for the instant beside it, which is no sign."""
    none = {name: values == NONE for name, values in zip(one.reads, arguments, strict=True) if values.dtype == np.int64}
    beside = [
        np.where(values == NONE, NONE + 1, values) if values.dtype == np.int64 else values for values in arguments
    ]
    with contextlib.suppress(PlatformError):
        again = encoded(one, [values.copy() for values in beside]).astype(np.float64)
        huge = (np.abs(again) > _FAR) & np.isclose(again, first.astype(np.float64), rtol=1e-9, atol=0)
        for name, there in none.items():
            for row in np.flatnonzero(huge & there)[:1]:
                yield (
                    f"it gives {first[row]:.3g} where there is no {name}: it reckoned with NONE, which stands there",
                    "Give NaN there: days_since(instant, at), or np.where(instant == NONE, np.nan, ...).",
                )


def company(one: Encoder, arguments: list[Array]) -> Iterator[tuple[str, str]]:
    """Whether a row's number depends on the rows beside it: (fault, repair). What cannot be run at all says nothing here."""
    with np.errstate(all="ignore"), contextlib.suppress(PlatformError):
        first = encoded(one, [values.copy() for values in arguments])
        if not _same(first[::_ALONE], _alone(one, [values[::_ALONE].copy() for values in arguments], first)):
            yield (
                "it gave a row other numbers when other rows stood beside it",
                "Work element by element: no sums, means, ranks or sorting over rows; declare a fact for those.",
            )


def stirred(arguments: list[Array]) -> list[Array]:
    """Arguments with numbers where one is the same in every row: a window or filter that nothing of the drawn past falls into.

    A mean over rows that are all 0 is not seen. Such rows may be impossible (more plays in an hour than in a week), so nothing
    but `company` is asked of them.
    """
    return [
        _varied(values) if len(values) and _same(values, np.full_like(values, values[0])) else values
        for values in arguments
    ]


def _varied(values: Array) -> Array:
    steps = np.arange(len(values)) % 5
    if values.dtype.kind == "f":
        return steps.astype(values.dtype)
    return LAST - steps * DAY if values.dtype == np.int64 else values


def _alone(one: Encoder, rows: list[Array], first: Array) -> Array:
    """Some rows again, each by itself; an encoder that cannot do that gives NaN of another kind: an empty array."""
    try:
        parts = [encoded(one, [values[i : i + 1] for values in rows]) for i in range(len(rows[0]))]
    except PlatformError:
        return first[:0]
    return np.concatenate(parts)


def _same(left: Array, right: Array) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return bool(((left == right) | ((left != left) & (right != right))).all())
