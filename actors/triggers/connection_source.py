"""The connection trigger: is told what happens on connections between nodes, and offers what counts."""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.runtime.errors import MailboxFullError
from actors.triggers.source import TriggerSource
from protocols.control import DeadLetterReason
from protocols.errors import ConditionError
from protocols.triggers import ConnectionEvent, TalkEventName

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from actors.triggers.trigger import Trigger
    from protocols.triggers import ConnectionFact, ConnectionFlow

CONDITION_TIMEOUT: Final = 60.0
"""Seconds that an asynchronous condition may take over one event; then it has failed."""


class TalkFilter:
    """Which events of which connections count.

    Example:
        >>> from protocols.messages import ChatMessage
        >>> from protocols.triggers import ConnectionFact
        >>> said = ChatMessage("x", "assistant")
        >>> fact = ConnectionFact(
        ...     connection="t", sender="a", ends=("b",), message=said, queued=True, freeze=lambda: None
        ... )
        >>> TalkFilter("queue_filled", source="a").fits(fact)
        True
    """

    def __init__(self, event: TalkEventName, *, source: str | None = None, target: str | None = None) -> None:
        """Take what is wanted.

        Args:
            event: What must have happened.
            source: Only connections from this node.
            target: Only connections to this node.
        """
        self.event: TalkEventName = event
        self._source = source
        self._target = target

    def fits(self, fact: ConnectionFact) -> bool:
        """Whether it counts."""
        if self._source not in (None, fact.sender) or (self._target is not None and self._target not in ends_of(fact)):
            return False
        match self.event:
            case "message_received":
                return not fact.was_queued
            case "message_processed":
                return not fact.queued
            case "message_forwarded":
                return bool(fact.targets)
            case "queue_filled":
                return fact.queued
            case "queue_triggered":
                return fact.was_queued and bool(fact.targets)


def ends_of(fact: ConnectionFact) -> tuple[str, ...]:
    """Return the nodes that a message goes to; for one that waits or was filtered away, those it might have gone to."""
    return fact.targets or fact.ends


class _Happened(msgspec.Struct, frozen=True):
    event: ConnectionEvent
    context: Any = None
    """What the condition looks at, as it was when it happened."""


class ConnectionActor(TriggerSource):
    """Offers an event for each thing that happens on the connections it is interested in.

    The condition is asked here and not where the message is passed on, so that neither the connection nor its nodes
    notice one that is slow or broken. An event whose condition fails is a dead letter, and the trigger lives on.
    """

    def __init__(
        self,
        trigger: Trigger,
        wanted: TalkFilter,
        flow: ConnectionFlow,
        condition: Callable[[Any], object] | None,
        *,
        wall: Callable[[], float],
    ) -> None:
        super().__init__((trigger,))
        self._trigger = trigger
        self._wanted = wanted
        self._flow = flow
        self._condition = condition
        self._wall = wall
        self._listen_no_more: Callable[[], None] | None = None

    def on_start(self) -> None:
        """Listen."""
        self._listen_no_more = self._flow.connect(self._note)
        self.established()

    def on_stop(self) -> Any:
        """Listen no more."""
        self._leave()
        return super().on_stop()

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> Any:
        """Listen no more; the next life does."""
        self._leave()
        return super().on_failure(exception_type, exception_value, traceback)

    async def on_receive(self, message: Any) -> Any:
        """Offer an event if its condition holds."""
        if not isinstance(message, _Happened):
            return await super().on_receive(message)
        try:
            holds = self._condition is None or await self._truth(self._condition, message.context)
        except Exception as error:
            text = f"trigger {self._trigger.full_name!r}: the condition raised {type(error).__name__}: {error}"
            wrapped = ConditionError(text, node=self._trigger.node)
            wrapped.__cause__ = error
            self._trigger.discard(message.event, DeadLetterReason.FAILED, wrapped)
            return None
        if holds:
            await self._trigger.offer(message.event)
        return None

    async def _truth(self, condition: Callable[[Any], object], context: Any) -> bool:
        result = condition(context)
        if not isawaitable(result):
            return bool(result)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            timer = self.system.clock.call_later(CONDITION_TIMEOUT, lambda: limit.reschedule(loop.time()))
            try:
                return bool(await result)
            finally:
                timer.cancel()

    def _note(self, fact: ConnectionFact) -> None:
        """Take what counts into the mailbox; called where the message is passed on, so it must not wait."""
        if not self._wanted.fits(fact):
            return
        happened = _Happened(self._event(fact), fact.freeze() if self._condition is not None else None)
        try:
            self.actor_ref.tell(happened)
        except MailboxFullError:
            self._trigger.discard(happened.event)

    def _event(self, fact: ConnectionFact) -> ConnectionEvent:
        return ConnectionEvent(
            source=self._trigger.name,
            time=self._wall(),
            connection=fact.connection,
            event=self._wanted.event,
            sender=fact.sender,
            targets=fact.targets if self._wanted.event == "message_processed" else ends_of(fact),
            message_id=fact.message.message_id,
            text=fact.message.text,
            metadata={"connection": fact.connection, "conversation_id": fact.conversation_id},
        )

    def _leave(self) -> None:
        if self._listen_no_more is not None:
            self._listen_no_more()
            self._listen_no_more = None
