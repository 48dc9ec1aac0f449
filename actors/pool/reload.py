"""Applying another manifest to a running pool: what has not changed is left alone, the rest is replaced or goes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actors.agents.agent import Agent
from actors.config.agent import AgentSpec
from actors.config.difference import diff
from actors.nodes.base_team import BaseTeam
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.debug_log import log_runs
from actors.pool.manifest.pool import Built
from actors.pool.prompt_versions import file_marks
from actors.prompts.knowledge import sources_in
from actors.runs.reconfigure import Reconfigure
from actors.runs.request import Settle
from protocols.errors import ManifestError, NodeError, NodeNameError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from actors.config.manifest import Manifest
    from actors.nodes.node import AnyNode
    from actors.pool.manifest.pool import Builder
    from actors.pool.node_supervisor import NodeSupervisor, RootPolicy
    from actors.pool.services import PoolServices
    from actors.runs.resources import OpenResources
    from actors.talk.registry import TalkRegistry

_log = logging.getLogger("understudy")


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has done: names of nodes, in the order of the new manifest (`removed`: of the old one)."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Those that go on under other settings."""
    unchanged: tuple[str, ...] = ()
    connections_added: int = 0
    """Connections that were made, those of added nodes included."""
    connections_removed: int = 0

    def __str__(self) -> str:
        groups = {"changed": self.changed, "added": self.added, "removed": self.removed}
        told = [f"{len(names)} {what} ({_some(names)})" for what, names in groups.items() if names]
        if self.connections_added or self.connections_removed:
            told.append(f"connections +{self.connections_added} -{self.connections_removed}")
        return ", ".join([*told, f"{len(self.unchanged)} unchanged"])


@dataclass(slots=True)
class ReloadContext:
    """What a pool has at the moment."""

    manifest: Manifest
    built: Built
    nodes: dict[str, AnyNode]
    """All nodes of the pool, those that were added at run time as well; changed in place."""
    root: NodeSupervisor | None
    """None for a pool that does not run."""
    services: PoolServices
    registry: TalkRegistry
    directory: Mapping[str, AnyNode]
    limit: float
    """Seconds that the runs in hand of one node may take to end."""


@dataclass(slots=True)
class _Sorted:
    """The names of nodes by what becomes of them."""

    own: dict[str, AnyNode]
    """Nodes that the pool has from its manifest."""
    foreign: set[str]
    """Nodes that were added at run time."""
    added: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    turned: list[str] = field(default_factory=list[str])
    """Those that become a node of another kind, so that they are another object."""
    removed: list[str] = field(default_factory=list[str])
    unchanged: list[str] = field(default_factory=list[str])


