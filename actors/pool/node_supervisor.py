"""The root of a running pool: one supervisor that owns the actor of every node."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Final

from actors.pool.services import PoolServices
from actors.runtime.background_loop import current_system
from actors.runtime.options import StartOptions
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec, Shutdown
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from protocols.errors import NodeStartError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence

    from actors.nodes.node import AnyNode
    from actors.runtime.mailbox import MailboxConfig
    from actors.runtime.system import ActorSystem
    from actors.supervision.strategies import Restart, Strategy


EXIT_TIMEOUT: Final = 30.0
"""Seconds that the end of a pool may take before whatever still works is cancelled."""

_log = logging.getLogger("understudy")


@dataclass(frozen=True, slots=True)
class Care:
    """How one node is restarted and stopped."""

    restart: Restart = "transient"
    shutdown: Shutdown | None = None
    mailbox: MailboxConfig | None = None


@dataclass(frozen=True, slots=True)
class RootPolicy:
    """How the nodes of a pool are restarted."""

    strategy: Strategy = "one_for_one"
    intensity: RestartIntensity = field(default_factory=RestartIntensity)
    backoff: Backoff = field(default_factory=Backoff)
    care: Mapping[str, Care] = field(default_factory=dict[str, Care])
    """By node; others are transient and get the default time to stop."""
    lent: frozenset[str] = frozenset()
    """Nodes that belong to a team of the pool, which supervises them in its own way."""

    def spec(self, node: AnyNode, name: str) -> ChildSpec:
        """Return how the supervisor starts a node as a child of this name."""
        care = self.care.get(node.name, Care())
        options: dict[str, Any] = {} if care.shutdown is None else {"shutdown": care.shutdown}
        return ChildSpec(node.factory(), name=name, restart=care.restart, mailbox=care.mailbox, **options)


class NodeSupervisor:
    """Starts nodes under one supervisor, opens them, and ends them within a limit."""

    def __init__(
        self,
        name: str,
        policy: RootPolicy,
        system: ActorSystem | None,
        *,
        exit_timeout: float,
        services: PoolServices | None = None,
    ) -> None:
        """Start the supervisor on the running loop.

        Args:
            name: name of the supervisor.
            policy: how nodes are restarted and stopped.
            system: actor system of the supervisor; None for that of the running loop.
            exit_timeout: seconds that `close` may take before running work is cancelled.
            services: told of every node that starts or stops.
        """
        self._services = services or PoolServices()
        self.system = system or current_system()
        self._policy = policy
        self._exit_timeout = exit_timeout
        self._open: list[AnyNode] = []
        self._names: dict[AnyNode, str] = {}
        self._taken: set[str] = set()
        self.ref = self.system.start(
            Supervisor,
            kwargs={"strategy": policy.strategy, "intensity": policy.intensity, "backoff": policy.backoff},
            options=StartOptions(name=name, is_registered=False),
        )
        self._supervisor = self.ref.proxy()  # once: looking at a class again for each of 1,000 nodes takes long

    async def open_all(self, groups: Sequence[Sequence[AnyNode]], *, is_parallel: bool) -> None:
        """Open groups of nodes one group after the other, the nodes of one group together or in order.

        Raises:
            NodeStartError: one could not be opened; all others have been closed again, the cause is chained.
        """
        try:
            for group in groups:
                await (_together(self, group) if is_parallel else _in_order(self, group))
        except BaseException:
            await self.close()
            raise

    async def open(self, node: AnyNode, policy: RootPolicy | None = None) -> None:
        """Start the actor of one node, by a policy that is still to come if it is given, and open the node.

        Raises:
            NodeStartError: it could not be opened; its actor has been stopped again, the cause is chained.
        """
        try:
            policy = policy or self._policy
            await self._services.opening(node)
            if node.home.find() is None and node.name not in policy.lent:  # theirs stays theirs
                await self._supervisor.start_child(policy.spec(node, self._free_name(node)))
            await node.open()
        except Exception as error:
            await self.forget(node)
            self._services.left(node)
            if isinstance(error, NodeStartError):
                raise
            text = f"node {node.name!r} could not be started: {str(error) or type(error).__name__}"
            raise NodeStartError(text, node=node.name) from error
        self._open.append(node)

    async def adopt(self, policy: RootPolicy, nodes: Iterable[AnyNode]) -> None:
        """Supervise by another policy from now on, without touching what runs.

        Args:
            policy: with the same strategy.
            nodes: those whose care has changed.
        """
        before, self._policy = self._policy, policy
        if (before.intensity, before.backoff) != (policy.intensity, policy.backoff):
            await self._supervisor.set_limits(policy.intensity, policy.backoff)
        for node in nodes:
            if node in self._names:
                await self._supervisor.update_child(policy.spec(node, self._names[node]))

    async def restart(self, node: AnyNode, policy: RootPolicy) -> None:
        """Give the node another actor behind the same ref, if it is the pool's; what waits in its mailbox stays."""
        if node in self._names:
            await self._supervisor.replace_child(policy.spec(node, self._names[node]))

    def _free_name(self, node: AnyNode) -> str:
        """Return the name of a new child: that of the node, with a number while another node of this name is here."""
        names = chain((node.name,), (f"{node.name}#{number}" for number in count(2)))
        self._names[node] = name = next(one for one in names if one not in self._taken)
        self._taken.add(name)
        return name

    async def shut(self, node: AnyNode) -> None:
        """Close one node and stop its actor."""
        if node in self._open:
            self._open.remove(node)
        await _closed(node)
        await self.forget(node)
        self._services.left(node)

    async def forget(self, node: AnyNode) -> None:
        """Stop the actor of a node, if it is the pool's."""
        name = self._names.pop(node, None)
        self._taken.discard(name or "")
        if name is not None and await self._supervisor.get_child(name) is not None:
            await self._supervisor.terminate_child(name)
            await self._supervisor.delete_child(name)

    async def close(self, loose: Sequence[AnyNode] = ()) -> None:
        """Stop background runs, let accepted runs end, stop the actors, close the nodes. It always ends.

        Args:
            loose: nodes without an actor of this root, such as teams made for a moment; they come first.
        """
        nodes, self._open = [*loose, *reversed(self._open)], []
        try:
            await self._within_limit("stop their background runs", [_quiet(node) for node in nodes])
            await asyncio.shield(self.ref.stop(block=False, timeout=self._exit_timeout))
            await self._within_limit("close", [_closed(node) for node in nodes])
        except asyncio.CancelledError:  # in a hurry
            self.ref.kill(block=False)
            raise

    async def _within_limit(self, what: str, work: Sequence[Coroutine[Any, Any, None]]) -> None:
        try:
            async with asyncio.timeout(self._exit_timeout):
                await asyncio.gather(*work)
        except TimeoutError:
            _log.warning("pool: nodes did not %s within %s s", what, self._exit_timeout)


async def _together(root: NodeSupervisor, nodes: Sequence[AnyNode]) -> None:
    tasks = [asyncio.ensure_future(root.open(node)) for node in nodes]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _in_order(root: NodeSupervisor, nodes: Sequence[AnyNode]) -> None:
    for node in nodes:
        await root.open(node)


async def _quiet(node: AnyNode) -> None:
    """End the background run of a node, if it has one."""
    try:
        await node.stop()
    except Exception:
        _log.exception("node %r: its background run could not be stopped", node.name)


async def _closed(node: AnyNode) -> None:
    try:
        await node.close()
    except Exception:
        _log.exception("node %r could not be closed cleanly", node.name)
