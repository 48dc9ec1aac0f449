"""Apply another manifest to a running pool: unchanged nodes are left alone, the others are changed or removed."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from actors.agents.agent import Agent
from actors.config.agent import AgentSpec
from actors.config.difference import unchanged_nodes
from actors.config.explain import placed
from actors.config.manifest import Manifest
from actors.config.node import NodeSpec
from actors.nodes.node import AnyNode
from actors.pool.debug_log import log_runs
from actors.pool.manifest.pool import Builder, Built, prompt_versions
from actors.pool.node_supervisor import NodeSupervisor, PoolPolicy, logged
from actors.pool.registry import NodeRegistry
from actors.prompts.knowledge import sources_in
from actors.runs.reconfigure import Reconfigure
from actors.runs.request import Settle
from actors.runs.resources import OpenResources
from protocols.errors import ManifestError, NodeError, NodeNameError

_log = logging.getLogger("understage")


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has done: names of nodes, in the order of the new manifest (`removed`: of the old one)."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Nodes with another definition."""
    unchanged: tuple[str, ...] = ()
    connections_added: int = 0
    """New connections, those of added nodes included."""
    connections_removed: int = 0

    def __str__(self) -> str:
        groups = {"changed": self.changed, "added": self.added, "removed": self.removed}
        told = [f"{len(names)} {what} ({_some(names)})" for what, names in groups.items() if names]
        if self.connections_added or self.connections_removed:
            told.append(f"connections +{self.connections_added} -{self.connections_removed}")
        return ", ".join([*told, f"{len(self.unchanged)} unchanged"])


@dataclass(slots=True)
class _Sorted:
    """The names of nodes by what the reload does with them."""

    own: dict[str, AnyNode]
    """Nodes of the old manifest."""
    foreign: set[str]
    """Nodes that were added at run time."""
    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    kind_changed: list[str] = field(default_factory=list[str])
    """Nodes that another object replaces, because a node cannot change its kind."""
    removed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])