class Reload:
    """One change from a manifest to another. Making it checks everything that can be checked and changes nothing."""

    def __init__(self, estate: ReloadContext, manifest: Manifest, builder: Builder, *, connect: bool) -> None:
        """Make what is new.

        Raises:
            ManifestError: something has changed that cannot be changed while the pool runs.
            ConfigError: something that the manifest names cannot be imported or used.
            NodeNameError: a new node has the name of one that was added at run time.
            NodeError: a team that was made at run time needs a node that would go.
        """
        self._estate, self._manifest = estate, manifest
        self._marks = file_marks(manifest)
        self._sorted = sort = self._sort(builder.policy)
        self._check(builder)
        there = {name: node for name, node in estate.nodes.items() if name not in sort.turned}
        self._nodes, self._made = builder.nodes(there, {*sort.added, *sort.changed, *sort.turned})
        self._kept, self._new = builder.connections(self._nodes, estate.built.wires) if connect else ([], [])
        kept = set(self._kept)
        self._old = [wire for wire in estate.built.wires if wire not in kept]
        self._check_labels()
        self._fresh_jobs = {name for name in manifest.jobs if self._is_fresh(name)}
        self._jobs = {
            name: builder.job(name) if name in self._fresh_jobs else estate.built.jobs[name] for name in manifest.jobs
        }
        self._policy = builder.policy
        estate.services.prepare(manifest)

    # -- decide ---------------------------------------------------------------------------------------------------

    def _sort(self, policy: RootPolicy) -> _Sorted:
        estate, manifest = self._estate, self._manifest
        found = diff(estate.manifest, manifest)
        own = {name: node for name, node in estate.built.nodes.items() if estate.nodes.get(name) is node}
        sort = _Sorted(own, set(estate.nodes) - set(own))
        stale = {name for name in found.unchanged if self._marks.get(name) != estate.built.marks.get(name)}
        for name, spec in manifest.nodes.items():
            if name in sort.foreign:
                if name not in found.unchanged:
                    text = f"node {name!r} was added to the pool at run time; remove it, or choose another name"
                    raise NodeNameError(text, node=name)
                sort.unchanged.append(name)
            elif name not in sort.own:
                sort.added.append(name)
            elif type(sort.own[name]) is not _kind(spec):
                sort.turned.append(name)
            elif name in found.changed or name in stale:
                sort.changed.append(name)
            else:
                sort.unchanged.append(name)
        moved = {*sort.added, *sort.turned}
        care = estate.built.policy.care
        recared = {name for name in policy.lent if name in care and policy.care[name] != care[name]}
        referring = [
            name
            for name in sort.unchanged
            if name in sort.own
            and (_named(manifest, name) & moved or (_supervises(manifest, name) and _named(manifest, name) & recared))
        ]
        sort.unchanged = [name for name in sort.unchanged if name not in referring]
        sort.changed += referring
        sort.removed = [name for name in sort.own if name not in manifest.nodes]
        return sort

    def _check(self, builder: Builder) -> None:
        old, new, sort = self._estate.manifest, self._manifest, self._sorted
        if self._estate.root is not None:
            if old.storage != new.storage:
                _refuse("storage", "where history is kept")
            if self._estate.built.policy.strategy != builder.policy.strategy:
                _refuse("supervision.strategy", "the strategy of the pool")
            moved = (self._estate.built.policy.lent ^ builder.policy.lent) & sort.own.keys() - {*sort.removed}
            if moved:
                name = min(moved)
                _refuse(f"nodes.{name}", f"whether {name!r} is supervised by the pool or by a team with `supervision`")
        own = {*sort.own.values()}
        going = {sort.own[name] for name in (*sort.removed, *sort.turned)}
        for team in self._estate.nodes.values():
            if isinstance(team, BaseTeam) and team not in own:
                lost = going.intersection(team.members())
                if lost:
                    name = min(node.name for node in lost)
                    text = f"node {name!r} is needed by team {team.name!r}, which was made at run time; remove it first"
                    raise NodeError(text, node=name)

    def _check_labels(self) -> None:
        going = {wire.talk for wire in self._old}
        taken = {name for name, talk in self._estate.registry.items() if talk not in going}
        for wire in self._new:
            label = wire.spec.label
            if label is not None and label in taken:
                text = f"node {wire.source.name!r}: a connection named {label!r} is in the pool already"
                raise ManifestError(text, node=wire.source.name)

    def _is_fresh(self, name: str) -> bool:
        old, new = self._estate.manifest, self._manifest
        if name not in self._estate.built.jobs or old.jobs.get(name) != new.jobs[name]:
            return True
        return old.responses != new.responses or old.root != new.root

    # -- do -------------------------------------------------------------------------------------------------------

    async def carry_out(self) -> tuple[Built, Reloaded]:
        """Start what is new, then put it in the place of what was there.

        Returns:
            What the pool has from the new manifest, and what has been done.

        Raises:
            NodeStartError: something new could not be started; nothing has changed.
        """
        opened = await self._open()
        commit = asyncio.ensure_future(self._commit(opened))
        try:
            await asyncio.shield(commit)
        except asyncio.CancelledError:  # half a reload is none
            await commit
            raise
        own = {name: node for name, node in self._nodes.items() if name not in self._sorted.foreign}
        built = Built(own, [*self._kept, *self._new], self._jobs, self._policy, self._marks)
        return built, self._done()

    def _done(self) -> Reloaded:
        sort = self._sorted
        changed = {*sort.changed, *sort.turned}
        return Reloaded(
            tuple(sort.added),
            tuple(sort.removed),
            tuple(name for name in self._manifest.nodes if name in changed),
            tuple(sort.unchanged),
            len(self._new),
            len(self._old),
        )

    async def _open(self) -> dict[str, OpenResources]:
        """Start what is new beside what is there, and enter what changed nodes are going to need."""
        root = self._estate.root
        opened: dict[str, OpenResources] = {}
        if root is None:
            return opened
        started: list[AnyNode] = []
        try:
            fresh = [self._jobs[name].knowledge for name in self._fresh_jobs]
            await asyncio.gather(*(source.load() for knowledge in fresh for source in sources_in(knowledge)))
            for node in self._starting():
                started.append(node)
                await root.open(node, self._policy)
            for name in self._sorted.changed:
                self._made[name].home = self._sorted.own[name].home  # what it needs lives where the node does
                opened[name] = await self._made[name].prepared()
        except BaseException:
            for node in reversed(started):
                await root.shut(node)
                self._strike(node)
            for resources in opened.values():
                await resources.close()
            raise
        return opened

    def _starting(self) -> Iterator[AnyNode]:
        """Yield the nodes to start before anything is changed; those that a team supervises start with the team."""
        yield from (wire.helper for wire in self._new if wire.helper is not None)
        fresh = {*self._sorted.turned, *self._sorted.added}
        for name in self._nodes:  # a team would start members that nobody has started before
            if name in fresh and name not in self._policy.lent:
                self._estate.nodes.setdefault(name, self._made[name])
                yield self._made[name]

    def _strike(self, node: AnyNode) -> None:
        if self._estate.nodes.get(node.name) is node:
            del self._estate.nodes[node.name]

    async def _commit(self, opened: Mapping[str, OpenResources]) -> None:
        estate, sort = self._estate, self._sorted
        await asyncio.gather(*(self._renew(name, opened.get(name)) for name in sort.changed))
        self._rewire()
        self._put_in_place()
        if estate.root is None:
            return
        before, after = estate.built.policy.care, self._policy.care
        touched = [name for name in sort.own if name in after and (name in sort.changed or after[name] != before[name])]
        nodes = [self._nodes[name] for name in touched if name not in sort.turned]
        await _done("the nodes are supervised as before", estate.root.adopt(self._policy, nodes))
        for name in (*sort.turned, *sort.added):
            if name in self._policy.lent:
                await _done(
                    f"node {name!r} of the new manifest could not be started", estate.root.open(self._nodes[name])
                )
            elif name in sort.turned:  # it was told of before it was in the pool
                await _done(
                    f"node {name!r}: what it remembers is not known", estate.services.opening(self._nodes[name])
                )
        await _done("what lives beside the nodes could not follow in everything", estate.services.apply(self._manifest))
        gone = [sort.own[name] for name in (*sort.turned, *sort.removed)]
        await asyncio.gather(*map(self._end, [*gone, *(wire.helper for wire in self._old if wire.helper is not None)]))

    async def _renew(self, name: str, opened: OpenResources | None) -> None:
        """Have a node be made anew, when what it has accepted is done."""
        log_runs(self._sorted.own[name], is_on=self._manifest.nodes[name].debug)
        node, other, root = self._sorted.own[name], self._made[name], self._estate.root
        if root is None or opened is None:
            node.reconfigure(other)
            return
        has_other_members = isinstance(node, BaseTeam) and _family(node) != _family(other)
        change = Reconfigure(node, other, opened)
        ref = node.home.find()
        try:
            if ref is not None:
                await ref.ask(change, timeout=self._estate.limit)
        except Exception as error:  # it is busy for too long, or has ended, or its own run has called for the reload
            _log.warning("node %r: made anew before its runs had ended: %s", name, error)
        change.apply()
        if ref is None or has_other_members:
            await _done(f"node {name!r} did not start at once, and is tried again", root.restart(node, self._policy))
        await _done(f"node {name!r}: what it needed before could not be closed", change.close())
        await _done(f"node {name!r}: what it remembers is not known", self._estate.services.opening(node))

    def _rewire(self) -> None:
        """Exchange the connections in one step, so that no message comes between."""
        for wire in self._old:
            wire.talk.disconnect()
        for wire in self._new:
            wire.attach()

    def _put_in_place(self) -> None:
        """Have the pool hold the nodes of the new manifest, and behind them what was added at run time or has to go."""
        estate, sort = self._estate, self._sorted
        others = {name: node for name, node in estate.nodes.items() if name not in self._nodes}
        for name in (*sort.added, *sort.turned):
            self._nodes[name].connections.join(estate.registry, estate.directory)
        estate.nodes.clear()
        estate.nodes.update({**self._nodes, **others})

    async def _end(self, node: AnyNode) -> None:
        """Let what a node has accepted end, within the limit, and stop it."""
        estate = self._estate
        self._strike(node)
        node.connections.disconnect_all()
        node.connections.leave()
        if estate.root is None:
            return
        ref = node.home.find()
        try:
            if ref is not None:
                await ref.ask(Settle(), timeout=estate.limit)
        except Exception as error:
            _log.warning("node %r: ended before its runs had ended: %s", node.name, error)
        await _done(f"node {node.name!r} could not be stopped", estate.root.shut(node))


