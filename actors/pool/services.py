"""What lives beside the nodes of a pool and is no node: triggers, history."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from actors.config.manifest import Manifest
    from actors.nodes.node import MessageNode
    from actors.pool.pool import AgentPool

Companion = Callable[["AgentPool[Any]"], AbstractAsyncContextManager[Any]]
"""Makes what is entered together with a pool, once for each life of the pool."""

T = TypeVar("T")


@runtime_checkable
class NodeWatcher(Protocol):
    """One beside the nodes that is told of those which come and go while it is entered."""

    def joined(self, node: MessageNode[Any, Any]) -> None:
        """Take note of a node that is in the pool now; told once or more."""
        ...

    async def opening(self, node: MessageNode[Any, Any]) -> None:
        """Do what is due before a node starts; what it raises keeps the node from starting."""
        ...

    def left(self, node: MessageNode[Any, Any]) -> None:
        """Take note of a node that has ended and is in the pool no more."""
        ...


@runtime_checkable
class ManifestFollower(Protocol):
    """One beside the nodes that is made from the manifest as well, and follows another one while it is entered."""

    def prepare(self, manifest: Manifest) -> object:
        """Look whether the manifest can be followed; what this raises refuses it, and nothing has changed."""
        ...

    async def apply(self, manifest: Manifest) -> None:
        """Follow the manifest; its new nodes are there, its old ones not yet gone."""
        ...


class Companions:
    """What was entered together with a pool; left in reverse order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._stack = AsyncExitStack()
        self._entered: list[Any] = []
        self._watchers: list[NodeWatcher] = []

    async def enter(self, companions: Sequence[Companion], pool: AgentPool[Any]) -> None:
        """Enter each in order; what one of them raises goes to the caller, who then has to leave the others."""
        for companion in companions:
            entered = await self._stack.enter_async_context(companion(pool))
            self._entered.append(entered)
            if isinstance(entered, NodeWatcher):
                self._watchers.append(entered)

    def joined(self, node: MessageNode[Any, Any]) -> None:
        """Tell all watchers of a node that is in the pool now."""
        for watcher in self._watchers:
            watcher.joined(node)

    async def opening(self, node: MessageNode[Any, Any]) -> None:
        """Tell all watchers of a node that is about to start, and wait for them."""
        for watcher in self._watchers:
            watcher.joined(node)
            await watcher.opening(node)

    def left(self, node: MessageNode[Any, Any]) -> None:
        """Tell all watchers of a node that has ended."""
        for watcher in self._watchers:
            watcher.left(node)

    def prepare(self, manifest: Manifest) -> None:
        """Ask all followers whether they can follow a manifest; what one raises goes to the caller."""
        for follower in self._followers():
            follower.prepare(manifest)

    async def apply(self, manifest: Manifest) -> None:
        """Have all followers follow a manifest, one after the other."""
        for follower in self._followers():
            await follower.apply(manifest)

    def _followers(self) -> list[ManifestFollower]:
        return [one for one in self._entered if isinstance(one, ManifestFollower)]

    def on_leaving(self, function: Callable[[], Awaitable[None]]) -> None:
        """Call this when everything that is entered later has been left."""
        self._stack.push_async_callback(function)

    async def leave(self) -> None:
        """Leave everything."""
        self._entered, self._watchers = [], []
        await self._stack.aclose()

    def find(self, kind: type[T]) -> T | None:
        """Return the one of this class; None if there is none."""
        return next((one for one in self._entered if isinstance(one, kind)), None)
