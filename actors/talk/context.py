"""What a condition of a connection is given: one object with everything it may look at."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from protocols.messages import ChatMessage
from protocols.node import Named, Target

if TYPE_CHECKING:
    from actors.talk.registry import TalkRegistry
    from actors.talk.talk import Talk
    from actors.talk.talk_stats import TalkStats


class TalkContext(msgspec.Struct, frozen=True, eq=False):
    """A message on its way to a target.

    Example:
        ```python
        a.connect_to(b, filter_condition=lambda context: "urgent" in context.message.text)
        a.connect_to(b, stop_condition=lambda context: context.stats.message_count >= 3)
        ```
    """

    message: ChatMessage[Any]
    """The message; a filter sees it transformed."""
    target: Target
    """Where it goes."""
    stats: "TalkStats"
    """Numbers of the connection before this message."""
    registry: "TalkRegistry | None"
    """The connections of the pool; None without one."""
    talk: "Talk"
    """The connection."""

    @property
    def source(self) -> Named:
        """Where the connection begins."""
        return self.talk.source


Condition = Callable[[TalkContext], object]
"""Says yes or no (any truth value), or returns an awaitable of it."""