async def _done(complaint: str, step: Awaitable[object]) -> None:
    """Take a step of a change that has begun and has to come to its end: what fails is logged."""
    try:
        await step
    except Exception:
        _log.exception("pool, reload: %s", complaint)


def _kind(spec: object) -> type[AnyNode]:
    if isinstance(spec, AgentSpec):
        return Agent
    return TeamRun if getattr(spec, "mode", None) == "sequential" else Team


def _named(manifest: Manifest, name: str) -> set[str]:
    """Return the nodes that a node is made with."""
    spec = manifest.nodes[name]
    if isinstance(spec, AgentSpec):
        return {worker.node for worker in spec.workers}
    return {*spec.members, *(other for other in (spec.picker, spec.validator) if other is not None)}


def _supervises(manifest: Manifest, name: str) -> bool:
    """Whether a node is a team that says how its members are restarted and stopped."""
    spec = manifest.nodes[name]
    return not isinstance(spec, AgentSpec) and spec.supervision is not None


def _family(team: Any) -> tuple[object, ...]:
    """Return what the supervisor behind a team is made of."""
    settings = team.settings
    supervision = settings.strategy, settings.intensity, settings.backoff, settings.member_specs
    return tuple(team.members()), supervision


def _refuse(key: str, what: str) -> None:
    text = f"{what} cannot be changed while the pool runs; end it and start it again"
    raise ManifestError(text, key=key)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")  # noqa: PLR2004 - a line is enough
