"""From what a source calls a country to its ISO 3166-1 alpha-2 code."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import pyarrow as pa
import pycountry

from rec_platform.partition import UNKNOWN_COUNTRY
from rec_platform.plays.mapping import CountryRule

#: What may stand in a country's name: anything else (`*`, `../x`) is no name, and the row is unreadable.
NAME_PATTERN: Final = r"[\p{L}][\p{L}\p{M} .,'’()&-]*"


def country_codes(rule: CountryRule) -> pa.Table:
    """The table `text` -> `code` of a rule: codes stand as written, names in lower case; overrides come first."""
    known = dict(_iso_names() if rule.kind == "name" else _iso_codes())
    own = {text.lower() if rule.kind == "name" else text: code for text, code in rule.overrides.items()}
    known |= own
    return pa.table({"text": pa.array(known, pa.string()), "code": pa.array(known.values(), pa.string())})


@lru_cache(maxsize=1)
def _iso_codes() -> dict[str, str]:
    return {country.alpha_2: country.alpha_2 for country in pycountry.countries} | {UNKNOWN_COUNTRY: UNKNOWN_COUNTRY}


@lru_cache(maxsize=1)
def _iso_names() -> dict[str, str]:
    """Every name pycountry has for a country (short, official, common) and its two codes, in lower case."""
    return {
        str(name).lower(): country.alpha_2
        for country in pycountry.countries
        for name in (
            country.alpha_2,
            country.alpha_3,
            country.name,
            getattr(country, "official_name", country.name),
            getattr(country, "common_name", country.name),
        )
    }
