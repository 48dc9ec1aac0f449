"""Triggering a queued connection: waiting messages are filtered, transformed, put together and delivered."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from actors.talk.context import TalkView
from actors.talk.pending import RoutedMessage
from actors.talk.pipeline import apply_filter, apply_transform, walk
from actors.talk.talk_events import passed, settled, undelivered
from actors.talk.target_queue import hand_over
from actors.talk.transform import Message, merged, prompted
from protocols.errors import NotQueuedError, add_note, safe_repr
from protocols.node import Origin, Target


class QueuedMessage(NamedTuple):
    """A message that is delivered now."""

    target: Target
    message: Message
    together: Sequence[RoutedMessage]
    """What has waited for it: the one that it was made from, and before it those that it stands for as well."""


def kept_queue(talk: TalkView, target: Target) -> Any:
    """Return what keeps the messages for a durable target; None for others, and for a connection outside of pools."""
    durable: Any = getattr(target, "durable", None)
    return None if durable is None or talk.registry is None else durable.queue(talk)


def give_back(talk: TalkView, target: Target, messages: Sequence[RoutedMessage]) -> None:
    """Let messages wait again that were not delivered."""
    for routed in messages:
        if routed.queue is not None:
            routed.queue.give_back((routed,))
        elif talk.active and target in talk.targets:
            talk.pending.put_back(target, routed)
        else:  # the connection ended meanwhile
            undelivered(talk, routed, (target,))


async def end_kept(messages: Sequence[RoutedMessage], error: Exception | None = None) -> None:
    """Take messages out of the journal of their target; with an error they are dead letters there."""
    kept = [routed for routed in messages if routed.queue is not None]
    if kept:
        await kept[0].queue.end(kept, error)


async def take_waiting(talk: TalkView) -> tuple[list[QueuedMessage], list[Exception]]:
    """Take the waiting messages of all targets, filtered, transformed and put together; and the failures.

    Raises:
        NotQueuedError: the connection does not queue.
    """
    if not talk.queued:
        text = f"talk {talk.name!r} delivers at once and has nothing to trigger; connect with queued=True"
        raise NotQueuedError(text, node=talk.source.name)
    steps, left = _QueuedSteps(talk), dict[Target, list[RoutedMessage]]()
    released: list[QueuedMessage] = []
    try:
        for target in talk.targets:
            kept, left[target] = kept_queue(talk, target), talk.pending.take(target)
            if kept is not None:
                left[target] += await kept.take()
            released += await steps.apply(target, left[target])
    except BaseException:  # the caller was cancelled, or the journal cannot be read
        for target, waiting in left.items():
            give_back(talk, target, waiting)
        raise
    together: dict[RoutedMessage, tuple[Message, list[Target]]] = {}
    for one in released:
        together.setdefault(one.together[-1], (one.message, []))[1].append(one.target)
    for routed, (message, targets) in together.items():
        passed(talk, routed, message, targets)
    return released, steps.failures


async def deliver_waiting(talk: TalkView, prompt: str | None, options: Mapping[str, Any]) -> list[Message]:
    """Deliver the waiting messages and wait for the targets; see `Talk.trigger`."""
    released, failures = await take_waiting(talk)
    by_target: dict[Target, deque[QueuedMessage]] = {}
    for one in released:
        by_target.setdefault(one.target, deque()).append(one)
    runs = [_run_in_turn(talk, waiting, prompt, options) for waiting in by_target.values()]
    answers: list[Message] = []
    try:
        for done in await asyncio.gather(*runs):
            answers += done[0]
            failures += done[1]
    finally:
        for waiting in by_target.values():
            while waiting:
                give_back(talk, waiting[0].target, waiting.popleft().together)
    _raise(talk, failures)
    return answers


async def release_waiting(talk: TalkView) -> list[QueuedMessage]:
    """Take the waiting messages for good; see `Talk.release`."""
    released, failures = await take_waiting(talk)
    try:
        _raise(talk, failures)
        for one in released:
            await end_kept(one.together)
    except BaseException:
        for one in released:
            give_back(talk, one.target, one.together)
        raise
    return released


def _raise(talk: TalkView, failures: Sequence[Exception]) -> None:
    for other in failures[1:]:
        add_note(failures[0], f"talk {talk.name!r}: failed as well: {safe_repr(other)}")
    if failures:
        raise failures[0]


class _QueuedSteps:
    """Filters waiting messages, and transforms each one once, however many targets it is for."""

    def __init__(self, talk: TalkView) -> None:
        self._talk = talk
        self._messages: dict[RoutedMessage, Message | None] = {}
        self.failures: list[Exception] = []

    async def apply(self, target: Target, waiting: list[RoutedMessage]) -> list[QueuedMessage]:
        """Return the messages for a target, and leave in `waiting` what they were made from."""
        strategy, passing = self._talk.queue_strategy, list[Message]()
        for routed in [*reversed(waiting)] if strategy == "latest" else [*waiting]:
            known = len(self.failures)
            message = await self._passing(target, routed)
            if message is None:
                await end_kept((routed,), *self.failures[known:])
                waiting.remove(routed)
                continue
            passing.append(message)
            if strategy == "latest":
                break
        if passing and strategy != "buffer":
            return [QueuedMessage(target, merged(passing) if strategy == "concat" else passing[0], waiting)]
        return [QueuedMessage(target, message, (routed,)) for message, routed in zip(passing, waiting, strict=True)]

    async def _passing(self, target: Target, routed: RoutedMessage) -> Message | None:
        if routed not in self._messages:
            targets = None if routed.queue is None else (target,)  # each durable target has a message of its own
            self._messages[routed] = await walk(apply_transform(self._talk, routed, targets))
            self._note_failure(routed)
        message = self._messages[routed]
        if message is None:
            return None
        passes = await walk(apply_filter(self._talk, routed, message, (target,)))
        self._note_failure(routed)
        return message if passes else None

    def _note_failure(self, routed: RoutedMessage) -> None:
        if routed.failure is not None:
            self.failures.append(routed.failure)
            routed.failure = None


async def _run_in_turn(
    talk: TalkView, waiting: deque[QueuedMessage], prompt: str | None, options: Mapping[str, Any]
) -> tuple[list[Message], list[Exception]]:
    answers: list[Message] = []
    failures: list[Exception] = []
    while waiting:
        try:
            reply = await _deliver(talk, waiting.popleft(), prompt, options)
            if reply is not None:
                answers.append(await reply)
        except Exception as error:
            failures.append(error)
    return answers, failures


async def _deliver(
    talk: TalkView, one: QueuedMessage, prompt: str | None, options: Mapping[str, Any]
) -> "asyncio.Future[Any] | None":
    """Give a message to its target; the future is the answer, None for a target that does not run."""
    message, routed, target = prompted(one.message, prompt), one.together[-1], one.target
    done = partial(settled, talk, routed, target)

    def post(origin: Origin, told: Any = None) -> "asyncio.Future[Any] | None":
        if talk.connection_type == "run":
            return target.post((message,), origin=origin, settled=told, **options)
        hand_over(talk, replace(routed, origin=origin), message, target)
        return None

    if routed.queue is None:
        return routed.call(post, routed.origin, done)
    reply: asyncio.Future[Any] | None = await routed.queue.release(one.together, post)
    if reply is not None:  # one that was refused waits, and is no failure
        reply.add_done_callback(done)
    return reply
