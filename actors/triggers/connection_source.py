"""The connection trigger: hears what happens on connections between nodes, and offers the events that count."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from inspect import isawaitable
from typing import Any, Final

import msgspec

from actors.config.trigger import ConnectionTrigger
from actors.runtime.errors import MailboxFullError
from actors.runtime.log import error_line
from actors.triggers.source import TriggerSource
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType
from protocols.control import DeadLetterReason
from protocols.errors import ConditionError
from protocols.triggers import ConnectionEvent, ConnectionFact, ConnectionFlow, TriggerConfigError

CONDITION_TIMEOUT: Final = 60.0
"""Seconds that an asynchronous condition may take for one event."""


def counts(spec: ConnectionTrigger, fact: ConnectionFact) -> bool:
    """Return True for a fact with the event, source and target of the trigger."""
    if spec.source not in (None, fact.sender) or (spec.target is not None and spec.target not in ends_of(fact)):
        return False
    match spec.event:
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
    """Return the targets of a message. One that waits or was filtered away has the ends of its connection."""
    return fact.targets or fact.ends


class _PendingEvent(msgspec.Struct, frozen=True):
    event: ConnectionEvent
    context: Any = None
    """What the condition looks at, as it was at the time of the event."""


class ConnectionActor(TriggerSource):
    """Offers an event for each fact that `counts`.

    The actor asks the condition, so a slow or broken condition delays neither the connection nor its nodes. An event
    whose condition raises becomes a dead letter, and the trigger continues.
    """

    def __init__(
        self,
        trigger: Trigger,
        spec: ConnectionTrigger,
        flow: ConnectionFlow,
        condition: Callable[[Any], object] | None,
        *,
        wall: Callable[[], float],
    ) -> None:
        super().__init__((trigger,))
        self._trigger = trigger
        self._spec = spec
        self._flow = flow
        self._condition = condition
        self._wall = wall
        self._disconnect: Callable[[], None] | None = None

    def on_start(self) -> None:
        """Begin to listen."""
        self._disconnect = self._flow.connect(self._note)
        self.established()

    async def release(self) -> None:
        """Stop listening."""
        if self._disconnect is not None:
            self._disconnect()
            self._disconnect = None

    async def on_receive(self, message: Any) -> Any:
        """Offer an event if its condition is true."""
        if not isinstance(message, _PendingEvent):
            return await super().on_receive(message)
        try:
            holds = self._condition is None or await self._truth(self._condition, message.context)
        except Exception as error:
            text = f"trigger {self._trigger.full_name!r}: the condition raised {error_line(error)}"
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
        """Put an event that counts into the mailbox; called on the way of a message, so it must not wait."""
        if not counts(self._spec, fact):
            return
        pending = _PendingEvent(self._event(fact), fact.freeze() if self._condition is not None else None)
        try:
            self.actor_ref.tell(pending)
        except MailboxFullError:
            self._trigger.discard(pending.event)

    def _event(self, fact: ConnectionFact) -> ConnectionEvent:
        return ConnectionEvent(
            source=self._trigger.name,
            time=self._wall(),
            connection=fact.connection,
            event=self._spec.event,
            sender=fact.sender,
            targets=fact.targets if self._spec.event == "message_processed" else ends_of(fact),
            message_id=fact.message.message_id,
            text=fact.message.text,
            metadata={"connection": fact.connection, "conversation_id": fact.conversation_id},
        )


def _build(group: Sequence[tuple[Trigger, ConnectionTrigger]], context: BuildContext) -> SourceSpec:
    ((trigger, spec),) = group
    request = context.requests[trigger.full_name]
    if request.flow is None:
        message = f"trigger {trigger.full_name!r}: nothing that tells of connections was given; pass flow="
        raise TriggerConfigError(message)
    if spec.condition is not None and request.condition is None:
        message = f"trigger {trigger.full_name!r} has a condition, but nothing that evaluates it was given"
        raise TriggerConfigError(message)
    args = (trigger, spec, request.flow, request.condition)
    return SourceSpec(partial(ConnectionActor, wall=context.wall), args)


CONNECTION = TriggerType(ConnectionTrigger, _build)
