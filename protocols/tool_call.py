"""One call of a tool, as it is kept in a message."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

import msgspec

from protocols.ids import new_id
from protocols.json_value import JsonValue


class ToolCallInfo(JsonValue, frozen=True):
    """One finished call of a tool: who called what with which arguments, and what came back."""

    tool_name: str
    """Name the model called the tool by."""
    args: Mapping[str, object] = {}
    """Arguments by name."""
    result: object = None
    """What the tool returned; None when it failed, see `error`."""
    agent_name: str = ""
    """Agent that made the call."""
    tool_call_id: str = msgspec.field(default_factory=new_id)
    """Identifier the model gave to the call."""
    timestamp: datetime = msgspec.field(default_factory=partial(datetime.now, UTC))
    """When the call was made (UTC)."""
    timing: float | None = None
    """How long the tool ran, in seconds; None when it was not measured."""
    message_id: str | None = None
    """Message the call belongs to."""
    error: str | None = None
    """Text of the failure; None when the call succeeded."""

    @property
    def success(self) -> bool:
        """Whether the tool returned."""
        return self.error is None
