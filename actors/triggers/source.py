"""`TriggerSource`: the parent of actors that watch for events. The end of the watch is a crash, for the supervisor."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.future import AsyncioFuture
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.owned_tasks import PendingTask
from actors.triggers.trigger import Trigger
from protocols.triggers import TriggerError


class Ready(msgspec.Struct, frozen=True):
    """Ask whether a source watches. The reply is True as soon as it does, or the error with which it ends first."""


class _WatchEnded(msgspec.Struct, frozen=True):
    error: BaseException | None


class TriggerSource(AsyncioActor):
    """Watches something for one or several triggers, and offers them events.

    A source starts at once and opens its port, server or folder afterwards. A port that is taken or a server that is
    down is a crash after the start, and the supervisor restarts the source with backoff.
    """

    mailbox: ClassVar[MailboxConfig | None] = MailboxConfig(capacity=1_000)

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        super().__init__()
        self.triggers = tuple(triggers)
        self.is_established = False
        """True while the source sees events."""
        self._askers: list[AsyncioFuture[Any]] = []
        self._task: PendingTask[None] | None = None
        self._ended: asyncio.Event | None = None

    async def observe(self) -> None:
        """Open what is watched, call `established`, and watch until cancelled. Release everything at the end."""
        raise NotImplementedError

    def established(self) -> None:
        """Declare that the source sees events from now on."""
        self.is_established = True
        for trigger in self.triggers:
            trigger.is_failing = False
        waiting, self._askers = self._askers, []
        for reply in waiting:
            if not reply.done():
                reply.answer(True)

    async def release(self) -> None:
        """End the watch, and wait until everything is released. Called at every end of an incarnation."""
        if self._task is not None:
            self._task.cancel()
        if self._ended is not None:
            await self._ended.wait()

    def on_start(self) -> Any:
        """Begin to watch."""
        self._task = self.pipe_to_self(self._observe(), lambda _, error: _WatchEnded(error))

    async def on_receive(self, message: Any) -> Any:
        """Answer `Ready`; crash at the end of the watch."""
        if isinstance(message, Ready):
            return self._when_established()
        if isinstance(message, _WatchEnded):
            if message.error is not None:
                raise message.error
            raise TriggerError(f"{self._actor_cell.name}: the watch ended by itself")
        self.unhandled(message)
        return None

    def on_stop(self) -> Any:
        """Stop the watch, and wait until everything is released."""
        self._refuse(TriggerError(f"{self._actor_cell.name} has stopped"))
        return self.release()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        """Release everything, so that the next incarnation can open it again."""
        error = exception_value or TriggerError(f"{self._actor_cell.name} failed")
        for trigger in self.triggers:
            trigger.note_failure(error)
        self._refuse(error)
        return self.release()

    async def _observe(self) -> None:
        self._ended = asyncio.Event()
        try:
            await self.observe()
        finally:
            self.is_established = False
            self._ended.set()

    def _when_established(self) -> Any:
        if self.is_established:
            return True
        reply = self.take_reply()
        if reply is not None:
            self._askers = [*(other for other in self._askers if not other.done()), reply]
        return None

    def _refuse(self, error: BaseException) -> None:
        waiting, self._askers = self._askers, []
        for reply in waiting:
            with suppress(asyncio.InvalidStateError):
                reply.fail(error)
