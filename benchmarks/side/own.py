"""Ours: the echo actor."""

from __future__ import annotations

import asyncio
from typing import Any

from actors import ActorRef, AsyncioActor


class Echo(AsyncioActor):
    """Answers with what it gets."""

    async def on_receive(self, message: Any) -> Any:
        """Return the message."""
        return message


async def stop_all(refs: list[ActorRef]) -> None:
    """Stop all of them together and wait until they have stopped."""
    await asyncio.gather(*(ref.stop(block=False) for ref in refs))
