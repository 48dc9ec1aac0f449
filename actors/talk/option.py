"""The options of a connection: keywords, meaning, checks, and the options of a living connection."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, get_args

import msgspec

from actors.talk.context import Condition, ConnectionType, QueueStrategy, Transform
from protocols.checks import (
    FLAG,
    FUNCTION,
    TIME_LIMIT,
    Check,
    Checks,
    check_keywords,
    check_values,
    choice,
    finite,
    instance_of,
    whole,
)
from protocols.errors import TalkError
from protocols.mailbox import Overflow

DEFAULT_CAPACITY = 1_000
DEFAULT_HOP_LIMIT = 64
DEFAULT_TIMEOUT = 300.0


class TalkKeywords(TypedDict, total=False):
    """Keywords of `connect_to` and `Talk`; see `TalkOptions` for their meaning."""

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


class TalkOptions(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How a connection treats messages."""

    connection_type: ConnectionType = "run"
    """Run the targets, add the message to their next run, or pass it on through their own connections."""
    queued: bool = False
    """True if messages wait for `trigger()`."""
    queue_strategy: QueueStrategy = "latest"
    """What a trigger delivers: the newest message, all as one, or each in turn."""
    capacity: int = DEFAULT_CAPACITY
    """Most messages that wait for a trigger, for each target; and most messages that wait for an asynchronous function
    or a delay, together."""
    overflow: Overflow = Overflow.REJECT
    """What a full queue does: refuse the new message, drop it, or drop the oldest. Each becomes a dead letter."""
    transform: Transform | None = None
    """Changes each message; sync or async."""
    filter_condition: Condition | None = None
    """Only messages for which it is true pass, target by target; sync or async."""
    stop_condition: Condition | None = None
    """The connection ends with the first message for which it is true; that message does not pass."""
    exit_condition: Condition | None = None
    """The system begins an orderly end with the first message for which it is true; that message does not pass."""
    priority: int = 0
    """Lower numbers go first, among the connections of a source and among the messages that wait for a target."""
    delay: float | None = None
    """Seconds between a message and its delivery, by the clock of the system."""
    wait_for_completion: bool = False
    """True if a run of the source waits for this connection unless it says ``wait_for_connections=False``."""
    per_member: bool = False
    """Pass on one message per member of a team instead of the team's combined one."""
    hop_limit: int = DEFAULT_HOP_LIMIT
    """Most connections that may have led to a message; after one more it is a dead letter."""
    timeout: float | None = DEFAULT_TIMEOUT
    """Seconds for the asynchronous conditions and the transform of a message, waiting behind earlier messages included.
    Then they are cancelled and the message is a dead letter. None for no limit. `trigger` has no limit of its own."""

    @classmethod
    def of(cls, who: str, keywords: dict[str, Any]) -> "TalkOptions":
        """Check keywords and return the options.

        Args:
            who: the connection, for the error.
            keywords: see `TalkKeywords`.

        Raises:
            TypeError: an unknown keyword.
            TalkError: an impossible value, or values that do not fit each other.
        """
        if not keywords:
            return _PLAIN
        check_keywords(f"{who}: connections take no keyword", keywords, cls.__struct_fields__)
        check_options(keywords, who)
        if "overflow" in keywords:
            keywords = {**keywords, "overflow": Overflow(keywords["overflow"])}
        return cls(**keywords)


_PLAIN = TalkOptions()


def check_options(given: Mapping[str, Any], who: str) -> None:
    """Refuse impossible options with a `TalkError`.

    Args:
        given: the options by name.
        who: the connection, for the error.
    """
    check_values(_CHECKS, given, lambda _, problem: TalkError(f"{who}: {problem}"), never_none=_NEVER_NONE)
    if given.get("queued") and given.get("delay") is not None:
        message = f"{who}: delay does not go with queued: a queued message is delivered when trigger() is called"
        raise TalkError(message)


_CHECKS: Checks = {
    "connection_type": choice(*get_args(ConnectionType)),
    "queued": FLAG,
    "queue_strategy": choice(*get_args(QueueStrategy)),
    "capacity": whole(1),
    "overflow": choice("reject", "drop_oldest", "drop_newest"),
    **dict.fromkeys(("transform", "filter_condition", "stop_condition", "exit_condition"), FUNCTION),
    "priority": instance_of("a whole number", int),
    "delay": Check("seconds >= 0", finite(0).accepts),
    "wait_for_completion": FLAG,
    "per_member": FLAG,
    "hop_limit": whole(1),
    "timeout": TIME_LIMIT,
}
_NEVER_NONE = frozenset(
    name for name, check in _CHECKS.items() if check not in (FUNCTION, TIME_LIMIT) and name != "delay"
)


class TalkSetting:
    """The options of one living connection; see `TalkOptions` for their meaning.

    A change holds for the next message; on a queued connection also for the waiting messages.
    """

    connection_type: ConnectionType
    queued: bool
    queue_strategy: QueueStrategy
    capacity: int
    overflow: Overflow
    filter_condition: Condition | None
    stop_condition: Condition | None
    exit_condition: Condition | None
    delay: float | None
    wait_for_completion: bool
    per_member: bool
    hop_limit: int
    timeout: float | None
    transform_fn: Transform | None
    """The transform; `Talk.transform` adds one after it."""
    _priority: int

    def __init__(self, options: TalkOptions) -> None:
        given = {name: getattr(options, name) for name in _CHANGEABLE}  # checked already
        self.__dict__.update(given, transform_fn=options.transform, _priority=options.priority)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an option.

        Raises:
            TalkError: the value is impossible; nothing has changed.
        """
        if name in _CHANGEABLE or name == "transform_fn":
            option = "transform" if name == "transform_fn" else name
            given = {"queued": self.queued, "delay": self.delay, option: value}
            check_options(given, f"talk {getattr(self, 'name', '')!r}")
            if name == "overflow":
                value = Overflow(value)
        super().__setattr__(name, value)

    @property
    def priority(self) -> int:
        """Lower numbers go first; it cannot change."""
        return self._priority


_CHANGEABLE = frozenset(TalkOptions.__struct_fields__) - {"transform", "priority"}
