"""Signals that end a command. The command handles the first two; the third ends the process."""

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
"""Signals after which the process ends at once: a blocked event loop does not hear them."""


@contextmanager
def passed_on(told: Callable[[ExitCode, str], object]) -> Generator[None]:
    """Handle SIGINT and SIGTERM inside the block, on the running loop. Only the main thread can."""
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
