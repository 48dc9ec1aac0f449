"""`OpenResources`: what a node keeps open between `open` and `close`, such as toolsets."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any


class OpenResources:
    """Entered context managers, left in reverse order.

    Each one has its own task, which enters and leaves it: anyio requires the same task for both, and different tasks
    may open and close the node.
    """

    def __init__(self) -> None:
        self._keepers: list[_OwnedTask] = []

    async def enter(self, resources: Sequence[AbstractAsyncContextManager[Any]], *, is_parallel: bool) -> None:
        """Enter all resources at once, or one after the other.

        If a resource fails, the ones that are still entering are cancelled, and `close` leaves the entered ones.

        Raises:
            Exception: the error of the first resource that failed.
        """
        groups = [resources] if is_parallel else [[resource] for resource in resources]
        for group in groups:
            keepers = [_OwnedTask(resource) for resource in group]
            self._keepers.extend(keepers)
            try:
                await asyncio.gather(*(keeper.entered for keeper in keepers))
            except BaseException:
                for keeper in keepers:
                    keeper.give_up()
                raise

    async def close(self) -> None:
        """Leave all resources, even if one of them raises. Closing twice is harmless.

        Raises:
            Exception: the error of the first resource that failed.
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
            for keeper in keepers:  # after a cancellation, the remaining tasks leave by themselves
                keeper.left.set()
        if failed:
            raise failed[0]


class _OwnedTask:
    """The task of one resource."""

    def __init__(self, resource: AbstractAsyncContextManager[Any]) -> None:
        self.entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the resource is entered or has failed."""
        self.left = asyncio.Event()
        """Set when the task should leave the resource."""
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
            self._refuse(error)
        except (SystemExit, KeyboardInterrupt) as error:  # this task must not end the event loop
            if self.entered.done():
                raise RuntimeError(f"leaving a resource ended with {type(error).__name__}") from error
            self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        self.entered.set_exception(error)
        self.entered.exception()  # retrieved, even if the caller has stopped at an earlier failure

    def give_up(self) -> None:
        """Cancel the task if the resource is not entered yet."""
        if not self.entered.done() or self.entered.cancelled():
            self._task.cancel()

    async def leave(self) -> None:
        """Leave the resource and wait until its task ends."""
        self.left.set()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (error := self._task.exception()) is not None:
            raise error
