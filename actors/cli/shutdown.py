"""The end of a program that runs until a signal tells it to end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from actors.cli.exit_code import ExitCode
from actors.cli.signals import passed_on
from actors.runtime.system import ActorSystem

if TYPE_CHECKING:
    from collections.abc import Generator


class Shutdown:
    """The first signal asks for an orderly end; a second one, or the end of the grace period, cancels what still works.

    Make it in the main task of a running loop.
    """

    def __init__(self, grace: float) -> None:
        """Take the seconds that an orderly end may take."""
        self.code = ExitCode.OK
        """Exit code that belongs to the first cause; OK until there is one."""
        self.reason = ""
        """The first cause in words."""
        self._grace = grace
        self._asked = asyncio.Event()
        self._is_waited_for = False
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Take the signals of the process inside the block."""
        with passed_on(self.insist):
            try:
                yield
            finally:
                if self._timer is not None:
                    self._timer.cancel()

    def begin(self, code: ExitCode = ExitCode.OK, reason: str = "ended") -> None:
        """End in order; only the first cause counts."""
        if self._asked.is_set():
            return
        self.code, self.reason = code, reason
        self._asked.set()
        self._timer = asyncio.get_running_loop().call_later(self._grace, self._hurry)
        if not self._is_waited_for and self._task is not None:  # it has not even started
            self._task.cancel()

    def insist(self, code: ExitCode, reason: str) -> None:
        """End in order; if that has begun, for whatever cause, end at once."""
        if self._asked.is_set():
            self._hurry()
        else:
            self.begin(code, reason)

    async def wait(self) -> None:
        """Wait until the end is asked for."""
        self._is_waited_for = True
        await self._asked.wait()

    @staticmethod
    def _hurry() -> None:
        ActorSystem.of(asyncio.get_running_loop()).hurry()
