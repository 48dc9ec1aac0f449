"""Numbers about messages as they come: written in one place, read from any task or thread at any time."""

import threading
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import msgspec

from protocols.cost import ZERO_COST, TokenCost
from protocols.messages import ChatMessage

_EXACT = Context(prec=200)  # the default context rounds to 28 digits


class MessageTotalsSnapshot(msgspec.Struct, frozen=True):
    """The numbers at one moment; `msgspec.json.encode` makes it JSON (money as text, exact)."""

    message_count: int = 0
    """Answers."""
    error_count: int = 0
    """Failures."""
    input_tokens: int = 0
    """Tokens read by models."""
    output_tokens: int = 0
    """Tokens written by models."""
    cost: Decimal = ZERO_COST
    """Money in US dollars, of the answers whose price is known."""
    unpriced: int = 0
    """Answers whose price is not known."""
    tool_call_count: int = 0
    """Calls of tools."""
    byte_count: int = 0
    """Bytes of UTF-8 in the answers."""
    last_message_time: datetime | None = None
    """When the last answer was made (UTC); None before the first."""

    @property
    def token_count(self) -> int:
        """Tokens read and written."""
        return self.input_tokens + self.output_tokens

    @property
    def total_cost(self) -> float:
        """`cost` as a float."""
        return float(self.cost)

    @property
    def cost_known(self) -> bool:
        """Whether the price of every answer is known."""
        return not self.unpriced


class MessageTotals:
    """Counts answers and failures. Writers take turns; a reader sees numbers that only ever grow.

    Example:
        >>> tally = Tally()
        >>> tally.add(ChatMessage("hello", "assistant", name="greeter"))
        >>> tally.byte_count
        5
    """

    __slots__ = (
        "_lock", "byte_count", "cost", "error_count", "input_tokens", "last_message_time", "message_count",
        "output_tokens", "tool_call_count", "unpriced",
    )  # fmt: skip

    def __init__(self) -> None:
        """Begin at zero."""
        self._lock = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self.message_count = self.error_count = self.input_tokens = self.output_tokens = 0
        self.unpriced = self.tool_call_count = self.byte_count = 0
        self.cost = ZERO_COST
        self.last_message_time: datetime | None = None

    def add(self, message: ChatMessage[Any]) -> None:
        """Count one answer."""
        content: object = message.content
        size = len(content) if type(content) is str and content.isascii() else message.byte_count
        with self._lock:
            self.byte_count += size
            self.tool_call_count += len(message.tool_calls)
            self.last_message_time = message.timestamp
            if message.cost_info is not None:
                self._add_cost(message.cost_info)
            self.message_count += 1

    def _add_cost(self, cost: TokenCost) -> None:
        self.input_tokens += cost.token_usage.input_tokens
        self.output_tokens += cost.token_usage.output_tokens
        if not cost.cost_known or not cost.total_cost.is_finite():
            self.unpriced += 1
        elif cost.total_cost:
            self.cost = _EXACT.add(self.cost, cost.total_cost)

    def add_failure(self) -> None:
        """Count one failure."""
        with self._lock:
            self.error_count += 1

    def clear(self) -> None:
        """Begin at zero again."""
        with self._lock:
            self._reset()

    def snapshot(self) -> MessageTotalsSnapshot:
        """Return the numbers as they are now; they belong together."""
        with self._lock:
            return MessageTotalsSnapshot(
                **{name: getattr(self, name) for name in MessageTotalsSnapshot.__struct_fields__}
            )
