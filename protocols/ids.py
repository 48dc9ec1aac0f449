"""Identifiers: 128 random bits as 32 hexadecimal digits, so that the next one cannot be guessed."""

import os
from typing import NewType

RunId = NewType("RunId", str)
"""One run of one node; every message and event of that run carries it."""

_DIGITS = 32
_BATCH = 64

_ready: list[str] = []
"""Unused identifiers: one request to the operating system for many, since one request costs as much as ten."""


def new_id() -> str:
    """Return a fresh identifier: 32 lower-case hexadecimal digits from the operating system's random source."""
    try:
        return _ready.pop()
    except IndexError:  # also when another thread took the last one
        digits = os.urandom(_DIGITS // 2 * _BATCH).hex()
        fresh = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
        _ready.extend(fresh[1:])
        return fresh[0]


if hasattr(os, "register_at_fork"):  # parent and child must not hand out the same ones
    os.register_at_fork(after_in_child=_ready.clear)
