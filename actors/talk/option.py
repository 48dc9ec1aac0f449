"""How a connection treats messages: its keywords, what they mean, and what is refused."""

from collections.abc import Callable
from typing import Any, Literal, TypedDict

import msgspec

from actors.talk.context import Condition
from protocols.errors import TalkError, nearest
from protocols.mailbox import Overflow

ConnectionType = Literal["run", "context", "forward"]
QueueStrategy = Literal["latest", "concat", "buffer"]
Transform = Callable[[Any], object]
"""Gets the message and returns what is passed on, or an awaitable of it."""

DEFAULT_CAPACITY = 1_000
DEFAULT_HOP_LIMIT = 64
DEFAULT_TIMEOUT = 300.0

_CHOICES: dict[str, tuple[str, ...]] = {
    "connection_type": ("run", "context", "forward"),
    "queue_strategy": ("latest", "concat", "buffer"),
    "overflow": ("reject", "drop_oldest", "drop_newest"),
}
_FLAGS = ("queued", "wait_for_completion", "per_member")
_CALLABLES = ("transform", "filter_condition", "stop_condition", "exit_condition")


class TalkKeywords(TypedDict, total=False):
    """Keywords of `connect_to` and `Talk`; see `TalkOptions` for what they mean."""

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
    """Whether messages wait for `trigger()`."""
    queue_strategy: QueueStrategy = "latest"
    """What a trigger delivers: the newest message, all as one, or each in turn."""
    capacity: int = DEFAULT_CAPACITY
    """Messages that wait for a trigger at most, for each target; and those that wait for an asynchronous condition or
    transform, or for their delay, together."""
    overflow: Overflow = Overflow.REJECT
    """What a full queue does: refuse the new message, drop it, or drop the oldest. Each becomes a dead letter."""
    transform: Transform | None = None
    """Changes each message; sync or async."""
    filter_condition: Condition | None = None
    """Only messages for which it is true pass, target by target; sync or async."""
    stop_condition: Condition | None = None
    """The connection ends with the first message for which it is true; that message does not pass."""
    exit_condition: Condition | None = None
    """The system is asked for an orderly end with the first message for which it is true; it does not pass."""
    priority: int = 0
    """Lower numbers go first, among the connections of a source and among what waits for a target."""
    delay: float | None = None
    """Seconds between a message and its delivery, by the clock of the system."""
    wait_for_completion: bool = False
    """Whether a run of the source waits for this connection unless it says ``wait_for_connections=False``."""
    per_member: bool = False
    """Pass on one message per member of a team instead of the team's combined one."""
    hop_limit: int = DEFAULT_HOP_LIMIT
    """Connections that may have led to a message; one more and it is a dead letter."""
    timeout: float | None = DEFAULT_TIMEOUT
    """Seconds that asynchronous conditions and the transform may take over a message, waiting behind earlier ones
    included; then they are cancelled and it is a dead letter. None for no limit. `trigger` has no limit of its own."""

    @classmethod
    def of(cls, who: str, keywords: dict[str, Any]) -> "TalkOptions":
        """Take keywords.

        Args:
            who: the connection, for the error.
            keywords: see `TalkKeywords`.

        Raises:
            TypeError: an unknown keyword.
            TalkError: a value that cannot be used, or values that do not go together.
        """
        if not keywords:
            return _PLAIN
        unknown = keywords.keys() - set(cls.__struct_fields__)
        if unknown:
            name = min(unknown)
            msg = f"{who}: connections take no keyword {name!r}{nearest(name, cls.__struct_fields__)}"
            raise TypeError(msg)
        for problem in problems(keywords):
            msg = f"{who}: {problem}"
            raise TalkError(msg)
        if "overflow" in keywords:
            keywords = {**keywords, "overflow": Overflow(keywords["overflow"])}
        return cls(**keywords)


_PLAIN = TalkOptions()


def problems(given: dict[str, Any]) -> list[str]:
    """Return what is wrong with keywords, worst first."""
    found = [
        f"{name} must be one of {', '.join(map(repr, choices))}, not {given[name]!r}"
        for name, choices in _CHOICES.items()
        if name in given and given[name] not in choices
    ]
    found += [
        f"{name} must be a whole number >= 1, not {given[name]!r}"
        for name in ("capacity", "hop_limit")
        if name in given and not (type(given[name]) is int and given[name] >= 1)
    ]
    found += [
        f"{name} must be a function, not {given[name]!r}"
        for name in _CALLABLES
        if given.get(name) is not None and not callable(given[name])
    ]
    found += [
        f"{name} must be True or False, not {given[name]!r}"
        for name in _FLAGS
        if name in given and not isinstance(given[name], bool)
    ]
    if "priority" in given and type(given["priority"]) is not int:
        found.append(f"priority must be a whole number, not {given['priority']!r}")
    timeout = given.get("timeout")
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0):
        found.append(f"timeout must be seconds > 0, or None for no limit, not {timeout!r}")
    found += _delay_problems(given)
    return found


def _delay_problems(given: dict[str, Any]) -> list[str]:
    delay = given.get("delay")
    if delay is None:
        return []
    if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay < float("inf"):
        return [f"delay must be seconds >= 0, not {delay!r}"]
    if given.get("queued"):
        return ["delay does not go with queued: a queued message is delivered when trigger() is called"]
    return []
