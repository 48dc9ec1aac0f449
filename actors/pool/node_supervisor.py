"""`NodeSupervisor`: one supervisor per running pool, for the actor of every node."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any, Final

from actors.nodes.node import AnyNode
from actors.pool.services import PoolServices
from actors.runtime.background_loop import current_system
from actors.runtime.options import StartOptions
from actors.runtime.system import ActorSystem
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.strategies import Strategy
from actors.supervision.supervisor import Supervisor
from protocols.errors import NodeStartError, error_text

EXIT_TIMEOUT: Final = 30.0
"""Seconds that the end of a pool may take before running work is cancelled."""

_log = logging.getLogger("understage")


@dataclass(frozen=True, slots=True)
class PoolPolicy:
    """How the nodes of a pool are restarted and stopped."""

    strategy: Strategy = "one_for_one"
    intensity: RestartIntensity = field(default_factory=RestartIntensity)
    backoff: Backoff = field(default_factory=Backoff)
    children: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Fields of a `ChildSpec` by node; other nodes are transient and have the default time to stop."""
    team_supervised: frozenset[str] = frozenset()
    """Nodes that a team of the pool supervises, by settings of the team."""

    def spec(self, node: AnyNode, name: str) -> ChildSpec:
        """Return the child spec of a node, under this name."""
        fields: dict[str, Any] = {"restart": "transient", **self.children.get(node.name, {})}
        return ChildSpec(node.factory(), name=name, **fields)


