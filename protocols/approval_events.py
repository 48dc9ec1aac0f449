"""Events of tool calls that wait for a person."""

from protocols.stamp import StampedEvent


class ApprovalRequested(StampedEvent, frozen=True, kw_only=True):
    """A run waits until a person decides about a call of a tool; see `Agent.approve`."""

    tool_name: str = ""
    tool_call_id: str = ""
    arguments: str = ""
    """JSON of the arguments, cut at 4,000 bytes."""
    session: str = ""
    """Session of the run; empty for a run without one."""
    timeout: float = 0.0
    """Seconds after which the call is denied."""


class ApprovalDecided(StampedEvent, frozen=True, kw_only=True):
    """A call of a tool that waited for a person may be made, or not."""

    tool_name: str = ""
    tool_call_id: str = ""
    is_approved: bool = False
    by: str = "caller"
    """Who decided: ``caller``, of `Agent.approve` or `deny`, or ``timeout``."""
