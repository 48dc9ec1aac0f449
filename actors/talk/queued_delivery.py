"""Triggering a queued connection: what waits is filtered, transformed, put together and delivered."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from actors.talk.pending import RoutedMessage
from actors.talk.pipeline import apply_filter, apply_transform, walk
from actors.talk.target_queue import Forwarded
from actors.talk.transform import Message, context_text, merged, prompted
from protocols.errors import NotQueuedError
from protocols.node import Target

if TYPE_CHECKING:
    from actors.talk.talk import Talk

Release = tuple[Target, Message, RoutedMessage]


async def release(talk: "Talk") -> list[Release]:
    """Take what waits for the targets of a connection; see `Talk.release`."""
    released, failures = await _release(talk)
    if failures:
        raise failures[0]
    return released


async def trigger(talk: "Talk", prompt: str | None, options: Mapping[str, Any]) -> list[Message]:
    """Deliver what waits; see `Talk.trigger`."""
    released, failures = await _release(talk)
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
            failures[0].add_note(f"talk {talk.name!r}: failed as well: {other!r}")
        raise failures[0]
    return answers


async def _release(talk: "Talk") -> tuple[list[Release], list[Exception]]:
    if not talk.queued:
        msg = f"talk {talk.name!r} delivers at once and has nothing to trigger; connect with queued=True"
        raise NotQueuedError(msg, node=talk.source.name)
    shaper = _Shaper(talk)
    released: list[Release] = []
    for target in talk.targets:
        released += [(target, *one) for one in await shaper.shaped(target, talk.pending.take(target))]
    together: dict[int, tuple[RoutedMessage, Message, list[Target]]] = {}
    for target, message, parcel in released:
        together.setdefault(id(parcel), (parcel, message, []))[2].append(target)
    for parcel, message, targets in together.values():
        talk.note_passed(parcel, message, targets)
    return released, shaper.failures


class _Shaper:
    """Filters what waits, and transforms each message once, however many targets it is for."""

    def __init__(self, talk: "Talk") -> None:
        self._talk = talk
        self._messages: dict[RoutedMessage, Message | None] = {}
        self.failures: list[Exception] = []

    async def shaped(self, target: Target, waiting: list[RoutedMessage]) -> list[tuple[Message, RoutedMessage]]:
        """Return what of the waiting parcels goes to a target."""
        kept: list[tuple[Message, RoutedMessage]] = []
        strategy = self._talk.queue_strategy
        for parcel in reversed(waiting) if strategy == "latest" else waiting:
            message = await self._passing(target, parcel)
            if message is not None:
                kept.append((message, parcel))
                if strategy == "latest":
                    break
        if strategy == "concat" and kept:
            return [(merged([message for message, _ in kept]), kept[-1][1])]
        return kept

    async def _passing(self, target: Target, parcel: RoutedMessage) -> Message | None:
        if parcel not in self._messages:
            parcel.failure = None
            self._messages[parcel] = await walk(apply_transform(self._talk, parcel))
            self._note(parcel)
        message = self._messages[parcel]
        if message is None:
            return None
        passes = await walk(apply_filter(self._talk, parcel, message, (target,)))
        self._note(parcel)
        return message if passes else None

    def _note(self, parcel: RoutedMessage) -> None:
        if parcel.failure is not None:
            self.failures.append(parcel.failure)
            parcel.failure = None


async def _run_in_turn(
    talk: "Talk", waiting: list[Release], prompt: str | None, options: Mapping[str, Any]
) -> tuple[list[Message], list[Exception]]:
    answers: list[Message] = []
    failures: list[Exception] = []
    for target, message, parcel in waiting:
        try:
            answer = await _run(talk, target, prompted(message, prompt), parcel, options)
        except Exception as error:
            failures.append(error)
        else:
            if answer is not None:
                answers.append(answer)
    return answers, failures


async def _run(
    talk: "Talk", target: Target, message: Message, parcel: RoutedMessage, options: Mapping[str, Any]
) -> Message | None:
    if talk.connection_type == "context":
        target.add_context(context_text(message, talk.source.name))
        return None
    if talk.connection_type == "forward":
        target.offer(message, Forwarded.past(parcel.origin, talk))
        return None
    settled = partial(talk.settled, parcel, target)
    return await target.post((message,), origin=parcel.origin, settled=settled, **options)
