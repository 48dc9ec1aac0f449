"""What lives beside the nodes of a pool and is no node: triggers, history."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from actors.pool.pool import AgentPool

Companion = Callable[["AgentPool[Any]"], AbstractAsyncContextManager[Any]]
"""Makes what is entered together with a pool, once for each life of the pool."""

T = TypeVar("T")


class Companions:
    """What was entered together with a pool; left in reverse order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._stack = AsyncExitStack()
        self._entered: list[Any] = []

    async def enter(self, companions: Sequence[Companion], pool: AgentPool[Any]) -> None:
        """Enter each in order; what one of them raises goes to the caller, who then has to leave the others."""
        for companion in companions:
            self._entered.append(await self._stack.enter_async_context(companion(pool)))

    def on_leaving(self, function: Callable[[], Awaitable[None]]) -> None:
        """Call this when everything that is entered later has been left."""
        self._stack.push_async_callback(function)

    async def leave(self) -> None:
        """Leave everything."""
        self._entered = []
        await self._stack.aclose()

    def find(self, kind: type[T]) -> T | None:
        """Return the one of this class; None if there is none."""
        return next((one for one in self._entered if isinstance(one, kind)), None)
