"""Bare asyncio: the least that a request and a reply can cost on an event loop."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

Mail: TypeAlias = "asyncio.Queue[tuple[asyncio.Future[Any] | None, Any]]"


def hop(loop: asyncio.AbstractEventLoop, message: object) -> asyncio.Future[object]:
    """Return a future that the loop fulfils on its next turn: the floor for any ask."""
    future: asyncio.Future[object] = loop.create_future()
    loop.call_soon(future.set_result, message)
    return future


class QueueEcho:
    """A task that reads a queue and answers: what people write when they have no actor library."""

    __slots__ = ("mail", "task")

    def __init__(self) -> None:
        self.mail: Mail = asyncio.Queue()
        self.task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        while True:
            reply, message = await self.mail.get()
            if reply is not None:
                reply.set_result(message)

    def tell(self, message: object) -> None:
        """Send."""
        self.mail.put_nowait((None, message))

    def ask(self, message: object) -> asyncio.Future[Any]:
        """Send and return the reply's future."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.mail.put_nowait((future, message))
        return future


async def stop_all(actors: list[QueueEcho]) -> None:
    """Cancel all tasks and wait for their end."""
    for actor in actors:
        actor.task.cancel()
    await asyncio.gather(*(actor.task for actor in actors), return_exceptions=True)
