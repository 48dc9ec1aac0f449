"""`Talk`: a connection that passes the answers of one node on to others."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable
from typing import Any, Self, Unpack

from actors.runtime.background_loop import current_system
from actors.talk.context import TALK_DEFAULTS, Condition, ConnectionProcessed, TalkKeywords, TalkView, Transform
from actors.talk.pending import PendingQueue, RoutedMessage
from actors.talk.pipeline import EXIT, OPEN, Steps, Targets, apply_filter, apply_transform, check_conditions
from actors.talk.queued_delivery import deliver_waiting, kept_queue, release_waiting
from actors.talk.signal import Signal
from actors.talk.talk_actor import InFlight, PendingMessage
from actors.talk.talk_events import failed, hop_limit_reached, passed, processed, queue_full, undelivered
from actors.talk.talk_stats import TalkStats
from actors.talk.target_queue import Forwarded, deliver, keep_priorities
from actors.talk.team_talk import TeamTalk, connect_further
from actors.talk.transform import Message, as_message
from protocols.checks import NAME
from protocols.errors import HopLimitError, TalkError, TalkNameError
from protocols.handle import Handle, Named
from protocols.keywords import spelled_out
from protocols.node import Origin, Target


class Talk(Handle, TalkView):
    """A connection from one node to one or more others.

    ``a >> b`` and ``a.connect_to(b, ...)`` make a connection and attach it to ``a``. A connection made by calling the
    class is private: it gets only the messages that are given to `offer`.

    A message goes through these steps: exit and stop conditions look at the original message, the transform changes
    it, the filter decides for each target, and it is delivered, or waits for `trigger`. A queued connection transforms
    and filters when it is triggered, so both may change while messages wait. A failure on the way, or in a target, is
    an event, an entry in `stats.errors` and a dead letter. It concerns neither the source nor other targets.
    """

    _of_the_engine = "in_flight keeps_newest message_flow offer on_disconnect redirect registry"
    _pauses = 0

    @spelled_out(TalkKeywords, TALK_DEFAULTS)
    def __init__(
        self,
        source: Named,
        targets: Target | Sequence[Target],
        *,
        name: str | None = None,
        **options: Unpack[TalkKeywords],
    ) -> None:
        """Make a connection that is attached to no node.

        Args:
            source: the node whose messages it passes on.
            targets: the nodes that get them.
            name: made from both ends by default.
            **options: see `TalkSetting`.

        Raises:
            TalkError: no target, a target that is not a node, or impossible options.
            TalkNameError: the name is empty or not a text.
        """
        self.source = source
        """The node at which it begins."""
        self.targets: tuple[Target, ...] = _targets(source, targets)
        """The nodes to which it leads."""
        self.name = f"{source.name}->{[target.name for target in self.targets]}" if name is None else name
        """Unique in a pool, or else among the connections of its source."""
        if not NAME.accepts(self.name):
            message = f"node {source.name!r}: the name of a connection must be some text, not {name!r}"
            raise TalkNameError(message, node=source.name)
        super().__init__(f"talk {self.name!r}", options)
        self.active = True
        """False for good after `disconnect`, or after its stop condition was true."""
        self.stats = TalkStats(source.name, (target.name for target in self.targets))
        """Its numbers, live."""
        self.registry: Mapping[str, Any] | None = None
        """The connections of the pool it belongs to, by name."""
        self.message_flow: Signal[ConnectionProcessed] | None = None
        self.message_forwarded: Signal[Message] = Signal("message_forwarded")
        """Called once with every message that is passed on, transformed."""
        self.connection_processed: Signal[ConnectionProcessed] = Signal("connection_processed")
        """Called for every handled message, also for a message that no target gets."""
        self.on_disconnect: Callable[[Talk], None] | None = None
        """Called once, when it ends."""
        self.pending = PendingQueue()
        """The messages that wait for `trigger`."""
        self.in_flight = InFlight(self)
        """The messages that wait for a function or a delay."""
        if self.priority:
            for target in self.targets:
                keep_priorities(target)

    @property
    def target(self) -> Target:
        """The only target.

        Raises:
            TalkError: there are several.
        """
        if len(self.targets) == 1:
            return self.targets[0]
        raise TalkError(f"talk {self.name!r} has {len(self.targets)} targets; use .targets", node=self.source.name)

    @property
    def is_paused(self) -> bool:
        """True while it ignores messages."""
        return self._pauses > 0

    # -- messages -------------------------------------------------------------------------------------------------

    def offer(self, message: Message, origin: Origin) -> None:
        """Take a message of the source, without waiting. It never raises."""
        if not self.active or self._pauses:
            return
        if self.per_member and message.associated_messages:
            for member in message.associated_messages:
                self._take(RoutedMessage(member, origin, current_system()))
        else:
            self._take(RoutedMessage(message, origin, current_system()))

    def _take(self, routed: RoutedMessage) -> None:
        try:
            origin = routed.origin
            if not origin.downstream.spend() or origin.hops >= self.hop_limit or self._has_passed(origin):
                self._end_of_hops(routed)
                return
            if self.wait_for_completion:
                origin.downstream.is_required = True
            steps = self._steps(routed)
            if self.in_flight.actors:  # earlier messages wait, and this one must not overtake them
                self.in_flight.finish(PendingMessage(routed, steps))
                return
            awaited = next(steps, None)
            if awaited is not None:
                self.in_flight.finish(PendingMessage(routed, steps, awaited))
        except Exception as error:  # the source must not notice
            failed(self, routed, "deliver", error)

    def _steps(self, routed: RoutedMessage) -> Steps:
        """Take one message through the connection, yielding what has to be awaited."""
        targets: Targets = self.targets
        if self.exit_condition is not None or self.stop_condition is not None:
            verdict, targets = yield from check_conditions(self, routed)
            if verdict != OPEN:
                self._end(verdict, routed)
                return
        if self.queued:
            self._enqueue(routed, targets)
            return
        message = yield from apply_transform(self, routed, targets)
        if message is None:
            return
        if self.filter_condition is not None:
            targets = yield from apply_filter(self, routed, message, targets)
        if self.active:
            self._pass_on(routed, message, targets)
        else:  # it was disconnected during an await
            undelivered(self, routed, targets)

    def _pass_on(self, routed: RoutedMessage, message: Message, targets: Targets) -> None:
        passed(self, routed, message, targets)
        if not self.delay:
            deliver(self, routed, message, targets)
        elif targets:
            self.in_flight.delay(routed, message, targets, self.delay)

    # -- ends -----------------------------------------------------------------------------------------------------

    def _has_passed(self, origin: Origin) -> bool:
        return isinstance(origin, Forwarded) and self in origin.passed

    def _end_of_hops(self, routed: RoutedMessage) -> None:
        hops = routed.origin.hops
        if hops >= self.hop_limit:
            why = f"{hops} connections led to it (limit {self.hop_limit})"
        elif self._has_passed(routed.origin):
            why = "it was forwarded in a circle"
        else:
            why = "its run has caused too many messages of connections; there is a circle with branches"
        message = f"talk {self.name!r}: the message is not passed on, {why}"
        hop_limit_reached(self, routed, HopLimitError(message, node=self.source.name, message=routed.message))

    def _end(self, verdict: str, routed: RoutedMessage) -> None:
        if verdict == EXIT:
            system = routed.system
            if system.exit_reason is None:
                message = f"the exit condition of talk {self.name!r} was true"
                system.exit_reason = TalkError(message, node=self.source.name, message=routed.message)
            system.begin_close()
        self.disconnect()

    def disconnect(self) -> None:
        """End the connection for good and take it off its source. Waiting messages become dead letters."""
        if not self.active:
            return
        self.active = False
        if self.on_disconnect is not None:
            self.on_disconnect(self)
        for target, routed in self.pending.take_all():
            undelivered(self, routed, (target,))
        self.in_flight.close()

    def redirect(self, old: Target, new: Target | None) -> None:
        """Replace a target, with the messages that wait for it; with None they become dead letters."""
        instead = () if new is None else (new,)
        self.targets = tuple(one for target in self.targets for one in (instead if target is old else (target,)))
        waiting = self.pending.take(old)
        if new is None:
            for routed in waiting:
                undelivered(self, routed, (old,))
            return
        if self.priority:
            keep_priorities(new)
        for routed in waiting:
            self.pending.put(new, routed, max(self.capacity, len(waiting)), self.overflow)

    # -- queue ----------------------------------------------------------------------------------------------------

    def _enqueue(self, routed: RoutedMessage, targets: Targets) -> None:
        processed(self, routed.message, (), routed, queued=True)
        routed.keep_context()
        for target in targets:
            try:
                kept = kept_queue(self, target)
                if kept is not None:
                    kept.put(self, routed)
                elif self.keeps_newest:
                    self.pending.replace(target, routed)
                elif (lost := self.pending.put(target, routed, self.capacity, self.overflow)) is not None:
                    queue_full(self, lost, target)
            except Exception as error:  # it cannot be kept, which is nothing to other targets
                failed(self, routed, "queue", error, (target,))

    async def release(self) -> list[tuple[Target, Message, Origin]]:
        """Take the waiting messages, filtered, transformed and put together, without delivering them.

        Returns:
            Targets with a message and the run that caused it, in the order of the targets.

        Raises:
            NotQueuedError: the connection does not queue.
            TransformError: the transform failed on a message; the message is a dead letter, and the others wait again.
            ConditionError: the filter failed on a message; the message is a dead letter, and the others wait again.
        """
        return [(one.target, one.message, one.together[-1].origin) for one in await release_waiting(self)]

    async def trigger(self, prompt: str | None = None, **options: Any) -> list[Message]:
        """Deliver the waiting messages, and wait for the targets.

        Args:
            prompt: a further instruction, below the text of each message.
            **options: those of the targets' run methods.

        Returns:
            The answers, in the order of the targets; empty if no message waited or the filter let none through.

        Raises:
            NotQueuedError: the connection does not queue.
            Exception: what a transform, a filter or the run of a target raised, after all other targets are done.
        """
        return await deliver_waiting(self, prompt, options)

    # -- change ---------------------------------------------------------------------------------------------------

    def when(self, condition: Condition | None) -> Self:
        """Replace the filter; return the connection itself."""
        self.filter_condition = condition
        return self

    def transform(self, function: Transform) -> Self:
        """Add a transform after the present one; return the connection itself.

        To replace the transforms, set `transform_fn`.
        """
        earlier = self.transform_fn
        self.transform_fn = function
        if earlier is not None:
            self.transform_fn = partial(_in_turn, earlier, function, self)
        return self

    @asynccontextmanager
    async def paused(self) -> AsyncGenerator[Self]:
        """Ignore messages while the block runs. They are not delivered later either."""
        self._pauses += 1
        try:
            yield self
        finally:
            self._pauses -= 1

    def __rshift__(self, other: Any) -> TeamTalk:
        return connect_further([self], self.targets, other)

    def __repr__(self) -> str:
        state = "" if self.active else ", ended"
        return f"<Talk {self.name!r}: {self.connection_type}, {self.stats.message_count} messages{state}>"


def _targets(source: Named, given: Target | Sequence[Target]) -> tuple[Target, ...]:
    targets: tuple[Any, ...] = tuple(given) if isinstance(given, list | tuple) else (given,)
    for target in targets:
        if not callable(getattr(target, "post", None)):
            raise TalkError(f"cannot connect {source.name!r} to {target!r}: it is no node", node=source.name)
    if not targets:
        raise TalkError(f"cannot connect {source.name!r} to nothing; name at least one target", node=source.name)
    return targets


def _in_turn(earlier: Transform, later: Transform, talk: Talk, message: Message) -> object:
    """Apply two transforms; wait between them only if the first one is asynchronous."""
    result = earlier(message)
    if isawaitable(result):
        return _wait_in_turn(result, later, message, talk.name)
    return later(as_message(result, message, talk.name))


async def _wait_in_turn(first: Awaitable[object], later: Transform, message: Message, talk: str) -> object:
    result = later(as_message(await first, message, talk))
    return await result if isawaitable(result) else result
