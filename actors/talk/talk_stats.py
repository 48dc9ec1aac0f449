"""Numbers of one connection, live, and of several together."""

from collections import deque
from collections.abc import Callable, Iterable
from copy import copy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

import msgspec

from protocols.cost import ZERO_COST
from protocols.message_style import MessageStyle
from protocols.messages import ChatMessage
from protocols.tool_call import ToolCallInfo

_KEPT = 1_000
"""Messages, errors and calls of tools that are kept; the counts go on."""

ErrorEntry = tuple[str, str, datetime]
"""Who, what (type and text) and when."""


class TalkSnapshot(msgspec.Struct, frozen=True):
    """The numbers at one moment; `msgspec.json.encode` makes it JSON in one call."""

    message_count: int = 0
    """Messages passed on; each counts once, however many targets it went to."""
    token_count: int = 0
    """Tokens read and written for them."""
    cost: Decimal = ZERO_COST
    """Money in US dollars, exact."""
    byte_count: int = 0
    """Bytes of UTF-8 in their contents."""
    error_count: int = 0
    """Messages that could not be handled or on which a target failed."""
    dropped: int = 0
    """Messages for which there was no room."""


class TalkStats:
    """Numbers of one connection. The object lives as long as the connection and only ever grows.

    It may be read from any thread while messages flow.
    """

    def __init__(self, source_name: str, target_names: Iterable[str]) -> None:
        """Start at zero."""
        self.source_name = source_name
        """Where the connection begins."""
        self.target_names = frozenset(target_names)
        """Where it ends."""
        self.start_time = datetime.now(UTC)
        """When it was made."""
        self.last_message_time: datetime | None = None
        """Time of the last message passed on; None before the first."""
        self.message_count = 0
        """Messages passed on; each counts once, however many targets it went to."""
        self.token_count = 0
        """Tokens read and written for messages that have cost data."""
        self.byte_count = 0
        """Bytes of UTF-8 in the contents."""
        self.error_count = 0
        """Messages that could not be handled or on which a target failed."""
        self.dropped = 0
        """Messages for which there was no room."""
        self.cost = ZERO_COST
        """Money in US dollars, exact."""
        self._messages: deque[ChatMessage[Any]] = deque(maxlen=_KEPT)
        self._tool_calls: deque[ToolCallInfo] = deque(maxlen=_KEPT)
        self._errors: deque[ErrorEntry] = deque(maxlen=_KEPT)

    def count(self, message: ChatMessage[Any]) -> None:
        """Count one message that is passed on."""
        self._messages.append(message)
        self.last_message_time = message.timestamp
        self.byte_count += message.byte_count
        if message.cost_info is not None:
            self.token_count += message.cost_info.token_usage.total_tokens
            self.cost += message.cost_info.total_cost
        if message.tool_calls:
            self._tool_calls.extend(message.tool_calls)
        self.message_count += 1

    def add_error(self, name: str, error: str) -> None:
        """Keep one error."""
        self._errors.append((name, error, datetime.now(UTC)))
        self.error_count += 1

    @property
    def messages(self) -> list[ChatMessage[Any]]:
        """The last 1,000 messages passed on, oldest first."""
        return list(self._messages.copy())

    @property
    def tool_calls(self) -> list[ToolCallInfo]:
        """The last 1,000 calls of tools made for them."""
        return list(self._tool_calls.copy())

    @property
    def errors(self) -> list[ErrorEntry]:
        """The last 1,000 errors."""
        return list(self._errors.copy())

    @property
    def total_cost(self) -> float:
        """`cost` as a float."""
        return float(self.cost)

    def snapshot(self) -> TalkSnapshot:
        """Return the numbers as they are now."""
        return TalkSnapshot(
            self.message_count, self.token_count, self.cost, self.byte_count, self.error_count, self.dropped
        )

    def frozen(self) -> Self:
        """Return a copy that stays as it is now, for whoever looks at it later."""
        twin = copy(self)
        vars(twin).update(
            _messages=self._messages.copy(), _tool_calls=self._tool_calls.copy(), _errors=self._errors.copy()
        )
        return twin

    def format(self, style: MessageStyle = "simple", **options: Any) -> str:
        """Return the kept messages as text, one after the other; see `ChatMessage.format`."""
        return "\n".join(message.format(style, **options) for message in self.messages)

    def __repr__(self) -> str:
        return f"<TalkStats of {self.source_name!r}: {self.message_count} messages, {self.error_count} errors>"


class AggregatedTalkStats:
    """Numbers of several connections together; always those of the moment in which they are read."""

    def __init__(self, members: Callable[[], Iterable[TalkStats]]) -> None:
        """Take what tells the members' numbers."""
        self._members = members

    @property
    def stats(self) -> list[TalkStats]:
        """The numbers of each connection."""
        return list(self._members())

    @property
    def num_connections(self) -> int:
        """How many connections there are."""
        return len(self.stats)

    @property
    def source_names(self) -> set[str]:
        """Where the connections begin."""
        return {each.source_name for each in self.stats}

    @property
    def target_names(self) -> set[str]:
        """Where they end."""
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
    def message_count(self) -> int:
        """Messages passed on."""
        return sum(each.message_count for each in self.stats)

    @property
    def token_count(self) -> int:
        """Tokens read and written."""
        return sum(each.token_count for each in self.stats)

    @property
    def byte_count(self) -> int:
        """Bytes of UTF-8."""
        return sum(each.byte_count for each in self.stats)

    @property
    def error_count(self) -> int:
        """Messages that could not be handled."""
        return sum(each.error_count for each in self.stats)

    @property
    def dropped(self) -> int:
        """Messages for which there was no room."""
        return sum(each.dropped for each in self.stats)

    @property
    def cost(self) -> Decimal:
        """Money in US dollars, exact."""
        return sum((each.cost for each in self.stats), ZERO_COST)

    @property
    def total_cost(self) -> float:
        """`cost` as a float."""
        return float(self.cost)

    @property
    def start_time(self) -> datetime | None:
        """When the first connection was made; None without any."""
        return min((each.start_time for each in self.stats), default=None)

    @property
    def last_message_time(self) -> datetime | None:
        """Time of the last message; None before the first."""
        times = (each.last_message_time for each in self.stats)
        return max((time for time in times if time is not None), default=None)

    def snapshot(self) -> TalkSnapshot:
        """Return the numbers as they are now."""
        return TalkSnapshot(
            self.message_count, self.token_count, self.cost, self.byte_count, self.error_count, self.dropped
        )

    def format(self, style: MessageStyle = "simple", **options: Any) -> str:
        """Return the kept messages as text, one after the other."""
        return "\n".join(message.format(style, **options) for message in self.messages)
