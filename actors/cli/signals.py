"""The signals that end a command: what the first two do is for the command to say, the third ends the process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from actors.cli.exit_code import ExitCode
from actors.cli.progress import to_stderr

_CAUSES: Final = {
    signal.SIGINT: (ExitCode.INTERRUPTED, "interrupted"),
    signal.SIGTERM: (ExitCode.TERMINATED, "terminated"),
}
_MOST: Final = 3
"""Signals after which nothing is waited for; a function that blocks the event loop keeps it from hearing of them."""


@contextmanager
def passed_on(told: Callable[[ExitCode, str], object]) -> Generator[None]:
    """Tell of SIGINT and SIGTERM inside the block, on the running event loop; outside the main thread of nothing."""
    loop = asyncio.get_running_loop()
    count = 0

    def come(number: int, _frame: object) -> None:
        nonlocal count
        count += 1
        code, word = _CAUSES[signal.Signals(number)]
        if count > _MOST:  # the end is near
            return
        if count == _MOST:
            to_stderr(f"understudy: {word}, without an orderly end")
            os._exit(code)
        loop.call_soon_threadsafe(told, code, word)

    before: dict[signal.Signals, object] = {}
    try:
        for number in _CAUSES:
            before[number] = signal.signal(number, come)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - as it was
