"""What a connection says about a message: events when somebody listens, dead letters for what was not delivered."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from actors.runtime.errors import ActorStoppingError
from actors.talk.pending import RoutedMessage
from protocols.control import DeadLetterReason
from protocols.events import HopLimitReached, TalkFailed, TalkProcessed
from protocols.messages import ChatMessage
from protocols.node import Named, Target

if TYPE_CHECKING:
    from actors.talk.talk import Talk


class ConnectionProcessed(msgspec.Struct, frozen=True, eq=False):
    """A connection handled one message: passed it on, queued it (no targets yet), or filtered it away (no targets)."""

    message: ChatMessage[Any]
    """As it is passed on: transformed."""
    source: Named
    """Where it came from."""
    targets: tuple[Target, ...]
    """Where it goes."""
    queued: bool
    """Whether it waits for a trigger."""
    connection_type: str
    """run, context or forward."""
    timestamp: datetime
    """Time of the message."""
    conversation_id: str
    """Flow of messages it belongs to."""
    talk: "Talk"
    """The connection."""


def processed(
    talk: "Talk", message: ChatMessage[Any], targets: Sequence[Target], parcel: RoutedMessage, *, queued: bool
) -> None:
    """Say that a message was handled, to the event stream and to the signals of the connection and its registry."""
    events = parcel.system.events
    if events.wants(TalkProcessed):
        events.publish(
            TalkProcessed,
            actor=talk.source.name,
            run_id=parcel.origin.run_id,
            talk=talk.name,
            source=talk.source.name,
            targets=tuple(target.name for target in targets),
            message_id=message.message_id,
            conversation_id=parcel.origin.conversation_id,
            connection_type=talk.connection_type,
            queued=queued,
        )
    flow = talk.registry.message_flow if talk.registry is not None else None
    if talk.connection_processed.subscribers or (flow is not None and flow.subscribers):
        fact = ConnectionProcessed(
            message, talk.source, tuple(targets), queued, talk.connection_type, message.timestamp,
            parcel.origin.conversation_id, talk,
        )  # fmt: skip
        talk.connection_processed.emit(fact)
        if flow is not None:
            flow.emit(fact)


def failed(
    talk: "Talk",
    parcel: RoutedMessage,
    step: str,
    error: BaseException,
    targets: Sequence[Target] | None = None,
    reason: DeadLetterReason = DeadLetterReason.FAILED,
) -> None:
    """Take note that a message does not reach some targets (None for all); nobody else is affected."""
    parcel.failure = error if isinstance(error, Exception) else None
    talk.stats.add_error(talk.source.name if targets is None else targets[0].name, f"{type(error).__name__}: {error}")
    _publish_failure(talk, parcel, step, error, "" if targets is None else targets[0].name)
    if isinstance(error, ActorStoppingError):
        return  # the actor had ended: the engine has put the request into the dead letters
    for target in talk.targets if targets is None else targets:
        parcel.system.dead_letters.record(parcel.message, target, reason, sender=talk.source.name, cause=error)


def _publish_failure(talk: "Talk", parcel: RoutedMessage, step: str, error: BaseException, target: str) -> None:
    if parcel.system.events.wants(TalkFailed):
        parcel.system.events.publish(
            TalkFailed,
            actor=talk.source.name,
            run_id=parcel.origin.run_id,
            talk=talk.name,
            source=talk.source.name,
            target=target,
            message_id=parcel.message.message_id,
            step=step,
            error_type=type(error).__name__,
            error=str(error)[:500],
        )


def crowded_out(talk: "Talk", parcel: RoutedMessage, target: Target, error: Exception) -> None:
    """Take note that there was no room for a message."""
    talk.stats.dropped += 1
    failed(talk, parcel, "queue", error, (target,), DeadLetterReason.OVERFLOW)


def hop_limit_reached(talk: "Talk", parcel: RoutedMessage, error: Exception) -> None:
    """Take note that a message is not passed on because too many connections led to it."""
    events, message = parcel.system.events, parcel.message
    if events.wants(HopLimitReached):
        events.publish(
            HopLimitReached,
            actor=talk.source.name,
            run_id=parcel.origin.run_id,
            talk=talk.name,
            message_id=message.message_id,
            limit=talk.hop_limit,
            route=(*message.forwarded_from, message.name or talk.source.name),
        )
    talk.stats.add_error(talk.source.name, f"HopLimitError: {error}")
    for target in talk.targets:
        parcel.system.dead_letters.record(message, target, DeadLetterReason.HOPS, sender=talk.source.name, cause=error)
