"""The end of a program that runs until a signal tells it to end."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from actors.cli.exit_code import ExitCode
from actors.runtime.system import ActorSystem

if TYPE_CHECKING:
    from collections.abc import Generator

_CODES: Final = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Ending:
    """The first signal asks for an orderly end; a second one, or the end of the grace period, cancels what still works.

    Make it in the main task of a running loop.
    """

    def __init__(self, grace: float) -> None:
        """Take the seconds that an orderly end may take."""
        self.code = ExitCode.OK
        """Exit code that belongs to the signal; OK until one has come."""
        self._grace = grace
        self._asked = asyncio.Event()
        self._is_waited_for = False
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Take the signals of the process inside the block."""
        loop = asyncio.get_running_loop()
        for number, code in _CODES.items():
            with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
                loop.add_signal_handler(number, self.begin, code)
        try:
            yield
        finally:
            for number in _CODES:
                with suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.remove_signal_handler(number)
            if self._timer is not None:
                self._timer.cancel()

    def begin(self, code: ExitCode = ExitCode.OK) -> None:
        """End in order; asked for again, end at once."""
        if self._asked.is_set():
            self._hurry()
            return
        self.code = code
        self._asked.set()
        self._timer = asyncio.get_running_loop().call_later(self._grace, self._hurry)
        if not self._is_waited_for and self._task is not None:  # it has not even started
            self._task.cancel()

    async def wait(self) -> None:
        """Wait until the end is asked for."""
        self._is_waited_for = True
        await self._asked.wait()

    @staticmethod
    def _hurry() -> None:
        ActorSystem.of(asyncio.get_running_loop()).hurry()
