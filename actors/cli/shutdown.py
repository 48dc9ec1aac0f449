"""The end of a program that runs until a signal."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from actors.cli.exit_code import ExitCode
from actors.cli.signals import passed_on
from actors.runtime.system import ActorSystem


class Shutdown:
    """The first signal asks for an orderly end. The second signal, or the end of the grace period, cancels all work.

    Make it in the main task of a running loop.
    """

    def __init__(self, grace: float) -> None:
        self.code = ExitCode.OK
        """Exit code of the first cause; OK before."""
        self.reason = ""
        """The first cause as text."""
        self._grace = grace
        self._asked = asyncio.Event()
        self._is_waited_for = False
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Handle the signals of the process inside the block."""
        with passed_on(self.insist):
            try:
                yield
            finally:
                if self._timer is not None:
                    self._timer.cancel()

    def begin(self, code: ExitCode = ExitCode.OK, reason: str = "ended") -> None:
        """Begin the orderly end; only the first cause counts."""
        if self._asked.is_set():
            return
        self.code, self.reason = code, reason
        self._asked.set()
        self._timer = asyncio.get_running_loop().call_later(self._grace, self._hurry)
        if not self._is_waited_for and self._task is not None:  # it has not even started
            self._task.cancel()

    def insist(self, code: ExitCode, reason: str) -> None:
        """Begin the orderly end, or cancel all work if it has begun."""
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
