"""The actor of a connection whose messages have to wait: for an asynchronous function, or for a delay.

It is started for the first such message and ends with the last, so a connection that never waits has none. It handles
one message at a time: they keep their order. A delay is a message that it sends itself by the clock of its system.
"""

import asyncio
from collections.abc import Awaitable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.envelope import current
from actors.runtime.errors import AskTimeoutError
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.talk.pending import RoutedMessage
from actors.talk.pipeline import Steps, walk
from actors.talk.transform import Message
from protocols.errors import TalkError
from protocols.node import Target

if TYPE_CHECKING:
    from actors.talk.talk import Talk


class PendingMessage(msgspec.Struct, eq=False):
    """A parcel whose way is not finished."""

    parcel: RoutedMessage
    steps: Steps | None = None
    """The rest of the way; None when it has not begun."""
    awaited: Awaitable[Any] | None = None
    """What the rest of the way waits for."""
    is_begun: bool = False
    """Whether the courier has come to it."""


class DelayedMessage(msgspec.Struct, eq=False):
    """A message that is delivered later."""

    parcel: RoutedMessage
    message: Message
    targets: tuple[Target, ...]
    due: float
    """Seconds on the clock of the system."""
    is_over: bool = False


class TalkActor(AsyncioActor):
    """Carries the messages of one connection."""

    def __init__(self, line: "InFlight") -> None:
        super().__init__()
        self._line = line
        self._waiting: dict[DelayedMessage, None] = {}

    async def on_receive(self, message: Any) -> None:
        """Go a message's way, wait for its time, or deliver it."""
        try:
            if type(message) is PendingMessage:
                message.is_begun = True
                await self._line.go(message)
            elif type(message) is DelayedMessage:
                self._ship(message)
        finally:
            self._rest()

    def _rest(self) -> None:
        """End when there is nothing left to do."""
        if not self._waiting and not len(self.cell.mailbox):
            self._line.forget(self.system)
            self.stop()

    def _ship(self, shipment: DelayedMessage) -> None:
        if shipment in self._waiting:
            del self._waiting[shipment]
            self._line.deliver(shipment)
        else:
            self._waiting[shipment] = None
            self.schedule(max(0.0, shipment.due - self.system.clock.now()), shipment)

    def on_stop(self) -> None:
        """What still waits is not delivered."""
        self._give_up()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        """What still waits is not delivered."""
        self._give_up()

    def _give_up(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._line.forget(self.system)
        for shipment in waiting:
            self._line.give_up(shipment)


class InFlight:
    """What one connection has under way, bounded by its capacity, and its couriers: one for each system."""

    def __init__(self, talk: "Talk") -> None:
        self.talk = talk
        self.couriers: dict[ActorSystem, ActorRef[Any]] = {}
        self._open: dict[RoutedMessage, int] = {}

    def forget(self, system: ActorSystem) -> None:
        """The courier of a system ends."""
        self.couriers.pop(system, None)

    async def go(self, errand: PendingMessage) -> None:
        """Go the way of a message, inside a courier."""
        if self.talk.active:
            steps = errand.steps if errand.steps is not None else self.talk.way(errand.parcel)
            await walk(steps, errand.awaited)
        else:
            _forget_work(errand)
            self.talk.undelivered(errand.parcel, self.talk.targets, None)

    def carry(self, errand: PendingMessage) -> None:
        """Have a courier go a message's way."""
        parcel = errand.parcel
        if not self._has_room(parcel, self.talk.targets):
            _forget_work(errand)
            return
        self._begin(parcel)
        # An ask, because it ends in any case: also when the courier is stopped before it comes to the message.
        reply = copy_context().run(_ask_outside, self._courier(parcel.system), errand, self.talk.timeout)
        reply.add_done_callback(lambda done: self._carried(errand, done))

    def _carried(self, errand: PendingMessage, done: "asyncio.Future[Any]") -> None:
        error = done.exception() if not done.cancelled() else asyncio.CancelledError()
        if error is not None:
            _forget_work(errand)
            self._not_carried(errand, error)
        self._end(errand.parcel)

    def _not_carried(self, errand: PendingMessage, error: BaseException) -> None:
        talk, parcel = self.talk, errand.parcel
        if not isinstance(error, AskTimeoutError):
            if errand.is_begun:  # else the engine has put it into the dead letters
                talk.undelivered(parcel, talk.targets, error)
            return
        msg = f"talk {talk.name!r}: its asynchronous functions took more than {talk.timeout} s over a message"
        late = TalkError(msg, node=talk.source.name, message=parcel.message)
        if errand.is_begun:
            talk.too_late(parcel, late)
        else:
            talk.stats.add_error(talk.source.name, f"TalkError: {late}")

    def ship_later(self, parcel: RoutedMessage, message: Message, targets: tuple[Target, ...], delay: float) -> None:
        """Deliver a message after a delay."""
        if not self._has_room(parcel, targets):
            return
        self._begin(parcel)
        shipment = DelayedMessage(parcel, message, targets, parcel.system.clock.now() + delay)
        self._courier(parcel.system).tell(shipment)

    def deliver(self, shipment: DelayedMessage) -> None:
        """The time of a shipment has come."""
        if not shipment.is_over:
            shipment.is_over = True
            self.talk.hand_over_all(shipment.parcel, shipment.message, shipment.targets)
            self._end(shipment.parcel)

    def give_up(self, shipment: DelayedMessage) -> None:
        """A shipment will not be delivered."""
        if not shipment.is_over:
            shipment.is_over = True
            self.talk.undelivered(shipment.parcel, shipment.targets, None)
            self._end(shipment.parcel)

    def close(self) -> None:
        """Deliver nothing any more; what is under way becomes dead letters."""
        for ref in tuple(self.couriers.values()):
            if ref.is_alive():
                ref.stop(block=False)

    def _has_room(self, parcel: RoutedMessage, targets: tuple[Target, ...]) -> bool:
        talk = self.talk
        self._forget_closed()
        if len(self._open) < talk.capacity or parcel in self._open:
            return True
        msg = f"talk {talk.name!r}: {len(self._open)} messages are under way, which is its capacity"
        for target in targets:
            talk.crowded_out(parcel, target, TalkError(msg, node=talk.source.name, message=parcel.message))
        return False

    def _begin(self, parcel: RoutedMessage) -> None:
        self._open[parcel] = self._open.get(parcel, 0) + 1
        parcel.origin.downstream.begin()

    def _end(self, parcel: RoutedMessage) -> None:
        left = self._open.pop(parcel, 1) - 1
        if left:
            self._open[parcel] = left
        parcel.origin.downstream.end()

    def _forget_closed(self) -> None:
        """Let go what was under way on event loops that have ended without running any hook."""
        for system in [system for system in self.couriers if system.is_closed]:
            del self.couriers[system]
            self._open = {parcel: count for parcel, count in self._open.items() if parcel.system is not system}

    def _courier(self, system: ActorSystem) -> ActorRef[Any]:
        ref = self.couriers.get(system)
        if ref is None or not ref.is_alive():
            options = StartOptions(
                f"talk {self.talk.name}", MailboxConfig(2 * self.talk.capacity + 1), is_registered=False
            )
            ref = self.couriers[system] = system.start(TalkActor, (self,), options=options)
        return ref


def _forget_work(errand: PendingMessage) -> None:
    """Close what will not be awaited, so that Python does not warn of it."""
    if asyncio.iscoroutine(errand.awaited):
        errand.awaited.close()


def _ask_outside(ref: ActorRef[Any], message: object, timeout: float | None) -> "asyncio.Future[Any]":
    current.set(None)
    return ref.ask(message, block=False, timeout=timeout)
