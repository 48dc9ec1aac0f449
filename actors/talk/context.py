"""The options of a connection, `TalkView`: a connection as its parts see it, and what its conditions are given."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypedDict, get_args

import msgspec

from actors.talk.pending import PendingQueue
from actors.talk.signal import Signal
from actors.talk.talk_stats import TalkStats
from actors.talk.transform import Message
from protocols.checks import (
    FLAG,
    FUNCTION,
    TIME_LIMIT,
    Check,
    check_keywords,
    check_values,
    choice,
    declared_checks,
    finite,
    instance_of,
    whole,
)
from protocols.errors import TalkError
from protocols.handle import Named
from protocols.mailbox import Overflow
from protocols.node import Target

ConnectionType = Literal["run", "context", "forward"]
QueueStrategy = Literal["latest", "concat", "buffer"]
Transform = Callable[[Any], object]
"""Gets the message and returns what is passed on, or an awaitable of it."""
Condition = Callable[["TalkContext"], object]
"""Decides whether a message passes: returns any truth value, or an awaitable of one."""


class TalkKeywords(TypedDict, total=False):
    """Keywords of `connect_to` and `Talk`; see `TalkSetting` for their meaning."""

    connection_type: ConnectionType
    queued: bool
    queue_strategy: QueueStrategy
    capacity: int
    overflow: Overflow | Literal["reject", "drop_oldest", "drop_newest"]
    transform: Transform | None
    filter_condition: Condition | None
    stop_condition: Condition | None
    exit_condition: Condition | None
    priority: int
    delay: float | None
    wait_for_completion: bool
    per_member: bool
    hop_limit: int
    timeout: float | None


_DELAY = Check("seconds >= 0", finite(0).accepts)


class TalkSetting:
    """The options of one connection: how it treats messages.

    A change holds for the next message; on a queued connection also for the waiting messages.
    """

    connection_type: Annotated[ConnectionType, choice(*get_args(ConnectionType))] = "run"
    """Run the targets, add the message to their next run, or pass it on through their own connections."""
    queued: Annotated[bool, FLAG] = False
    """True if messages wait for `trigger()`."""
    queue_strategy: Annotated[QueueStrategy, choice(*get_args(QueueStrategy))] = "latest"
    """What a trigger delivers: the newest message, all as one, or each in turn."""
    capacity: Annotated[int, whole(1)] = 1_000
    """Most messages that wait for a trigger, for each target; and most messages that wait for an asynchronous function
    or a delay, together."""
    overflow: Annotated[Overflow, choice("reject", "drop_oldest", "drop_newest")] = Overflow.REJECT
    """What a full queue does: refuse the new message, drop it, or drop the oldest. Each becomes a dead letter."""
    transform_fn: Annotated[Transform | None, FUNCTION] = None
    """Changes each message; sync or async. The keyword is ``transform``; `Talk.transform` adds one after it."""
    filter_condition: Annotated[Condition | None, FUNCTION] = None
    """Only messages for which it is true pass, target by target; sync or async."""
    stop_condition: Annotated[Condition | None, FUNCTION] = None
    """The connection ends with the first message for which it is true; that message does not pass."""
    exit_condition: Annotated[Condition | None, FUNCTION] = None
    """The system begins an orderly end with the first message for which it is true; that message does not pass."""
    _priority: Annotated[int, instance_of("a whole number", int)] = 0
    delay: Annotated[float | None, _DELAY] = None
    """Seconds between a message and its delivery, by the clock of the system."""
    wait_for_completion: Annotated[bool, FLAG] = False
    """True if a run of the source waits for this connection unless it says ``wait_for_connections=False``."""
    per_member: Annotated[bool, FLAG] = False
    """Pass on one message per member of a team instead of the team's combined one."""
    hop_limit: Annotated[int, whole(1)] = 64
    """Most connections that may have led to a message; after one more it is a dead letter."""
    timeout: Annotated[float | None, TIME_LIMIT] = 300.0
    """Seconds for the asynchronous conditions and the transform of a message, waiting behind earlier messages included.
    Then they are cancelled and the message is a dead letter. None for no limit. `trigger` has no limit of its own."""

    def __init__(self, who: str, keywords: Mapping[str, Any]) -> None:
        """Check the keywords and set the options.

        Args:
            who: the connection, for the error.
            keywords: see `TalkKeywords`.

        Raises:
            TypeError: an unknown keyword.
            TalkError: an impossible value, or values that do not fit each other.
        """
        check_keywords(f"{who}: connections take no keyword", keywords, TalkKeywords.__annotations__)
        _check(keywords, who)
        for name, value in keywords.items():
            self.__dict__[_ATTRIBUTES.get(name, name)] = Overflow(value) if name == "overflow" else value

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an option.

        Raises:
            TalkError: the value is impossible; nothing has changed.
        """
        if name in _DECLARED:
            option = "transform" if name == "transform_fn" else name
            given = {"queued": self.queued, "delay": self.delay, option: value}
            _check(given, f"talk {getattr(self, 'name', '')!r}")
            if name == "overflow":
                value = Overflow(value)
        super().__setattr__(name, value)

    @property
    def priority(self) -> int:
        """Lower numbers go first, among the connections of a source and the messages of a target; it cannot change."""
        return self._priority

    @property
    def keeps_newest(self) -> bool:
        """True if a message that waits for a trigger takes the place of all before it."""
        return self.queue_strategy == "latest" and self.filter_condition is None


class TalkView(TalkSetting):
    """A connection as its parts see it: `Talk` is one."""

    source: Named
    targets: tuple[Target, ...]
    name: str
    active: bool
    stats: TalkStats
    registry: Mapping[str, Any] | None
    message_flow: "Signal[ConnectionProcessed] | None"
    message_forwarded: Signal[Message]
    connection_processed: "Signal[ConnectionProcessed]"
    pending: PendingQueue


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


_ATTRIBUTES = {"transform": "transform_fn", "priority": "_priority"}
"""Keywords whose attribute has another name."""
_DECLARED = declared_checks(TalkSetting)
_CHECKS = _DECLARED | {keyword: _DECLARED[name] for keyword, name in _ATTRIBUTES.items()}
_NEVER_NONE = frozenset(name for name, check in _CHECKS.items() if check not in (FUNCTION, TIME_LIMIT, _DELAY))


def _check(given: Mapping[str, Any], who: str) -> None:
    """Refuse impossible options of a connection with a `TalkError`."""
    check_values(_CHECKS, given, lambda _, problem: TalkError(f"{who}: {problem}"), never_none=_NEVER_NONE)
    if given.get("queued") and given.get("delay") is not None:
        raise TalkError(f"{who}: delay does not go with queued: a queued message is delivered when trigger() is called")


TALK_DEFAULTS: Final = TalkSetting("a connection", {})
"""The options of a connection that is given none."""
