"""Identifiers: UUIDs of version 7 (RFC 9562) as 32 hexadecimal digits: a time, a counter, and 62 random bits.

They grow with time, so an index of stored messages is filled at its end; and the next one cannot be guessed.
"""

import os
import time
from typing import NewType

RunId = NewType("RunId", str)
"""One run of one node; every message and event of that run carries it."""

_BATCH = 256  # the most that two digits count
_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))
_PLACES = [(f"{number:02x}", 16 * number) for number in reversed(range(_BATCH))]
"""Counter of each identifier of a batch, and place of its random digits; the first one last."""

_ready: list[str] = []
"""Unused identifiers: one request to the operating system for many, since one request costs as much as ten. They carry
the time of the request: a look at the clock for each identifier would cost a third of an identifier."""


def new_id() -> str:
    """Return a fresh identifier: 32 lower-case hexadecimal digits, half of them from the system's random source."""
    try:
        return _ready.pop()
    except IndexError:  # also when another thread took the last one
        fresh = _batch()
        _ready.extend(fresh[:-1])
        return fresh[-1]


def _batch() -> list[str]:
    head = f"{time.time_ns() // 1_000_000:012x}70"
    data = bytearray(os.urandom(8 * _BATCH))
    data[::8] = data[::8].translate(_VARIANT)
    digits = data.hex()
    return [f"{head}{counter}{digits[at : at + 16]}" for counter, at in _PLACES]


if hasattr(os, "register_at_fork"):  # parent and child must not hand out the same ones
    os.register_at_fork(after_in_child=_ready.clear)
