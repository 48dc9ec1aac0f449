"""`StepHandoff`: a run hands its steps to somebody who reads them at their own pace."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any


class StepHandoff:
    """Steps of one run for one reader on the same event loop.

    `put` goes on at once (a run has only so many members); `give` waits until the reader has done with the step, which
    is when the reader asks for the next one. A reader that leaves cancels the run.
    """

    __slots__ = ("_asked_for", "_items", "_news")

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._news = asyncio.Event()
        self._asked_for: asyncio.Future[None] | None = None

    def put(self, item: Any) -> None:
        """Hand over a step and go on."""
        self._items.append(item)
        self._news.set()

    async def give(self, item: Any) -> None:
        """Hand over a step and wait until the reader asks for the next one."""
        self._asked_for = asyncio.get_running_loop().create_future()
        self.put(item)
        await self._asked_for

    async def steps_of(self, run: asyncio.Future[Any]) -> AsyncGenerator[Any, None]:
        """Yield the steps until the run has ended; raises what the run raised, and cancels it when left early."""
        run.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                while self._items:
                    yield self._items.popleft()
                self._ask_for_next()
                if run.done() and not self._items:
                    break
                self._news.clear()
                await self._news.wait()
            run.result()
        finally:
            run.cancel()

    def _ask_for_next(self) -> None:
        waiting, self._asked_for = self._asked_for, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
