"""Opt-in handling of SIGTERM and SIGINT: the first ends a system in order, the second ends its patience."""

import asyncio
import signal
import threading
from collections.abc import Iterable
from typing import Self

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

    async def __aenter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            message = "signals can only be handled on the main thread; run this event loop there"
            raise RuntimeError(message)
        for number in self._signals:
            self._system.loop.add_signal_handler(number, self.receive, number)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for number in self._signals:
            self._system.loop.remove_signal_handler(number)

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
