"""`StepHandoff`: gives the steps of a run to a reader, at the pace of the reader."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any


class StepHandoff:
    """Steps of one run for one reader on the same event loop.

    `put` returns at once. `give` waits until the reader asks for the next step. A reader that leaves cancels the run.
    """

    __slots__ = ("_asked_for", "_items", "_news")

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._news = asyncio.Event()
        self._asked_for = asyncio.Event()

    def put(self, item: Any) -> None:
        """Hand over a step and return at once."""
        self._items.append(item)
        self._news.set()

    async def give(self, item: Any) -> None:
        """Hand over a step and wait until the reader asks for the next one."""
        self._asked_for.clear()
        self.put(item)
        await self._asked_for.wait()

    async def steps_of(self, run: asyncio.Future[Any]) -> AsyncGenerator[Any, None]:
        """Yield the steps until the run ends. Raises the error of the run, and cancels the run when left early."""
        run.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                while self._items:
                    yield self._items.popleft()
                self._asked_for.set()
                if run.done() and not self._items:
                    break
                self._news.clear()
                await self._news.wait()
            run.result()
        finally:
            run.cancel()
