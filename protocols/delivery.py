"""One delivery of a kept run, as its tools and callbacks see it, and what a run knows of the journal that keeps it."""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Protocol, Self

from msgspec import Struct

from protocols.messages import ChatMessage

tool_call_id: ContextVar[str] = ContextVar("understage_tool_call_id", default="")
"""The call of a tool that is being made; empty outside of one."""


class Delivery(Struct, frozen=True):
    """One delivery of a run to its node; see `actors.delivery`."""

    key: str
    """The same for all deliveries of a run, and different for each run."""
    attempt: int = 0
    """0 for the first delivery; above for one that may repeat what an earlier one has done."""
    tool_call_id: str = ""
    """The call of a tool that is being made; empty outside of one."""

    @property
    def tool_key(self) -> str:
        """A key of the effects of one tool call: the same when the call is made again."""
        return f"{self.key}/{self.tool_call_id}"


class Kept(Protocol):
    """What a kept run, or a part of one, knows of its journal."""

    run_id: str
    is_part: bool
    """True for a run inside a kept run. The mailbox of the outermost run acknowledges, and passes its answer on."""
    attempt: int
    texts: list[str]
    """What it has read of `add_context`."""
    outbox: Any
    """Takes what connections pass on until the run is acknowledged; None before and after."""

    def part(self, name: str) -> Self:
        """Return that of the next run inside this one, by a node of this name. Its `run_id` is the same next time."""
        ...

    def known(self, prompts: Sequence[object]) -> ChatMessage[Any] | None:
        """Return the recorded answer of a part that was asked the same; None if it has to run.

        Raises:
            RunError: it has failed, and the failure is recorded.
        """
        ...

    async def note(self, prompts: Sequence[object], answer: ChatMessage[Any]) -> None:
        """Keep the answer of a part; does nothing for the outermost run."""

    def failed(self, prompts: Sequence[object], error: Exception) -> None:
        """Keep the failure of a part; does nothing for the outermost run."""

    def read(self, texts: list[str]) -> list[str]:
        """Note texts of `add_context`, which end with the run. Return all that it has to read, in each attempt."""
        ...

    def capabilities(self) -> Sequence[Any]:
        """Return the capabilities that keep the steps of a model's run."""
        ...
