"""`TalkView` and `TalkContext`: a connection as its parts see it, and what its conditions are given."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from actors.talk.signal import Signal
from actors.talk.talk_stats import TalkStats
from actors.talk.transform import Message
from protocols.node import Named, Target

ConnectionType = Literal["run", "context", "forward"]
QueueStrategy = Literal["latest", "concat", "buffer"]
Transform = Callable[[Any], object]
"""Gets the message and returns what is passed on, or an awaitable of it."""


class TalkView(Protocol):
    """A connection as its parts see it: `Talk` implements it, `TalkSetting` explains the options."""

    source: Named
    targets: tuple[Target, ...]
    name: str
    active: bool
    stats: TalkStats
    registry: "Mapping[str, Any] | None"
    message_flow: "Signal[ConnectionProcessed] | None"
    message_forwarded: Signal[Message]
    connection_processed: "Signal[ConnectionProcessed]"
    connection_type: ConnectionType
    queued: bool
    queue_strategy: QueueStrategy
    capacity: int
    transform_fn: Transform | None
    filter_condition: "Condition | None"
    stop_condition: "Condition | None"
    exit_condition: "Condition | None"
    delay: float | None
    hop_limit: int
    timeout: float | None

    @property
    def priority(self) -> int:
        """Lower numbers go first."""
        ...


class TalkContext(msgspec.Struct, frozen=True, eq=False):
    """A message on its way to a target: what a condition is given.

    Example:
        ```python
        a.connect_to(b, filter_condition=lambda context: "urgent" in context.message.text)
        a.connect_to(b, stop_condition=lambda context: context.stats.message_count >= 3)
        ```
    """

    message: Message
    """The message; a filter sees it transformed."""
    target: Target
    """The node that gets the message."""
    stats: TalkStats
    """Numbers of the connection before this message."""
    registry: Mapping[str, Any] | None
    """The connections of the pool by name; None without a pool."""
    talk: TalkView
    """The connection."""

    @property
    def source(self) -> Named:
        """The node at which the connection begins."""
        return self.talk.source


Condition = Callable[[TalkContext], object]
"""Decides whether a message passes: returns any truth value, or an awaitable of one."""


class ConnectionProcessed(msgspec.Struct, frozen=True, eq=False):
    """A connection handled one message: it passed the message on, queued it, or filtered it away."""

    message: Message
    """The message as it is passed on: transformed."""
    source: Named
    """The node that sent the message."""
    targets: tuple[Target, ...]
    """The nodes that get the message; empty if it is queued or filtered away."""
    queued: bool
    """True if the message waits for a trigger."""
    connection_type: str
    """run, context or forward."""
    timestamp: datetime
    """Time of the message."""
    conversation_id: str
    """The conversation of the message."""
    talk: TalkView
    """The connection."""
