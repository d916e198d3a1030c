"""What is wrong and what is odd in the declarations of a file, the standard set beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rec_platform.features import standard
from rec_platform.features.check.checked import Fault
from rec_platform.features.check.statements import Run
from rec_platform.features.feature_set import FeatureSet, faults

#: Calls that an encoder has no business making: storage, clocks, chance.
_IMPURE: Final = frozenset({
    "open", "exec", "eval", "input", "now", "utcnow", "today", "time", "random", "default_rng", "getenv", "environ",
    "read_parquet", "read_csv", "urlopen", "connect",
})  # fmt: skip


def of_declarations(run: Run, others: FeatureSet) -> Iterator[Fault]:
    """Names, types, units, unknown parameters and rings, the standard set beside them."""
    if run.facts or run.encoders:
        for error in faults([*others.facts, *run.facts], [*others.encoders, *run.encoders]):
            if run.lost & set(re.findall(r"'(\w+)'", error.fault)):
                continue
            own = [name for name in re.findall(r"\w+", f"{error.place} {error.fault}") if run.line_of(name)]
            said = error.fault if error.place == "feature set" else f"{error.place}: {error.fault}"
            yield Fault(said, run.line_of(own[0]) if own else None, error.repair)
    for one in run.encoders:
        for name in ("unit", "about"):
            text = getattr(one, name)
            if not isinstance(text, str) or not text.strip():
                yield Fault(
                    f"encoder {one.name!r}: {name} is {text!r}", run.lines[id(one)],
                    f"Give {name} as a short text; it stands in docs, reports and explanations.",
                )  # fmt: skip


def notes(run: Run) -> Iterator[str]:
    """What is odd in a file and does no harm."""
    read = {name for one in run.encoders for name in one.reads}
    for fact in run.facts:
        if fact.name not in read:
            yield f"fact {fact.name!r} (line {run.lines[id(fact)]}) is read by no encoder, so it is never computed"
        if not fact.about:
            yield f"fact {fact.name!r} (line {run.lines[id(fact)]}) says nothing about itself"
    usual = sorted({one.unit for one in standard.ENCODERS})
    for one in run.encoders:
        if isinstance(one.unit, str) and one.unit and one.unit not in usual:
            yield f"unit {one.unit!r} of {one.name!r} is none of the standard set's: {', '.join(usual)}"
        impure = sorted(_IMPURE & set(getattr(getattr(one.function, "__code__", None), "co_names", ())))
        if impure:
            yield f"encoder {one.name!r} names {', '.join(impure)}: an encoder touches no storage, clock or chance"
