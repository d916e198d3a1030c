"""Ids: a source's integers stay, its texts become stable 63-bit numbers."""

from __future__ import annotations

import hashlib
import re
from typing import Final, Literal

from rec_platform.errors import KeyRefused

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}(\.0*)?")
_LARGEST: Final = 2**63 - 1


def text_hash(text: str) -> int:
    """The first 8 bytes of the text's MD5 as a big-endian number, shifted right by one bit: from 0 to 2^63 - 1.

    >>> text_hash("abc")
    5188331815612000216
    """
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8], "big") >> 1


def id_of(text: str, kind: Literal["integer", "text"], *, place: str) -> int:
    """The id that stands in every table for a source's id; `KeyRefused` where an integer is declared and none is given.

    >>> id_of("17850.0", "integer", place="--profile"), id_of("u7", "text", place="--profile") == text_hash("u7")
    (17850, True)
    """
    text = text.strip(" ")
    if kind == "text" and text:
        return text_hash(text)
    if _WHOLE.fullmatch(text) and abs(int(text.partition(".")[0])) <= _LARGEST:
        return int(text.partition(".")[0])
    raise KeyRefused(f"{text!r} is not an id", place=place, repair="The mapping declares whole numbers, such as 17850.")