class NodeSupervisor:
    """Starts and opens nodes under one supervisor, and stops them within a limit.

    The constructor starts the supervisor, on the running loop.

    Args:
        name: name of the supervisor.
        policy: how nodes are restarted and stopped.
        system: actor system of the supervisor; None for that of the running loop.
        exit_timeout: seconds that `close` may take before running work is cancelled.
        services: told of every node that starts or stops.
    """

    def __init__(
        self,
        name: str,
        policy: PoolPolicy,
        system: ActorSystem | None,
        *,
        exit_timeout: float,
        services: PoolServices,
    ) -> None:
        self.services = services
        self.system = system or current_system()
        self._policy = policy
        self.exit_timeout = exit_timeout
        self._open: list[AnyNode] = []
        self._names: dict[AnyNode, str] = {}
        self._taken: set[str] = set()
        self.ref = self.system.start(
            Supervisor,
            kwargs={"strategy": policy.strategy, "intensity": policy.intensity, "backoff": policy.backoff},
            options=StartOptions(name=name, is_registered=False),
        )
        self.cell = self.ref._cell  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - what others start under
        self._supervisor = self.ref.proxy()  # once: making a proxy for each of 1,000 nodes takes long

    async def open_all(self, groups: Sequence[Sequence[AnyNode]], *, is_parallel: bool) -> None:
        """Open groups of nodes, one group after the other.

        Args:
            groups: the nodes.
            is_parallel: True to open the nodes of a group at the same time, False to open them in order.

        Raises:
            NodeStartError: a node could not be opened; all others are closed again, the cause is chained.
        """
        try:
            for nodes in groups if is_parallel else [[node] for group in groups for node in group]:
                await _together(self, nodes)
        except BaseException:
            await self.close()
            raise

    async def open(self, node: AnyNode, policy: PoolPolicy | None = None) -> None:
        """Start the actor of one node and open the node.

        Args:
            node: the node.
            policy: how to restart and stop the node; None for the current policy.

        Raises:
            NodeStartError: the node could not be opened; its actor is stopped again, the cause is chained.
        """
        try:
            policy = policy or self._policy
            await self.services.opening(node)
            if node.home.find() is None and node.name not in policy.team_supervised:
                await self._supervisor.start_child(policy.spec(node, self._free_name(node)))
            await node.open()
        except Exception as error:
            await self.forget(node)
            self._left(node)
            if isinstance(error, NodeStartError):
                raise
            message = f"node {node.name!r} could not be started: {error_text(error)}"
            raise NodeStartError(message, node=node.name) from error
        self._open.append(node)
        for service in self.services:
            service.opened(node)

    async def adopt(self, policy: PoolPolicy, nodes: Iterable[AnyNode]) -> None:
        """Supervise by another policy from now on, without a restart.

        Args:
            policy: a policy with the same strategy.
            nodes: the nodes whose settings have changed.
        """
        before, self._policy = self._policy, policy
        if (before.intensity, before.backoff) != (policy.intensity, policy.backoff):
            await self._supervisor.set_limits(policy.intensity, policy.backoff)
        for node in nodes:
            if node in self._names:
                await self._supervisor.update_child(policy.spec(node, self._names[node]))

    async def restart(self, node: AnyNode, policy: PoolPolicy) -> None:
        """Give the node another actor behind the same ref, if the pool supervises it; its mailbox stays.

        Runs that are open have `exit_timeout` seconds to end, until `adopt` says otherwise.
        """
        if node in self._names:
            spec = policy.spec(node, self._names[node])
            if not isinstance(spec.shutdown, str):
                spec = replace(spec, shutdown=max(spec.shutdown, self.exit_timeout))
            await self._supervisor.replace_child(spec)

    def _free_name(self, node: AnyNode) -> str:
        """Return the name of a new child: that of the node, with a number while another child has it."""
        names = chain((node.name,), (f"{node.name}#{number}" for number in count(2)))
        self._names[node] = name = next(one for one in names if one not in self._taken)
        self._taken.add(name)
        return name

    def fail(self, cause: Exception) -> None:
        """End all nodes because of a failure that no restart mends."""
        self._supervisor.fail(cause)

    async def shut(self, node: AnyNode) -> None:
        """Close one node and stop its actor."""
        if node in self._open:
            self._open.remove(node)
        await _close(node)
        await self.forget(node)
        self._left(node)

    def _left(self, node: AnyNode) -> None:
        for service in self.services:
            service.left(node)

    async def forget(self, node: AnyNode) -> None:
        """Stop the actor of a node, if the pool supervises it."""
        name = self._names.pop(node, None)
        self._taken.discard(name or "")
        if name is not None and await self._supervisor.get_child(name) is not None:
            await self._supervisor.terminate_child(name)
            await self._supervisor.delete_child(name)

    async def close(self, detached: Sequence[AnyNode] = ()) -> None:
        """Stop background runs, let accepted runs end, stop the actors, and close the nodes; in limited time.

        Args:
            detached: nodes that have no child here, such as teams made at run time; they come first.
        """
        nodes, self._open = [*detached, *reversed(self._open)], []
        try:
            stops = [
                logged(f"node {node.name!r}: its background run could not be stopped", node.stop()) for node in nodes
            ]
            await self._within_limit("stop their background runs", stops)
            await asyncio.shield(self.ref.stop(block=False, timeout=self.exit_timeout))
            await self._within_limit("close", [_close(node) for node in nodes])
        except asyncio.CancelledError:  # the caller cannot wait
            self.ref.kill(block=False)
            raise

    async def _within_limit(self, what: str, work: Sequence[Coroutine[Any, Any, None]]) -> None:
        try:
            async with asyncio.timeout(self.exit_timeout):
                await asyncio.gather(*work)
        except TimeoutError:
            _log.warning("pool: nodes did not %s within %s s", what, self.exit_timeout)


async def _together(supervisor: NodeSupervisor, nodes: Sequence[AnyNode]) -> None:
    tasks = [asyncio.ensure_future(supervisor.open(node)) for node in nodes]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def logged(complaint: str, step: Awaitable[object]) -> None:
    """Wait for one step that must not hinder the next ones. A failure is logged."""
    try:
        await step
    except Exception:
        _log.exception("pool: %s", complaint)


async def _close(node: AnyNode) -> None:
    await logged(f"node {node.name!r} could not be closed cleanly", node.close())
