"""Ids to codes: a hash table with open addressing."""

from __future__ import annotations

import numpy as np

from rec_platform.timetravel.kernels.compiling import Int32, Int64, Integers, compiled
from rec_platform.timetravel.kernels.search import home_slot


@compiled
def hash_table(ids: Int64, shift: int) -> Int32:
    """An open-addressing table of 2^(64 - shift) slots: the position in `ids`, -1 in free slots."""
    table = np.full(1 << (64 - shift), -1, dtype=np.int32)
    mask = len(table) - 1
    for code in range(len(ids)):
        slot = home_slot(ids[code], shift)
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = code
    return table


@compiled
def hash_codes(table: Int32, ids: Int64, shift: int, wanted: Int64, codes: Int32) -> None:
    """Write the position in `ids` of each wanted id; -1 where it is not there."""
    mask = len(table) - 1
    for i in range(len(wanted)):
        slot = home_slot(wanted[i], shift)
        while table[slot] >= 0 and ids[table[slot]] != wanted[i]:
            slot = (slot + 1) & mask
        codes[i] = table[slot]


@compiled
def place_codes(table: Int32, first: int, wanted: Int64, codes: Int32) -> None:
    """As `hash_codes`, where table[id - first] is the code of each id from `first` on, -1 of one that is not there."""
    for i in range(len(wanted)):
        place = np.uint64(wanted[i] - first)  # of an id before the first: modulo 2^64, so behind every id that there is
        codes[i] = table[place] if place < np.uint64(len(table)) else -1


@compiled
def take_in(table: Int32, ids: Int64, n: int, shift: int, given: Int64, codes: Int32) -> tuple[int, int]:
    """Write the code of each given id; ids never seen get the next codes, in `ids` from position `n` on.

    Stops when half the slots are taken. Returns how many given ids are done and how many ids there are.
    """
    mask = len(table) - 1
    for i in range(len(given)):
        slot = home_slot(given[i], shift)
        while table[slot] >= 0 and ids[table[slot]] != given[i]:
            slot = (slot + 1) & mask
        if table[slot] < 0:
            if 2 * n >= len(table):
                return i, n
            ids[n] = given[i]
            table[slot] = n
            n += 1
        codes[i] = table[slot]
    return len(given), n


@compiled
def take_in_close(table: Int32, first: int, ids: Int64, n: int, given: Int64, codes: Int32) -> int:
    """As `take_in`, where table[id - first] holds each id's code + 1, and 0 where there is none. Returns how many ids."""
    for i in range(len(given)):
        code = table[given[i] - first]
        if code == 0:
            ids[n] = given[i]
            n += 1
            code = table[given[i] - first] = n
        codes[i] = code - 1
    return n


@compiled
def recode(values: Integers, code: Integers) -> None:
    """values[i] = code[values[i]], in place."""
    for i in range(len(values)):
        values[i] = code[values[i]]
