"""Opt-in handling of SIGTERM and SIGINT: the first ends a system in order, the second ends its patience."""

import asyncio
import signal
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

from actors.runtime.system import ActorSystem


class SignalHandling:
    """An async context within which signals close the system.

    Example:
        ```python
        async with ActorSystem("service") as system, SignalHandling(system) as signals:
            ...
            await signals.closed()   # returns when a signal ended the system
        ```
    """

    def __init__(
        self, system: ActorSystem, signals: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
    ) -> None:
        self._system = system
        self._signals = tuple(signals)
        self.received: list[signal.Signals] = []
        """Signals that came, in order."""
        self._ended: asyncio.Future[list[str]] | None = None
        self._came = asyncio.Event()
        self._before: dict[signal.Signals, Any] = {}
        """The handlers that were found, and are given back."""

    async def __aenter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signals can only be handled on the main thread; run this event loop there")
        for number in self._signals:
            self._before[number] = signal.signal(number, self._come)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        while self._before:
            number, before = self._before.popitem()
            # Handlers that were set by other code meanwhile stay, and so do those that Python cannot set.
            if signal.getsignal(number) == self._come and before is not None:
                signal.signal(number, before)

    def _come(self, number: int, _frame: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, and the system with it
            self._system.loop.call_soon_threadsafe(self.receive, signal.Signals(number))

    def receive(self, number: signal.Signals) -> None:
        """Act on a signal (also to be called by an application with signal handlers of its own)."""
        self.received.append(number)
        if len(self.received) == 1:
            self._ended = self._system.begin_close()
            self._came.set()
        else:
            self._system.hurry()

    async def closed(self) -> list[str]:
        """Wait until a signal ended the system.

        Returns:
            The names of actors that had to be cut loose.
        """
        await self._came.wait()
        assert self._ended is not None
        return await asyncio.shield(self._ended)
