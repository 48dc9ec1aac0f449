"""What a life is told to do, and the log of what happened in all lives."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from msgspec import Struct

DIED = 70
"""How a process ends that has ended itself where it was told to."""
FAULT = 98
"""How a process ends in which an exception was raised that no life should see."""
PATIENCE = 120
"""Seconds after which a life that hangs is ended, so that its test fails."""

JOURNAL = "path: shop.journal, reserve: 1MiB"
"""Where a life has its journal, and how, as in a manifest."""


class Order(Struct, frozen=True, kw_only=True):
    """One life."""

    folder: str
    play: str = "shop"
    journal: str = JOURNAL
    life: int = 0
    death: tuple[str, int] | None = None
    """How it ends, and when: at the n-th ``line`` or ``effect``, at a ``moment`` in microseconds, or at a named point;
    None for a life that handles all that is open and ends in order."""
    messages: int = 6
    """How many messages each sender sends."""
    concurrency: int = 8
    deliveries: int = 1_000
    """Lives that die this often so early would by chance set some messages aside."""
    mutation: str = ""
    """A fault that is built in."""


class Log:
    """An append-only file. What a life has written there has happened, whenever the life ends."""

    def __init__(self, order: Order) -> None:
        self._life = order.life
        self._file = os.open(Path(order.folder) / "log", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        self._effects_left = order.death[1] if order.death is not None and order.death[0] == "effect" else 0

    def __call__(self, what: str, *values: Any) -> None:
        """Add a line, and die if it is the effect of which the life dies."""
        os.write(self._file, json.dumps([self._life, what, *values]).encode() + b"\n")
        if what == "effect" and self._effects_left:
            self._effects_left -= 1
            if not self._effects_left:
                die()


def die() -> None:
    """End this process as a crash does."""
    os.kill(os.getpid(), signal.SIGKILL)


def read_log(folder: Path) -> list[list[Any]]:
    """Return the lines of all lives: number of the life, what happened, and more."""
    file = folder / "log"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
