"""Numbers of one connection, live, and of several together."""

from collections.abc import Callable, Iterable
from copy import copy
from datetime import UTC, datetime
from typing import Any, Self

from actors.stats.message_totals import MessageNumbers, MessageTotals, MessageTotalsSnapshot
from protocols.messages import ChatMessage, MessageStyle
from protocols.ring import MessageRing
from protocols.tool_call import ToolCallInfo

ErrorEntry = tuple[str, str, datetime]
"""Name of the node, type and text of the error, time."""


class TalkStats(MessageTotals):
    """Numbers of one connection: of the messages passed on, each counted once, however many targets it went to.

    The object lives as long as the connection, and its numbers only grow. Any thread may read it while messages flow.
    """

    def __init__(self, source_name: str, target_names: Iterable[str]) -> None:
        super().__init__()
        self.source_name = source_name
        """The node at which the connection begins."""
        self.target_names = frozenset(target_names)
        """The nodes to which it leads."""
        self.start_time = datetime.now(UTC)
        """Time of its creation."""
        self._messages: MessageRing[ChatMessage[Any]] = MessageRing()
        self._tool_calls: MessageRing[ToolCallInfo] = MessageRing()
        self._errors: MessageRing[ErrorEntry] = MessageRing()

    def count(self, message: ChatMessage[Any]) -> None:
        """Count one message that is passed on."""
        self._messages.append(message)
        if message.tool_calls:
            self._tool_calls.extend(message.tool_calls)
        self.add(message)

    def add_error(self, name: str, error: str) -> None:
        """Count and keep one error."""
        self._errors.append((name, error, datetime.now(UTC)))
        self.add_failure()

    @property
    def total_cost(self) -> float:
        """`cost` as a float."""
        return float(self.cost)

    @property
    def messages(self) -> list[ChatMessage[Any]]:
        """The last 1,000 messages passed on, oldest first; fewer when they hold more than 32 MiB."""
        return list(self._messages)

    @property
    def tool_calls(self) -> list[ToolCallInfo]:
        """The last 1,000 calls of tools made for them."""
        return list(self._tool_calls)

    @property
    def errors(self) -> list[ErrorEntry]:
        """The last 1,000 errors."""
        return list(self._errors)

    def frozen(self) -> Self:
        """Return a copy that does not change."""
        twin = copy(self)
        vars(twin).update(
            _messages=MessageRing(self._messages),
            _tool_calls=MessageRing(self._tool_calls),
            _errors=MessageRing(self._errors),
        )
        return twin

    def format(self, style: MessageStyle = "simple", **options: Any) -> str:
        """Return the kept messages as text, one per line; see `ChatMessage.format`."""
        return "\n".join(message.format(style, **options) for message in self.messages)

    def __repr__(self) -> str:
        return f"<TalkStats of {self.source_name!r}: {self.message_count} messages, {self.error_count} errors>"


class AggregatedTalkStats(MessageNumbers):
    """Numbers of several connections together, live."""

    def __init__(self, members: Callable[[], Iterable[TalkStats]]) -> None:
        self._members = members

    def snapshot(self) -> MessageTotalsSnapshot:
        """Return the numbers of this moment."""
        return MessageTotalsSnapshot.sum(each.snapshot() for each in self._members())

    totals = snapshot

    @property
    def stats(self) -> list[TalkStats]:
        """The numbers of each connection."""
        return list(self._members())

    @property
    def num_connections(self) -> int:
        """Number of connections."""
        return len(self.stats)

    @property
    def source_names(self) -> set[str]:
        """The nodes at which the connections begin."""
        return {each.source_name for each in self.stats}

    @property
    def target_names(self) -> set[str]:
        """The nodes to which they lead."""
        return {name for each in self.stats for name in each.target_names}

    @property
    def messages(self) -> list[ChatMessage[Any]]:
        """The kept messages, connection by connection."""
        return [message for each in self.stats for message in each.messages]

    @property
    def tool_calls(self) -> list[ToolCallInfo]:
        """The kept calls of tools, connection by connection."""
        return [call for each in self.stats for call in each.tool_calls]

    @property
    def errors(self) -> list[ErrorEntry]:
        """The kept errors, oldest first."""
        return sorted((error for each in self.stats for error in each.errors), key=lambda error: error[2])

    @property
    def start_time(self) -> datetime | None:
        """Time of the first connection; None without any."""
        return min((each.start_time for each in self.stats), default=None)

    def format(self, style: MessageStyle = "simple", **options: Any) -> str:
        """Return the kept messages as text, one per line."""
        return "\n".join(message.format(style, **options) for message in self.messages)
