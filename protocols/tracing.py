"""How a run is traced. A node without tracing has None in its place, so it pays for one look at an attribute."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from protocols.messages import ChatMessage

Headers = Iterable[tuple[bytes, bytes]]
"""The headers of an HTTP request, with names in small letters."""


class RunSpan(Protocol):
    """The span of one run of a node."""

    def end(self, answer: ChatMessage[Any] | None = None, error: BaseException | None = None) -> None:
        """End the span: with the answer, or with what ended the run."""


class RunTracing(Protocol):
    """What makes the spans of the runs of one pool."""

    capabilities: Sequence[Any]
    """The capabilities of pydantic-ai that make the spans of requests to models and of tool calls."""

    def begin(self, request: Any) -> RunSpan:
        """Begin the span of a run, inside its handler: what the handler sends belongs to the span."""
        ...

    def follow(self, system: Any) -> Callable[[], None]:
        """Tell spans what happens to their runs in a system; return what ends that, and the spans still open."""
        ...

    def accepted(self, request: Any) -> str:
        """Return the `traceparent` by which a run that is kept continues its trace, in whichever process that is."""
        ...

    def refused(self, request: Any, error: Exception) -> None:
        """Make the span of a run that a full mailbox does not take, inside that of its sender."""

    def continued(self, headers: Headers) -> None:
        """Continue the trace that an HTTP request names in the current context; wrong headers are ignored."""
