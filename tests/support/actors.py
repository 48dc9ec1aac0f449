"""Actors that the tests of the engine look at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actors.runtime.actor import AsyncioActor
from actors.runtime.lifecycle import revive
from actors.runtime.ref import ActorRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.cell import Cell
    from protocols.control import ExitReason


class Echo(AsyncioActor):
    """Answers with what it got."""

    def on_receive(self, message: Any) -> Any:
        return message


class RecordingActor(AsyncioActor):
    """Writes down what happens to it; raises a message that is an exception."""

    def __init__(self, log: list[Any]) -> None:
        super().__init__()
        self.log = log

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        self.log.append(message)
        return message

    def on_stop(self) -> None:
        self.log.append("on_stop")

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self.log.append("on_failure")


class BlockedActor(AsyncioActor):
    """Waits in its handler until the gate opens, and writes down how the wait ended."""

    def __init__(self, log: list[Any], gate: asyncio.Event | None = None) -> None:
        super().__init__()
        self.log = log
        self.gate = gate or asyncio.Event()

    async def on_receive(self, message: Any) -> Any:
        self.log.append(("begin", message))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.log.append(("cancelled", message))
            raise
        self.log.append(("end", message))
        return message

    def on_stop(self) -> None:
        self.log.append("on_stop")


class UncancellableActor(AsyncioActor):
    """Ignores its cancellation until it is released; then it still tries to send and to answer."""

    def __init__(self, release: asyncio.Event, after: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.release = release
        self.after = after
        self.cancellations = 0

    async def on_receive(self, message: Any) -> Any:
        while not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancellations += 1
        self.after()
        return message


class Restarter(AsyncioActor):
    """The smallest supervisor there can be: revives whatever ends abnormally, at once, as often as told."""

    def __init__(self, limit: int = 1_000_000) -> None:
        super().__init__()
        self.left = limit
        self.ended_children: list[tuple[str, ExitReason]] = []
        self._actor_cell.supervision = self

    def holds(self, child: Cell, reason: ExitReason) -> bool:
        return reason.is_abnormal and self.left > 0

    stops_together = False

    def resumes(self, child: Cell, error: BaseException) -> bool:
        return False

    def in_start_order(self, children: tuple[Cell, ...]) -> tuple[Cell, ...]:
        return children

    def ended(self, event: Any) -> None:
        child: Cell = event.child
        self.ended_children.append((child.name, event.reason))
        if child.state == "restarting":
            self.left -= 1
            revive(child)

    def on_receive(self, message: Any) -> Any:
        return message


class SlowStart(AsyncioActor):
    """Starts when the gate opens."""

    def __init__(self, gate: asyncio.Event, log: list[Any] | None = None) -> None:
        super().__init__()
        self.gate = gate
        self.log = [] if log is None else log

    async def on_start(self) -> None:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise
        self.log.append("started")

    def on_receive(self, message: Any) -> Any:
        self.log.append(message)
        return message

    def on_stop(self) -> None:
        self.log.append("on_stop")


class Asks(AsyncioActor):
    """Asks another actor what it is asked; `timeout` is that of its own ask."""

    def __init__(self, other: ActorRef[Any] | None = None, **options: Any) -> None:
        super().__init__()
        self.other = other
        self.options = options

    async def on_receive(self, message: Any) -> Any:
        if isinstance(message, ActorRef):
            other: Any = message  # pyright: ignore[reportUnknownVariableType]
            self.other = other
            return None
        assert self.other is not None
        return await self.other.ask(message, **self.options)
