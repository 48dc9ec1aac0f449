"""Garbage collection while a pool is made: its nodes stay, so looking at them again and again finds nothing."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

RARELY: Final = 50_000
"""New objects after which they are looked through while pools are made; 10,000 agents open in 1.7 s instead of 2.5."""

_usual: list[int] = []
"""What the threshold was before, once for each pool that is being made now."""


@contextmanager
def rare_collection() -> Generator[None]:
    """Have the objects of this process looked through less often, and as before in the end."""
    now, *others = gc.get_threshold()
    _usual.append(_usual[-1] if _usual else now)
    if 0 < now < RARELY:
        gc.set_threshold(RARELY, *others)
    try:
        yield
    finally:
        usual = _usual.pop()
        if not _usual and gc.get_threshold()[0] == RARELY:  # else another part of the process has chosen meanwhile
            gc.set_threshold(usual, *others)
