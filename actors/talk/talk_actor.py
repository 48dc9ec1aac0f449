"""The actor of a connection whose messages have to wait: for an asynchronous function, or for a delay.

The first such message starts it, and it ends with the last one. It handles one message at a time, so messages keep
their order. A delay is a message that the actor sends to itself by the clock of its system.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import AskTimeoutError
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.talk.context import TalkView
from actors.talk.detached_ask import post_outside
from actors.talk.pending import RoutedMessage
from actors.talk.pipeline import Steps, walk
from actors.talk.talk_events import crowded_out, failed, undelivered
from actors.talk.target_queue import deliver
from actors.talk.transform import Message
from protocols.context import enter
from protocols.errors import TalkError
from protocols.node import Target


class PendingMessage(msgspec.Struct, eq=False):
    """A message whose steps through the connection are not finished."""

    routed: RoutedMessage
    steps: Steps
    """The rest of the steps."""
    awaited: Awaitable[Any] | None = None
    """What the steps wait for; None if they have not begun."""
    is_begun: bool = False
    """True once the actor has taken the message."""

    def discard(self) -> None:
        """Close what will not be awaited, so that Python does not warn."""
        if asyncio.iscoroutine(self.awaited):
            self.awaited.close()


class DelayedMessage(msgspec.Struct, eq=False):
    """A message that is delivered later."""

    routed: RoutedMessage
    message: Message
    targets: Sequence[Target]
    due: float
    """Seconds on the clock of the system."""


class TalkActor(AsyncioActor):
    """Finishes the messages of one connection that have to wait."""

    def __init__(self, in_flight: "InFlight") -> None:
        super().__init__()
        self._in_flight = in_flight
        self._delayed: dict[DelayedMessage, None] = {}

    async def on_receive(self, message: Any) -> None:
        """Walk the steps of a message, wait for its time, or deliver it."""
        try:
            if type(message) is PendingMessage:
                message.is_begun = True
                if self._in_flight.talk.active:
                    await walk(message.steps, message.awaited)
                else:
                    message.discard()
                    undelivered(self._in_flight.talk, message.routed, self._in_flight.talk.targets)
            elif type(message) is DelayedMessage:
                self._delay_or_deliver(message)
        finally:
            if not self._delayed and not len(self._actor_cell.mailbox):
                self._in_flight.actors.pop(self.system, None)
                self.stop()

    def _delay_or_deliver(self, delayed: DelayedMessage) -> None:
        if delayed not in self._delayed:
            self._delayed[delayed] = None
            self.schedule(max(0.0, delayed.due - self.system.clock.now()), delayed)
            return
        del self._delayed[delayed]
        enter(delayed.routed.carried)
        deliver(self._in_flight.talk, delayed.routed, delayed.message, delayed.targets)
        self._in_flight.end(delayed.routed)

    def on_stop(self) -> None:
        """Give up the delayed messages."""
        delayed, self._delayed = self._delayed, {}
        self._in_flight.actors.pop(self.system, None)
        for each in delayed:
            undelivered(self._in_flight.talk, each.routed, each.targets)
            self._in_flight.end(each.routed)

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        """Give up the delayed messages."""
        self.on_stop()


class InFlight:
    """The messages that one connection has under way, bounded by its capacity, and its actors: one per system."""

    def __init__(self, talk: TalkView) -> None:
        self.talk = talk
        self.actors: dict[ActorSystem, ActorRef[Any]] = {}
        self._open: dict[RoutedMessage, int] = {}

    def finish(self, pending: PendingMessage) -> None:
        """Let an actor finish the steps of a message."""
        routed = pending.routed
        if not self._begin(routed, self.talk.targets):
            pending.discard()
            return
        # An ask, because it always ends: also when the actor is stopped before it takes the message.
        post_outside(self._actor(routed.system), pending, self.talk.timeout, None, partial(self._finished, pending))

    def _finished(self, pending: PendingMessage, done: asyncio.Future[Any]) -> None:
        error = done.exception() if not done.cancelled() else asyncio.CancelledError()
        if error is not None:
            pending.discard()
            talk, routed = self.talk, pending.routed
            text = f"talk {talk.name!r}: its asynchronous functions took more than {talk.timeout} s over a message"
            if not isinstance(error, AskTimeoutError):
                if pending.is_begun:  # else the engine has recorded a dead letter
                    undelivered(talk, routed, talk.targets, error)
            elif pending.is_begun:
                failed(talk, routed, "deliver", TalkError(text, node=talk.source.name, message=routed.message))
            else:
                talk.stats.add_error(talk.source.name, f"TalkError: {text}")
        self.end(pending.routed)

    def delay(self, routed: RoutedMessage, message: Message, targets: Sequence[Target], seconds: float) -> None:
        """Deliver a message after a delay. That of a kept run is kept with its time, in the acknowledgement."""
        outbox = routed.outbox
        if outbox is not None:
            before, outbox.delay = outbox.delay, seconds + (outbox.delay or 0.0)
            deliver(self.talk, routed, message, targets)
            outbox.delay = before
        elif self._begin(routed, targets):
            routed.keep_context()
            due = routed.system.clock.now() + seconds
            self._actor(routed.system).tell(DelayedMessage(routed, message, targets, due))

    def close(self) -> None:
        """Deliver no further message; messages under way become dead letters."""
        for ref in tuple(self.actors.values()):
            if ref.is_alive():
                ref.stop(block=False)

    def _begin(self, routed: RoutedMessage, targets: Sequence[Target]) -> bool:
        """Count a message that is under way; False beyond the capacity."""
        talk = self.talk
        self._forget_closed()
        if len(self._open) >= talk.capacity and routed not in self._open:
            message = f"talk {talk.name!r}: {len(self._open)} messages are under way, which is its capacity"
            for target in targets:
                crowded_out(talk, routed, target, message)
            return False
        self._open[routed] = self._open.get(routed, 0) + 1
        routed.origin.downstream.begin()
        if (outbox := routed.outbox) is not None:
            outbox.steps.begin()
        return True

    def end(self, routed: RoutedMessage) -> None:
        """Count a message that is finished."""
        left = self._open.pop(routed, 1) - 1
        if left:
            self._open[routed] = left
        if (outbox := routed.outbox) is not None:
            outbox.steps.end()
        routed.origin.downstream.end()

    def _forget_closed(self) -> None:
        """Forget messages on event loops that have ended without running any hook."""
        for system in [system for system in self.actors if system.is_closed]:
            del self.actors[system]
            self._open = {routed: count for routed, count in self._open.items() if routed.system is not system}

    def _actor(self, system: ActorSystem) -> ActorRef[Any]:
        ref = self.actors.get(system)
        if ref is None or not ref.is_alive():
            mailbox = MailboxConfig(2 * self.talk.capacity + 1)
            options = StartOptions(f"talk {self.talk.name}", mailbox, is_registered=False)
            ref = self.actors[system] = system.start(TalkActor, (self,), options=options)
        return ref
