"""Triggering a queued connection: waiting messages are filtered, transformed, put together and delivered."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from actors.talk.context import TalkView
from actors.talk.pending import RoutedMessage
from actors.talk.pipeline import apply_filter, apply_transform, walk
from actors.talk.talk_events import passed, settled
from actors.talk.target_queue import hand_over
from actors.talk.transform import Message, merged, prompted
from protocols.errors import NotQueuedError, add_note, safe_repr
from protocols.node import Target

Release = tuple[Target, Message, RoutedMessage]


async def take_waiting(talk: TalkView) -> tuple[list[Release], list[Exception]]:
    """Take the waiting messages of all targets, filtered, transformed and put together; and the failures.

    Raises:
        NotQueuedError: the connection does not queue.
    """
    if not talk.queued:
        text = f"talk {talk.name!r} delivers at once and has nothing to trigger; connect with queued=True"
        raise NotQueuedError(text, node=talk.source.name)
    steps = _QueuedSteps(talk)
    released: list[Release] = []
    for target in talk.targets:
        released += [(target, *one) for one in await steps.apply(target, talk.pending.take(target))]
    together: dict[RoutedMessage, tuple[Message, list[Target]]] = {}
    for target, message, routed in released:
        together.setdefault(routed, (message, []))[1].append(target)
    for routed, (message, targets) in together.items():
        passed(talk, routed, message, targets)
    return released, steps.failures


async def deliver_waiting(talk: TalkView, prompt: str | None, options: Mapping[str, Any]) -> list[Message]:
    """Deliver the waiting messages and wait for the targets; see `Talk.trigger`."""
    released, failures = await take_waiting(talk)
    by_target: dict[Target, list[Release]] = {}
    for one in released:
        by_target.setdefault(one[0], []).append(one)
    runs = [_run_in_turn(talk, waiting, prompt, options) for waiting in by_target.values()]
    answers: list[Message] = []
    for done in await asyncio.gather(*runs):
        answers += done[0]
        failures += done[1]
    if failures:
        for other in failures[1:]:
            add_note(failures[0], f"talk {talk.name!r}: failed as well: {safe_repr(other)}")
        raise failures[0]
    return answers


class _QueuedSteps:
    """Filters waiting messages, and transforms each one once, however many targets it is for."""

    def __init__(self, talk: TalkView) -> None:
        self._talk = talk
        self._messages: dict[RoutedMessage, Message | None] = {}
        self.failures: list[Exception] = []

    async def apply(self, target: Target, waiting: list[RoutedMessage]) -> list[tuple[Message, RoutedMessage]]:
        """Return the messages for a target."""
        kept: list[tuple[Message, RoutedMessage]] = []
        strategy = self._talk.queue_strategy
        for routed in reversed(waiting) if strategy == "latest" else waiting:
            message = await self._passing(target, routed)
            if message is not None:
                kept.append((message, routed))
                if strategy == "latest":
                    break
        if strategy == "concat" and kept:
            return [(merged([message for message, _ in kept]), kept[-1][1])]
        return kept

    async def _passing(self, target: Target, routed: RoutedMessage) -> Message | None:
        if routed not in self._messages:
            routed.failure = None
            self._messages[routed] = await walk(apply_transform(self._talk, routed))
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
    talk: TalkView, waiting: list[Release], prompt: str | None, options: Mapping[str, Any]
) -> tuple[list[Message], list[Exception]]:
    answers: list[Message] = []
    failures: list[Exception] = []
    for target, released, routed in waiting:
        message = prompted(released, prompt)
        try:
            if talk.connection_type == "run":
                done = partial(settled, talk, routed, target)
                answers.append(await target.post((message,), origin=routed.origin, settled=done, **options))
            else:
                hand_over(talk, routed, message, target)
        except Exception as error:
            failures.append(error)
    return answers, failures
