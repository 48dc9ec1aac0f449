"""The end of a command by signals. The command handles the first two; the third ends the process."""

import asyncio
import os
import signal
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from actors.cli.exit_code import ExitCode
from actors.runtime.system import ActorSystem

_CAUSES: Final[dict[int, tuple[ExitCode, str]]] = {
    signal.SIGINT: (ExitCode.INTERRUPTED, "interrupted"),
    signal.SIGTERM: (ExitCode.TERMINATED, "terminated"),
}
_MOST: Final = 3
"""Signals after which the process ends at once: a blocked event loop does not hear them."""


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
        self._signals = 0
        self._asked = asyncio.Event()
        self._is_waited_for = False
        self._task = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def listening(self) -> Generator[None]:
        """Handle SIGINT and SIGTERM inside the block. Only the main thread can."""
        loop = asyncio.get_running_loop()

        def come(number: int, _frame: object) -> None:
            self._signals += 1
            if self._signals < _MOST:
                loop.call_soon_threadsafe(self.insist, *_CAUSES[number])
                return
            # Little stands between the signal and the end, for in a flood each call may be interrupted by the next
            # signal. The text does not go through the stream: the signal may have interrupted a write to it.
            code, word = _CAUSES[number]
            with suppress(OSError):
                os.write(2, f"understage: {word}, without an orderly end\n".encode())
            os._exit(code)

        before: dict[int, object] = {}
        with ExitStack() as stack:
            with suppress(ValueError):  # not the main thread
                stack.enter_context(_woken_by_signals(loop))
                for number in _CAUSES:
                    before[number] = signal.signal(number, come)
            try:
                yield
            finally:
                if self._timer is not None:
                    self._timer.cancel()
                for number, handler in before.items():
                    signal.signal(number, handler)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - as it was

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


@contextmanager
def _woken_by_signals(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Have each signal wake the loop by a byte.

    Python calls a handler when the main thread runs. A signal that another thread gets, or that comes as the loop
    begins to wait, would be heard at the next event only, which in an idle program never comes.
    """
    reading, writing = socket.socketpair()
    with reading, writing:
        reading.setblocking(False)
        writing.setblocking(False)
        before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        try:
            loop.add_reader(reading, reading.recv, 4096)
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reading)
