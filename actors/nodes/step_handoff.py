"""`StepHandoff`: gives the steps of a run to a reader, at the pace of the reader."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from actors.runs.event_channel import EventChannel


class StepHandoff(EventChannel):
    """Steps of one run for one reader on the same event loop.

    `put_now` returns at once. `give` waits until the reader asks for the next step. A reader that
    leaves cancels the run.

    Args:
        has_talks: whether the reader of a chain gets the connections between its stages as well.
    """

    __slots__ = ("_asked_for", "has_talks")

    def __init__(self, *, has_talks: bool = False) -> None:
        super().__init__()
        self.has_talks = has_talks
        self._asked_for = asyncio.Event()

    async def give(self, item: Any) -> None:
        """Hand over a step and wait until the reader asks for the next one."""
        self._asked_for.clear()
        self.put_now(item)
        await self._asked_for.wait()

    async def get(self) -> Any:
        """Ask for the next step and return it. None once the run is over."""
        if not len(self):
            self._asked_for.set()
        return await super().get()

    async def steps_of(self, run: asyncio.Future[Any]) -> AsyncGenerator[Any, None]:
        """Yield the steps until the run ends. Raises the error of the run, and cancels the run when left early."""
        run.add_done_callback(lambda _: self.close())
        try:
            while (item := await self.get()) is not None:
                yield item
            run.result()
        finally:
            run.cancel()
