"""Events of a member on their way to whoever streams the team."""

from typing import Any

from actors.runs.request import EventSink
from protocols.node import Named


class MemberSink:
    """Says whose event it is; an event of a team inside the team keeps the member that it names already."""

    __slots__ = ("_member", "_outer")

    def __init__(self, outer: EventSink, member: Named) -> None:
        """Take the sink of the team, and the member."""
        self._outer = outer
        self._member = member

    async def put(self, event: Any) -> None:
        """Pass an event on as ``(member, event)``."""
        await self._outer.put(event if isinstance(event, tuple) else (self._member, event))

    def put_now(self, event: Any) -> None:
        """Pass the last event of a member on."""
        self._outer.put_now(event if isinstance(event, tuple) else (self._member, event))
