"""What a node keeps open between `open` and `close`, such as connections to servers of tools."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any


class OpenResources:
    """Context managers that were entered, to be left in reverse order."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def enter(self, resources: Sequence[AbstractAsyncContextManager[Any]], *, is_parallel: bool) -> None:
        """Enter them all at once, or one after the other. If one fails the others stay noted for `close`.

        Raises:
            Exception: that of the first one, in their order, that could not be entered.
        """
        if not is_parallel:
            for resource in resources:
                await self._enter(resource)
            return
        outcomes = await asyncio.gather(*map(self._enter, resources), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _enter(self, resource: AbstractAsyncContextManager[Any]) -> None:
        await resource.__aenter__()
        self._stack.push_async_exit(resource)

    async def close(self) -> None:
        """Leave them; closing twice is harmless."""
        await self._stack.aclose()
