"""What a connection reports about a message: numbers, events for listeners, dead letters for undelivered messages."""

import asyncio
from collections.abc import Sequence
from typing import Any

from actors.runtime.errors import ActorStoppingError
from actors.runtime.log import error_line
from actors.talk.context import ConnectionProcessed, TalkView
from actors.talk.pending import RoutedMessage
from actors.talk.transform import Message
from protocols.control import DeadLetterReason
from protocols.errors import NodeStoppedError, RunCancelledError, TalkError, limited_text
from protocols.events import HopLimitReached, TalkFailed, TalkProcessed
from protocols.node import Target


def processed(
    talk: TalkView, message: Message, targets: Sequence[Target], routed: RoutedMessage, *, queued: bool = False
) -> None:
    """Report a handled message to the event stream and to the signals of the connection and its pool."""
    events = routed.system.events
    if events.wants(TalkProcessed):
        events.publish(
            TalkProcessed, actor=talk.source.name, run_id=routed.origin.run_id, talk=talk.name, source=talk.source.name,
            targets=tuple(target.name for target in targets), message_id=message.message_id,
            conversation_id=routed.origin.conversation_id, connection_type=talk.connection_type, queued=queued,
        )  # fmt: skip
    flow = talk.message_flow
    if talk.connection_processed.subscribers or (flow is not None and flow.subscribers):
        fact = ConnectionProcessed(
            message, talk.source, tuple(targets), queued, talk.connection_type, message.timestamp,
            routed.origin.conversation_id, talk,
        )  # fmt: skip
        talk.connection_processed.emit(fact)
        if flow is not None:
            flow.emit(fact)


def passed(talk: TalkView, routed: RoutedMessage, message: Message, targets: Sequence[Target]) -> None:
    """Report and count a message that the conditions let through; without targets it is only reported."""
    processed(talk, message, targets, routed)
    if targets:
        talk.stats.count(message)
        if talk.message_forwarded.subscribers:
            talk.message_forwarded.emit(message)


def failed(
    talk: TalkView,
    routed: RoutedMessage,
    step: str,
    error: BaseException,
    targets: Sequence[Target] | None = None,
    reason: DeadLetterReason = DeadLetterReason.FAILED,
) -> None:
    """Report that a message does not reach some targets (None for all)."""
    routed.failure = error if isinstance(error, Exception) else None
    name = "" if targets is None else targets[0].name
    talk.stats.add_error(name or talk.source.name, error_line(error))
    routed.system.events.publish(
        TalkFailed, actor=talk.source.name, run_id=routed.origin.run_id, talk=talk.name, source=talk.source.name,
        target=name, message_id=routed.message.message_id, step=step, error_type=type(error).__name__,
        error=limited_text(str, error, 500),
    )  # fmt: skip
    is_kept = isinstance(error, NodeStoppedError) and error.is_kept  # so the source, or the target, is run again
    if not is_kept and not isinstance(error, ActorStoppingError):  # of which the engine has made a dead letter
        undelivered(talk, routed, talk.targets if targets is None else targets, error, reason)


def undelivered(
    talk: TalkView,
    routed: RoutedMessage,
    targets: Sequence[Target],
    cause: BaseException | None = None,
    reason: DeadLetterReason = DeadLetterReason.STOPPED,
) -> None:
    """Record one dead letter per target; by default because the connection or its system ended."""
    for target in targets:
        routed.system.dead_letters.record(routed.message, target, reason, sender=talk.source.name, cause=cause)


def settled(talk: TalkView, routed: RoutedMessage, target: Target, done: asyncio.Future[Any]) -> None:
    """Report a target whose run failed or was cancelled."""
    error: BaseException | None
    if done.cancelled():
        error = RunCancelledError(f"node {target.name!r}: the run was cancelled", node=target.name)
    else:
        error = done.exception()
    if error is not None:
        failed(talk, routed, "deliver", error, (target,))


def crowded_out(talk: TalkView, routed: RoutedMessage, target: Target, problem: str) -> None:
    """Report a message that a full queue dropped."""
    talk.stats.dropped += 1
    error = TalkError(problem, node=talk.source.name, message=routed.message)
    failed(talk, routed, "queue", error, (target,), DeadLetterReason.OVERFLOW)


def queue_full(talk: TalkView, routed: RoutedMessage, target: Target) -> None:
    """Report a message for which there was no room among those that wait for a trigger."""
    problem = f"{talk.capacity} messages wait for {target.name!r}, which is its capacity"
    crowded_out(talk, routed, target, f"talk {talk.name!r}: {problem}")


def hop_limit_reached(talk: TalkView, routed: RoutedMessage, error: Exception) -> None:
    """Report a message that is not passed on because too many connections led to it."""
    message = routed.message
    routed.system.events.publish(
        HopLimitReached, actor=talk.source.name, run_id=routed.origin.run_id, talk=talk.name,
        message_id=message.message_id, limit=talk.hop_limit,
        route=(*message.forwarded_from, message.name or talk.source.name),
    )  # fmt: skip
    talk.stats.add_error(talk.source.name, f"HopLimitError: {error}")
    undelivered(talk, routed, talk.targets, error, DeadLetterReason.HOPS)
