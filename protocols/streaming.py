"""What streams of runs are made of: the last event of a node, and what a node needs to be streamed or structured."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from protocols.messages import ChatMessage


class StreamCompleteEvent(msgspec.Struct, frozen=True):
    """The last event of a node in a stream: by then its history is written and its connections have the answer."""

    message: ChatMessage[Any]
    """The node's answer."""
    event_kind: Literal["stream_complete"] = "stream_complete"


@runtime_checkable
class SupportsRunStream(Protocol):
    """A node whose run can be followed event by event; works with `isinstance`."""

    @property
    def run_stream(self) -> Callable[..., AsyncIterator[Any] | Any]:
        """Begins a run when called with prompts and options, and returns its events, to be iterated."""
        ...


@runtime_checkable
class SupportsStructuredOutput(Protocol):
    """A node whose answer can be given a type for one run; works with `isinstance`. Pickers are such nodes."""

    async def run(self, *prompts: object, output_type: Any = None, **options: Any) -> ChatMessage[Any]:
        """Run once; the content of the answer is an instance of `output_type`."""
        ...
