"""What a node keeps open between `open` and `close`, such as collections of tools."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any


class OpenResources:
    """Context managers that were entered, to be left in reverse order.

    Each has a task of its own, which enters it and leaves it: what is built on anyio must be left by the task that has
    entered it, whichever task opens and closes the node.
    """

    def __init__(self) -> None:
        self._keepers: list[_Keeper] = []

    async def enter(self, resources: Sequence[AbstractAsyncContextManager[Any]], *, is_parallel: bool) -> None:
        """Enter them all at once, or one after the other.

        If one fails, those that are still being entered are cancelled, and those that are entered stay noted for
        `close`.

        Raises:
            Exception: that of the first one that could not be entered.
        """
        groups = [resources] if is_parallel else [[resource] for resource in resources]
        for group in groups:
            await self._enter([_Keeper(resource) for resource in group])

    async def _enter(self, keepers: Sequence["_Keeper"]) -> None:
        self._keepers.extend(keepers)
        try:
            await asyncio.gather(*(keeper.entered for keeper in keepers))
        except BaseException:
            for keeper in keepers:
                keeper.give_up()
            raise

    async def close(self) -> None:
        """Leave them, all of them whatever one may raise; closing twice is harmless.

        Raises:
            Exception: that of the first one that could not be left in order.
        """
        keepers, self._keepers = self._keepers[::-1], []
        failed: list[Exception] = []
        try:
            for keeper in keepers:
                try:
                    await keeper.leave()
                except Exception as error:
                    failed.append(error)
        finally:
            for keeper in keepers:  # of those that are left nothing is wanted; the others end by themselves
                keeper.left.set()
        if failed:
            raise failed[0]


class _Keeper:
    """The task of one resource."""

    def __init__(self, resource: AbstractAsyncContextManager[Any]) -> None:
        self.entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the resource has been entered, or could not be."""
        self.left = asyncio.Event()
        """Set when it is to be left."""
        self._task = asyncio.create_task(self._keep(resource))

    async def _keep(self, resource: AbstractAsyncContextManager[Any]) -> None:
        try:
            async with resource:
                if not self.entered.done():
                    self.entered.set_result(None)
                await self.left.wait()
        except Exception as error:
            if self.entered.done():
                raise
            self.entered.set_exception(error)
            self.entered.exception()  # told, even if another one has failed before and nobody asks

    def give_up(self) -> None:
        """Stop entering, if it has not been entered."""
        if not self.entered.done() or self.entered.cancelled():
            self._task.cancel()

    async def leave(self) -> None:
        """Leave the resource, and wait for the end of its task."""
        self.left.set()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error
