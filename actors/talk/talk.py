"""`Talk`: a connection that passes the answers of one node on to others."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Self, Unpack

from actors.runtime.background_loop import current_system
from actors.talk import talk_events as report
from actors.talk.chaining import connect_further
from actors.talk.context import Condition
from actors.talk.option import TalkKeywords, TalkOptions, Transform
from actors.talk.pending import PendingQueue, RoutedMessage
from actors.talk.pipeline import EXIT, OPEN, Steps, Targets, apply_filter, apply_transform, check_conditions
from actors.talk.queued_delivery import release, trigger
from actors.talk.setting import TalkSetting
from actors.talk.signal import Signal
from actors.talk.talk_actor import InFlight, PendingMessage
from actors.talk.talk_stats import TalkStats
from actors.talk.target_queue import Forwarded, QueuedDelivery, dock_of, keep_priorities
from actors.talk.team_talk import TeamTalk
from actors.talk.transform import Message, as_message, context_text
from protocols.control import DeadLetterReason
from protocols.errors import HopLimitError, RunCancelledError, TalkError, TalkNameError
from protocols.node import Named, Origin, Target

if TYPE_CHECKING:
    import asyncio

    from actors.talk.registry import TalkRegistry
    from actors.talk.talk_events import ConnectionProcessed


class Talk(TalkSetting):
    """A connection from one node to one or more others.

    ``a >> b`` and ``a.connect_to(b, ...)`` make one and attach it to ``a``. One that is made by calling the class is
    private: it gets only what is given to `offer`.

    A message goes through these steps: exit and stop conditions look at it as it came, the transform changes it, the
    filter decides for each target, and it is delivered, or waits for `trigger`. A queued connection transforms and
    filters when it is triggered, so both may be changed while messages wait. Whatever fails on the way, or in a
    target, is an event, an entry in `stats.errors` and a dead letter; neither the source nor other targets notice.
    """

    def __init__(
        self,
        source: Named,
        targets: Target | Sequence[Target],
        *,
        name: str | None = None,
        **options: Unpack[TalkKeywords],
    ) -> None:
        """Make a connection that is attached to nothing.

        Args:
            source: whose messages it passes on.
            targets: who gets them.
            name: made from both ends by default.
            **options: see `TalkOptions`.

        Raises:
            TalkError: no target, something that is no node, or options that cannot be used.
            TalkNameError: the name is empty or no text.
        """
        self.source = source
        """Where it begins."""
        self.targets: tuple[Target, ...] = _targets(source, targets)
        """Where it ends."""
        self.name = default_name(source, self.targets) if name is None else _checked(source, name)
        """Unique in a pool, or else among the connections of its source."""
        super().__init__(TalkOptions.of(f"talk {self.name!r}", dict(options)))
        self.active = True
        """False once it is disconnected or its stop condition was true; for good."""
        self.stats = TalkStats(source.name, (target.name for target in self.targets))
        """Its numbers, live."""
        self.registry: TalkRegistry | None = None
        """The connections of the pool it belongs to."""
        self.message_forwarded: Signal[Message] = Signal("message_forwarded")
        """Called with every message that is passed on, once, transformed."""
        self.connection_processed: Signal[ConnectionProcessed] = Signal("connection_processed")
        """Called for every message that was handled, also for those that no target is left for."""
        self.on_disconnect: Callable[[Talk], None] | None = None
        """Called once, when it ends."""
        self.pending = PendingQueue()
        """What waits for `trigger`."""
        self.line = InFlight(self)
        """What waits for something else."""
        self._pauses = 0
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
        msg = f"talk {self.name!r} has {len(self.targets)} targets; use .targets"
        raise TalkError(msg, node=self.source.name)

    @property
    def is_paused(self) -> bool:
        """Whether it lets messages pass by at the moment."""
        return self._pauses > 0

    # -- messages -------------------------------------------------------------------------------------------------

    def offer(self, message: Message, origin: Origin) -> None:
        """Take a message of the source. Waits for nobody and raises nothing."""
        if not self.active or self._pauses:
            return
        if self.per_member and message.associated_messages:
            for member in message.associated_messages:
                self._take(RoutedMessage(member, origin, current_system()))
        else:
            self._take(RoutedMessage(message, origin, current_system()))

    def _take(self, parcel: RoutedMessage) -> None:
        try:
            origin = parcel.origin
            if not origin.downstream.spend() or origin.hops >= self.hop_limit or self._has_passed(origin):
                self._end_of_hops(parcel)
                return
            if self.wait_for_completion:
                origin.downstream.require()
            if self.line.couriers:
                self.line.carry(PendingMessage(parcel))
                return
            steps = self.way(parcel)
            awaited = next(steps, None)
            if awaited is not None:
                self.line.carry(PendingMessage(parcel, steps, awaited))
        except Exception as error:  # the source must not notice
            report.failed(self, parcel, "deliver", error)

    def way(self, parcel: RoutedMessage) -> Steps:
        """Go the way of one message, yielding what has to be awaited."""
        targets: Targets = self.targets
        if self.exit_condition is not None or self.stop_condition is not None:
            verdict, targets = yield from check_conditions(self, parcel)
            if verdict != OPEN:
                self._end(verdict, parcel)
                return
        if self.queued:
            self._enqueue(parcel, targets)
            return
        message = yield from apply_transform(self, parcel, targets)
        if message is None:
            return
        if self.filter_condition is not None:
            targets = yield from apply_filter(self, parcel, message, targets)
        if self.active:
            self._pass_on(parcel, message, targets)
        else:  # it was disconnected while something was awaited
            self.undelivered(parcel, targets, None)

    def _pass_on(self, parcel: RoutedMessage, message: Message, targets: Targets) -> None:
        self.note_passed(parcel, message, targets)
        if self.delay:
            if targets:
                self.line.ship_later(parcel, message, tuple(targets), self.delay)
            return
        self.hand_over_all(parcel, message, targets)

    def note_passed(self, parcel: RoutedMessage, message: Message, targets: Targets) -> None:
        """Count a message that was handled, and say so."""
        report.processed(self, message, targets, parcel, queued=False)
        if targets:
            self.stats.count(message)
            if self.message_forwarded.subscribers:
                self.message_forwarded.emit(message)

    def hand_over_all(self, parcel: RoutedMessage, message: Message, targets: Targets) -> None:
        """Deliver a message now; a target that cannot take it does not keep it from the others."""
        for target in targets:
            try:
                self._hand_over(parcel, message, target)
            except Exception as error:  # the other targets must not notice
                report.failed(self, parcel, "deliver", error, (target,))

    def _hand_over(self, parcel: RoutedMessage, message: Message, target: Target) -> None:
        if self.connection_type == "context":
            target.add_context(context_text(message, self.source.name))
        elif self.connection_type == "forward":
            target.offer(message, Forwarded.past(parcel.origin, self))
        else:
            dock = dock_of(target)
            if dock is not None:
                dock.put(QueuedDelivery(self, parcel, message, target))
                return
            target.post((message,), origin=parcel.origin, settled=partial(self.settled, parcel, target))

    def settled(self, parcel: RoutedMessage, target: Target, done: "asyncio.Future[Any]") -> None:
        """Take note of how the run of a target ended."""
        error: BaseException | None
        if done.cancelled():
            error = RunCancelledError(f"node {target.name!r}: the run was cancelled", node=target.name)
        else:
            error = done.exception()
        if error is not None:
            report.failed(self, parcel, "deliver", error, (target,))

    def undelivered(self, parcel: RoutedMessage, targets: Targets, cause: BaseException | None) -> None:
        """Take note of a message that was under way when the connection, or its system, ended."""
        for target in targets:
            parcel.system.dead_letters.record(
                parcel.message, target, DeadLetterReason.STOPPED, sender=self.source.name, cause=cause
            )

    def too_late(self, parcel: RoutedMessage, error: Exception) -> None:
        """Take note of a message over which a condition or the transform took too long."""
        report.failed(self, parcel, "deliver", error)

    def crowded_out(self, parcel: RoutedMessage, target: Target, error: Exception) -> None:
        """Take note of a message for which there was no room."""
        report.crowded_out(self, parcel, target, error)

    # -- ends -----------------------------------------------------------------------------------------------------

    def _has_passed(self, origin: Origin) -> bool:
        return isinstance(origin, Forwarded) and self in origin.passed

    def _end_of_hops(self, parcel: RoutedMessage) -> None:
        hops = parcel.origin.hops
        if hops >= self.hop_limit:
            why = f"{hops} connections led to it (limit {self.hop_limit})"
        elif self._has_passed(parcel.origin):
            why = "it was forwarded in a circle"
        else:
            why = "its run has caused too many messages of connections; there is a circle with branches"
        msg = f"talk {self.name!r}: the message is not passed on, {why}"
        report.hop_limit_reached(self, parcel, HopLimitError(msg, node=self.source.name, message=parcel.message))

    def _end(self, verdict: str, parcel: RoutedMessage) -> None:
        if verdict == EXIT:
            system = parcel.system
            if system.exit_reason is None:
                msg = f"the exit condition of talk {self.name!r} was true"
                system.exit_reason = TalkError(msg, node=self.source.name, message=parcel.message)
            system.begin_close()
        self.disconnect()

    def disconnect(self) -> None:
        """End the connection for good and take it off its source; what still waits becomes dead letters."""
        if not self.active:
            return
        self.active = False
        if self.on_disconnect is not None:
            self.on_disconnect(self)
        for target, parcel in self.pending.take_all():
            self.undelivered(parcel, (target,), None)
        self.line.close()

    def redirect(self, old: Target, new: Target | None) -> None:
        """Lead to another target in place of one, with what waits for it; to none in its place, which loses that."""
        instead = () if new is None else (new,)
        self.targets = tuple(one for target in self.targets for one in (instead if target is old else (target,)))
        waiting = self.pending.take(old)
        if new is None:
            for parcel in waiting:
                self.undelivered(parcel, (old,), None)
            return
        if self.priority:
            keep_priorities(new)
        for parcel in waiting:
            self.pending.put(new, parcel, max(self.capacity, len(waiting)), self.overflow)

    # -- queue ----------------------------------------------------------------------------------------------------

    def _enqueue(self, parcel: RoutedMessage, targets: Targets) -> None:
        report.processed(self, parcel.message, (), parcel, queued=True)
        for target in targets:
            if self.queue_strategy == "latest" and self.filter_condition is None:
                self.pending.replace(target, parcel)
                continue
            lost = self.pending.put(target, parcel, self.capacity, self.overflow)
            if lost is not None:
                msg = f"talk {self.name!r}: {self.capacity} messages wait for {target.name!r}, which is its capacity"
                self.crowded_out(lost, target, TalkError(msg, node=self.source.name, message=lost.message))

    async def release(self) -> list[tuple[Target, Message, Origin]]:
        """Take what waits, filtered, transformed and put together by the strategy, without delivering it.

        Returns:
            Targets with a message and the run it comes from, in the order of the targets.

        Raises:
            NotQueuedError: the connection does not queue.
            TransformError: the transform failed on a message; it is a dead letter.
            ConditionError: the filter failed on a message; it is a dead letter.
        """
        return [(target, message, parcel.origin) for target, message, parcel in await release(self)]

    async def trigger(self, prompt: str | None = None, **options: Any) -> list[Message]:
        """Deliver what waits, and wait for the targets.

        Args:
            prompt: a further instruction, below the text of each message.
            **options: those of the targets' run methods.

        Returns:
            Their answers, in the order of the targets; empty when nothing waited or the filter let nothing through.

        Raises:
            NotQueuedError: the connection does not queue.
            Exception: what a transform, a filter or the run of a target raised, once all other targets are done.
        """
        return await trigger(self, prompt, options)

    # -- change ---------------------------------------------------------------------------------------------------

    def when(self, condition: Condition | None) -> Self:
        """Replace the filter; returns the connection itself."""
        self.filter_condition = condition
        return self

    def transform(self, function: Transform) -> Self:
        """Add a transform behind the one there is; returns the connection itself, with everything else as it was.

        To replace the transforms, set `transform_fn`.
        """
        earlier = self.transform_fn
        self.transform_fn = function
        if earlier is not None:
            self.transform_fn = partial(_in_turn, earlier, function, self)
        return self

    @asynccontextmanager
    async def paused(self) -> AsyncGenerator[Self]:
        """Let messages pass by while the block runs: they are not delivered later either."""
        self._pauses += 1
        try:
            yield self
        finally:
            self._pauses -= 1

    def __rshift__(self, other: Any) -> TeamTalk:
        made = connect_further(self.targets, other)
        return TeamTalk([self, *made], ends=TeamTalk(made).targets)

    def __repr__(self) -> str:
        state = "" if self.active else ", ended"
        return f"<Talk {self.name!r}: {self.connection_type}, {self.stats.message_count} messages{state}>"


def default_name(source: Named, targets: Sequence[Target]) -> str:
    """Return the name of a connection that was given none."""
    return f"{source.name}->{[target.name for target in targets]}"


def _checked(source: Named, name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        msg = f"node {source.name!r}: the name of a connection must be some text, not {name!r}"
        raise TalkNameError(msg, node=source.name)
    return name


def _targets(source: Named, given: Target | Sequence[Target]) -> tuple[Target, ...]:
    targets: tuple[Any, ...] = tuple(given) if isinstance(given, list | tuple) else (given,)
    for target in targets:
        if not callable(getattr(target, "post", None)):
            msg = f"cannot connect {source.name!r} to {target!r}: it is no node"
            raise TalkError(msg, node=source.name)
    if not targets:
        msg = f"cannot connect {source.name!r} to nothing; name at least one target"
        raise TalkError(msg, node=source.name)
    return targets


def _in_turn(earlier: Transform, later: Transform, talk: Talk, message: Message) -> object:
    """Apply two transforms; wait between them only when the first one has to be waited for."""
    result = earlier(message)
    if isawaitable(result):
        return _wait_in_turn(result, later, message, talk.name)
    return later(as_message(result, message, talk.name))


async def _wait_in_turn(first: Awaitable[object], later: Transform, message: Message, talk: str) -> object:
    result = later(as_message(await first, message, talk))
    return await result if isawaitable(result) else result
