"""everything-is-an-actor: the echo actor as its documentation writes one (Python >= 3.12)."""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from actor_for_agents import Actor, ActorSystem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CAPACITY = 10_000
"""As in our default mailbox."""


class Echo(Actor):
    """Answers with what it gets."""

    async def on_receive(self, message: Any) -> Any:
        """Return the message."""
        return message


@asynccontextmanager
async def running(count: int) -> AsyncIterator[list[Any]]:
    """The refs of ``count`` echo actors in a running system."""
    system = ActorSystem("bench")
    try:
        yield [await system.spawn(Echo, f"echo{n}", mailbox_size=CAPACITY) for n in range(count)]
    finally:
        await system.shutdown()
