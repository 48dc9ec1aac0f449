"""Numbers about messages: one thread at a time writes, any task or thread reads."""

import threading
from datetime import datetime
from decimal import Decimal
from typing import Any

from actors.stats.event_totals import EXACT, UsageTotals
from protocols.cost import ZERO_COST, TokenCost
from protocols.messages import ChatMessage


class MessageTotalsSnapshot(UsageTotals, frozen=True):
    """The numbers at one moment; `msgspec.json.encode` makes it JSON (money as text, exact)."""

    token_count: int = 0
    """Tokens read and written by models."""
    message_count: int = 0
    """Messages."""
    error_count: int = 0
    """Failures."""
    cancelled_count: int = 0
    """Runs that were cancelled, or ended with their actor."""
    tool_call_count: int = 0
    """Calls of tools."""
    unmeasured_requests: int = 0
    """Requests to models whose usage is not known."""
    dropped: int = 0
    """Messages that a full queue dropped."""
    last_message_time: datetime | None = None
    """Time of the last message (UTC); None before the first."""

    @property
    def cost_known(self) -> bool:
        """True if the price of every message and the usage of every request are known."""
        return not (self.unpriced or self.unmeasured_requests)


class MessageTotals:
    """Counts messages and failures. Each number only ever grows.

    Example:
        >>> totals = MessageTotals()
        >>> totals.add(ChatMessage("hello", "assistant", name="greeter"))
        >>> totals.byte_count
        5
    """

    __slots__ = (
        "_lock", "byte_count", "cancelled_count", "cost", "dropped", "error_count", "input_tokens", "last_message_time",
        "message_count", "output_tokens", "tool_call_count", "unmeasured_requests", "unpriced",
    )  # fmt: skip

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self.message_count = self.error_count = self.input_tokens = self.output_tokens = 0
        self.cancelled_count = self.unpriced = self.tool_call_count = self.byte_count = self.dropped = (
            self.unmeasured_requests
        ) = 0
        self.cost: Decimal = ZERO_COST
        self.last_message_time: datetime | None = None

    @property
    def token_count(self) -> int:
        """Tokens read and written for messages that have cost data."""
        return self.input_tokens + self.output_tokens

    def add(self, message: ChatMessage[Any]) -> None:
        """Count one message."""
        content: object = message.content
        size = len(content) if type(content) is str and content.isascii() else message.byte_count
        with self._lock:
            self.byte_count += size
            self.last_message_time = message.timestamp
            if message.tool_calls:
                self.tool_call_count += len(message.tool_calls)
            if message.cost_info is not None:
                self._add_cost(message.cost_info)
            self.message_count += 1

    def _add_cost(self, cost: TokenCost) -> None:
        self.input_tokens += cost.token_usage.input_tokens
        self.output_tokens += cost.token_usage.output_tokens
        self.unmeasured_requests += cost.unmeasured_requests
        if not cost.cost_known or not cost.total_cost.is_finite():
            self.unpriced += 1
        elif cost.total_cost:
            self.cost = EXACT.add(self.cost, cost.total_cost)

    def add_failure(self, cost: TokenCost | None = None) -> None:
        """Count one failure, and what the failed work has cost."""
        with self._lock:
            self.error_count += 1
            if cost is not None:
                self._add_cost(cost)

    def add_cost(self, cost: TokenCost | None, *, cancelled: int = 0) -> None:
        """Count the cost of work without an answer; `cancelled` is how many runs ended so."""
        with self._lock:
            self.cancelled_count += cancelled
            if cost is not None:
                self._add_cost(cost)

    def clear(self) -> None:
        """Set all numbers to zero."""
        with self._lock:
            self._reset()

    def snapshot(self) -> MessageTotalsSnapshot:
        """Return the numbers of this moment; they are consistent with each other."""
        with self._lock:
            return MessageTotalsSnapshot(
                **{name: getattr(self, name) for name in MessageTotalsSnapshot.__struct_fields__}
            )


def _number(name: str) -> Any:
    """Return a property that reads one number of a snapshot."""
    return property(lambda numbers: getattr(numbers.totals(), name))


class MessageNumbers:
    """The numbers of messages as attributes, read from a snapshot."""

    __slots__ = ()

    def totals(self) -> MessageTotalsSnapshot:
        """Return the numbers of this moment."""
        raise NotImplementedError

    message_count: int = _number("message_count")
    """Messages, each counted once."""
    error_count: int = _number("error_count")
    """Failures."""
    token_count: int = _number("token_count")
    """Tokens read and written by models."""
    byte_count: int = _number("byte_count")
    """Bytes of UTF-8 in the messages."""
    cost: Decimal = _number("cost")
    """Money in US dollars, exact, of the messages with a known price."""
    total_cost: float = _number("total_cost")
    """`cost` as a float."""
    cost_known: bool = _number("cost_known")
    """True if the price of every message is known."""
    dropped: int = _number("dropped")
    """Messages that a full queue dropped."""
    last_message_time: datetime | None = _number("last_message_time")
    """Time of the last message (UTC); None before the first."""
