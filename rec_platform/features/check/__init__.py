"""A feature file, checked before anything is run with it: every fault at once, each with its line and its repair.

The file is run statement by statement, so that one that fails does not hide the next. What it declares is checked as a
whole together with the standard set, and its encoders are tried on a small drawn past (`rec_platform/features/sample.py`)
in which every fact is somewhere 0, missing or `NONE`. An encoder must give the same numbers twice, must not write into
what it is given, and must give each row what it would give it alone: the platform cuts rows into chunks as it likes.

    statements.py   runs the file
    declared.py     judges what it declares
    tried.py        tries its encoders
    checked.py      what is said of it all
"""

from __future__ import annotations

import re
from pathlib import Path

from rec_platform.errors import ConfigError
from rec_platform.features.check.checked import CheckedFile, Fault, FaultyFile, said
from rec_platform.features.check.declared import notes, of_declarations
from rec_platform.features.check.statements import Run
from rec_platform.features.check.tried import (
    arguments_of,
    company,
    impurities,
    of_encoders,
    reckoned,
    stirred,
    values_of,
)
from rec_platform.features.feature_set import FeatureSet
from rec_platform.features.own_file import FEATURES, OwnFile

__all__ = [
    "CheckedFile",
    "Fault",
    "FaultyFile",
    "arguments_of",
    "check_file",
    "company",
    "impurities",
    "reckoned",
    "said",
    "stirred",
    "values_of",
]


def check_file(file: Path, *, beside: FeatureSet | None = None) -> CheckedFile:
    """Everything that can be said of a feature file. A file that cannot be read is one fault, too.

    Args:
        beside: the features it is used together with; the standard set if not given.
    """
    others = FeatureSet.standard() if beside is None else beside
    try:
        ran = Run.of(OwnFile.read(FEATURES, file))
    except ConfigError as error:
        line = re.match(r"line (\d+): ", error.fault)
        fault = Fault(error.fault[line.end() if line else 0 :], int(line[1]) if line else None, error.repair)
        return CheckedFile(file, (), (), {}, (fault,), ())
    found = [*ran.faults, *of_declarations(ran, others)]
    if not ran.facts and not ran.encoders and not found:
        found.append(Fault("it declares no facts and no encoders", None, "See docs/features.md."))
    found += of_encoders(ran, others)
    found.sort(key=lambda one: (one.line or 0, one.fault))
    return CheckedFile(file, tuple(ran.facts), tuple(ran.encoders), ran.lines, tuple(found), tuple(notes(ran)))