class Reload:
    """One change from a manifest to another. The constructor makes and checks the new nodes, and changes nothing.

    Args:
        pool: the pool, with its old manifest.
        built: what the pool has from the old manifest.
        nodes: all nodes of the pool, those that were added at run time included; changed in place.
        supervisor: that of the pool; None for a pool that does not run. Accepted runs end within its `exit_timeout`.
        builder: makes the nodes of the new manifest.
        connect: True to make the connections of the manifest.

    Raises:
        ManifestError: the new manifest changes what cannot change while the pool runs.
        ConfigError: something that the manifest names cannot be imported or used.
        NodeNameError: a new node has the name of a node that was added at run time.
        NodeError: a team that was made at run time needs a node that would be removed.
    """

    def __init__(
        self, pool: NodeRegistry, built: Built, nodes: dict[str, AnyNode], supervisor: NodeSupervisor | None,
        builder: Builder, *, connect: bool,
    ) -> None:  # fmt: skip
        self._pool, self._before, self._present, self._supervisor = pool, built, nodes, supervisor
        self._manifest = manifest = builder.manifest
        self._versions = prompt_versions(manifest)
        self._sorted = sort = self._sort(builder.policy)
        self._check(builder)
        existing = {name: node for name, node in self._present.items() if name not in sort.kind_changed}
        self._fresh_jobs = {name for name in manifest.jobs if self._is_fresh(name)}
        with placed(manifest.source):
            self._nodes, self._made = builder.nodes(existing, {*sort.added, *sort.changed, *sort.kind_changed})
            self._kept, self._new = builder.connections(self._nodes, self._before.connections) if connect else ([], [])
            fresh = {name: builder.job(name) for name in self._fresh_jobs}
        kept = set(self._kept)
        self._old = [connection for connection in self._before.connections if connection not in kept]
        self._check_labels()
        self._jobs = {name: fresh.get(name) or self._before.jobs[name] for name in manifest.jobs}
        self._policy = builder.policy
        if supervisor is not None:
            for service in supervisor.services:
                service.prepare(manifest)

    # -- decide ---------------------------------------------------------------------------------------------------

    def _sort(self, policy: PoolPolicy) -> _Sorted:
        manifest = self._manifest
        same = unchanged_nodes(self._pool.manifest, manifest)
        own = {name: node for name, node in self._before.nodes.items() if self._present.get(name) is node}
        sort = _Sorted(own, set(self._present) - set(own))
        intact = {name for name in same if self._versions.get(name) == self._before.versions.get(name)}
        for name, spec in manifest.nodes.items():
            if name in sort.foreign:
                if name not in same:
                    message = f"node {name!r} was added to the pool at run time; remove it, or choose another name"
                    raise NodeNameError(message, node=name)
                sort.unchanged.append(name)
            elif name not in sort.own:
                sort.added.append(name)
            elif _kind(self._pool.manifest.nodes[name]) != _kind(spec):
                sort.kind_changed.append(name)
            elif name not in intact:
                sort.changed.append(name)
            else:
                sort.unchanged.append(name)
        moved = {*sort.added, *sort.kind_changed}
        children = self._before.policy.children
        other_rules = {name for name in policy.team_supervised if policy.children[name] != children.get(name)}
        referring = [
            name
            for name in sort.unchanged
            if name in sort.own
            and not (moved | other_rules if _supervises(manifest, name) else moved).isdisjoint(
                manifest.nodes[name].parts
            )
        ]
        sort.unchanged = [name for name in sort.unchanged if name not in referring]
        sort.changed += referring
        sort.removed = [name for name in sort.own if name not in manifest.nodes]
        return sort

    def _check(self, builder: Builder) -> None:
        old, new, sort = self._pool.manifest, self._manifest, self._sorted
        if self._supervisor is not None:
            _check_places(old, new)
            if self._before.policy.strategy != builder.policy.strategy:
                _refuse("supervision.strategy", "the strategy of the pool")
            moved = (self._before.policy.team_supervised ^ builder.policy.team_supervised) & sort.own.keys() - {
                *sort.removed
            }
            if moved:
                name = min(moved)
                _refuse(f"nodes.{name}", f"whether {name!r} is supervised by the pool or by a team with `supervision`")
            for name in builder.policy.team_supervised & sort.own.keys():
                if _has_replicas(old.nodes[name]) != _has_replicas(new.nodes[name]):
                    _refuse(f"agents.{name}.replicas", f"whether {name!r}, which a team supervises, has replicas")
        own = {*sort.own.values()}
        going = {sort.own[name] for name in (*sort.removed, *sort.kind_changed)}
        for team in self._present.values():
            lost = going.intersection(() if team in own else team.members())
            if lost:
                name = min(node.name for node in lost)
                message = f"node {name!r} is needed by team {team.name!r}, which was made at run time; remove it first"
                raise NodeError(message, node=name)

    def _check_labels(self) -> None:
        going = {connection.talk for connection in self._old}
        taken = {name for name, talk in self._pool.connection_registry.items() if talk not in going}
        for connection in self._new:
            label = connection.spec.label
            if label is not None and label in taken:
                message = f"node {connection.source.name!r}: a connection named {label!r} is in the pool already"
                raise ManifestError(message, node=connection.source.name)

    def _is_fresh(self, name: str) -> bool:
        old, new = self._pool.manifest, self._manifest
        if name not in self._before.jobs or old.jobs.get(name) != new.jobs[name]:
            return True
        return old.responses != new.responses or old.root != new.root

    # -- do -------------------------------------------------------------------------------------------------------

    async def carry_out(self) -> tuple[Built, Reloaded]:
        """Start the new nodes, then change the pool.

        Returns:
            What the pool has from the new manifest, and what the reload has done.

        Raises:
            NodeStartError: a new node could not be started; nothing has changed.
        """
        opened = await self._open()
        commit = asyncio.ensure_future(self._commit(opened))
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError:  # a reload is never left half done
            await commit
            raise
        own = {name: node for name, node in self._nodes.items() if name not in self._sorted.foreign}
        built = Built(own, [*self._kept, *self._new], self._jobs, self._policy, self._versions)
        return built, self._summary()

    def _summary(self) -> Reloaded:
        sort = self._sorted
        changed = {*sort.changed, *sort.kind_changed}
        return Reloaded(
            tuple(sort.added),
            tuple(sort.removed),
            tuple(name for name in self._manifest.nodes if name in changed),
            tuple(sort.unchanged),
            len(self._new),
            len(self._old),
        )

    async def _open(self) -> dict[str, OpenResources]:
        """Start new nodes, and open the resources that changed nodes are going to need."""
        supervisor = self._supervisor
        opened: dict[str, OpenResources] = {}
        if supervisor is None:
            return opened
        started: list[AnyNode] = []
        try:
            fresh = [self._jobs[name].knowledge for name in self._fresh_jobs]
            await asyncio.gather(*(source.load() for knowledge in fresh for source in sources_in(knowledge)))
            for node in self._starting():
                started.append(node)
                await supervisor.open(node, self._policy)
            for name in self._sorted.changed:
                self._made[name].home = self._sorted.own[name].home  # resources live on the loop of the node
                opened[name] = await self._made[name].prepared()
        except BaseException:
            for node in reversed(started):
                await supervisor.shut(node)
                self._remove(node)
            for resources in opened.values():
                await resources.close()
            raise
        return opened

    def _starting(self) -> Iterator[AnyNode]:
        """Yield the nodes to start before anything changes. A team starts the nodes that it supervises."""
        yield from (connection.helper for connection in self._new if connection.helper is not None)
        fresh = {*self._sorted.kind_changed, *self._sorted.added}
        for name in self._nodes:  # members before teams: a team starts members that have no actor
            if name in fresh and name not in self._policy.team_supervised:
                self._present.setdefault(name, self._made[name])
                yield self._made[name]

    def _remove(self, node: AnyNode) -> None:
        if self._present.get(node.name) is node:
            del self._present[node.name]

    async def _commit(self, opened: Mapping[str, OpenResources]) -> None:
        sort = self._sorted
        await asyncio.gather(*(self._reconfigure(name, opened.get(name)) for name in sort.changed))
        self._exchange()
        supervisor = self._supervisor
        if supervisor is None:
            return
        before, after = self._before.policy.children, self._policy.children
        touched = [name for name in sort.own if name in after and (name in sort.changed or after[name] != before[name])]
        nodes = [self._nodes[name] for name in touched if name not in sort.kind_changed]
        await logged("the nodes are supervised as before", supervisor.adopt(self._policy, nodes))
        for name in (*sort.kind_changed, *sort.added):
            if name in self._policy.team_supervised:
                await logged(
                    f"node {name!r} of the new manifest could not be started",
                    supervisor.open(self._nodes[name]),
                )
            elif name in sort.kind_changed:  # services were told before the node was in the pool
                await logged(
                    f"node {name!r}: what it remembers is not known", supervisor.services.opening(self._nodes[name])
                )
        for service in supervisor.services:
            await logged("a service could not follow in everything", service.apply(self._manifest))
        gone = [sort.own[name] for name in (*sort.kind_changed, *sort.removed)]
        await asyncio.gather(
            *map(self._end, [*gone, *(connection.helper for connection in self._old if connection.helper is not None)])
        )

    async def _reconfigure(self, name: str, opened: OpenResources | None) -> None:
        """Give a node its new definition when its accepted runs have ended."""
        log_runs(self._sorted.own[name], is_on=self._manifest.nodes[name].debug)
        node, other, supervisor = self._sorted.own[name], self._made[name], self._supervisor
        if supervisor is None or opened is None:
            node.reconfigure(other)
            return
        has_other_children = node.supervision() != other.supervision()
        change = Reconfigure(node, other, opened)
        if isinstance(node, Agent):
            cast("Agent[Any, Any]", other).execution.follow(node.execution)
        ref = node.home.find()
        try:
            if ref is not None:
                await ref.ask(change, timeout=supervisor.exit_timeout)
        except Exception as error:  # a run takes too long, the actor stopped, or the run itself reloads
            _log.warning("node %r: made anew before its runs had ended: %s", name, error)
        change.apply()
        if ref is None or has_other_children:
            await logged(
                f"node {name!r} did not start at once, and is tried again", supervisor.restart(node, self._policy)
            )
        await logged(f"node {name!r}: what it needed before could not be closed", change.close())
        await logged(f"node {name!r}: what it remembers is not known", supervisor.services.opening(node))

    def _exchange(self) -> None:
        """Exchange connections and nodes in one step, so no message passes between old and new."""
        sort = self._sorted
        for connection in self._old:
            connection.talk.disconnect()
        for connection in self._new:
            connection.attach()
        for name in (*sort.added, *sort.kind_changed):
            self._nodes[name].connections.join(self._pool.connection_registry, self._pool)
        # The nodes of the new manifest come first, then nodes added at run time, then nodes to be removed.
        others = {name: node for name, node in self._present.items() if name not in self._nodes}
        self._present.clear()
        self._present.update({**self._nodes, **others})

    async def _end(self, node: AnyNode) -> None:
        """Wait until the accepted runs of a node end, within the limit, and stop the node."""
        self._remove(node)
        node.connections.disconnect_all()
        node.connections.leave()
        supervisor = self._supervisor
        if supervisor is None:
            return
        ref = node.home.find()
        try:
            if ref is not None:
                await ref.ask(Settle(), timeout=supervisor.exit_timeout)
        except Exception as error:
            _log.warning("node %r: ended before its runs had ended: %s", node.name, error)
        await logged(f"node {node.name!r} could not be stopped", supervisor.shut(node))


def _kind(spec: object) -> tuple[object, ...]:
    return type(spec), getattr(spec, "mode", None)


def _has_replicas(spec: NodeSpec) -> bool:
    return isinstance(spec, AgentSpec) and spec.replicas > 1


def _supervises(manifest: Manifest, name: str) -> bool:
    """Return True if the node is a team that says how its members are restarted and stopped."""
    return name in manifest.teams and manifest.teams[name].supervision is not None


def _check_places(old: Manifest, new: Manifest) -> None:
    if old.storage != new.storage:
        _refuse("storage", "where history is kept")
    if old.tracing != new.tracing:
        _refuse("tracing", "where spans are sent")
    before, after = old.effective_journal, new.effective_journal
    if before != after and (after or old.journal):
        _refuse("journal", "where accepted messages are kept")
    if old.cluster != new.cluster:
        _refuse("cluster", "what the processes share")


def _refuse(key: str, what: str) -> None:
    raise ManifestError(f"{what} cannot be changed while the pool runs; end it and start it again", key=key)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")  # noqa: PLR2004 - a line is enough
