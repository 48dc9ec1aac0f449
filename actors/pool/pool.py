"""`AgentPool`: agents, teams and connections that live together under one supervisor."""

from __future__ import annotations

import asyncio
import logging
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from actors.agents.agent import Agent
from actors.agents.manifest.imports import check_free
from actors.config.load import load_manifest
from actors.config.manifest import Manifest
from actors.nodes.base_team import BaseTeam
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.manifest.pool import Builder, Built, build
from actors.pool.node_supervisor import EXIT_TIMEOUT, NodeSupervisor
from actors.pool.registry import NodeRegistry
from actors.pool.reload import Reload, ReloadContext, Reloaded
from actors.pool.services import PoolServices, ServiceFactory
from actors.prompts.knowledge import sources_in
from protocols.errors import ManifestError, NodeError, NodeNameError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from actors.nodes.node import AnyNode
    from actors.runtime.system import ActorSystem

_log = logging.getLogger("understudy")

Deps = TypeVar("Deps")
Service = TypeVar("Service")


class AgentPool(NodeRegistry, Generic[Deps]):
    """A registry of nodes by name, and their life: on entering they start under one supervisor, on leaving they end.

    Example:
        ```python
        async with AgentPool("agents.yml") as pool:
            message = await pool.get_agent("analyzer").run("What is this about?")

        async with AgentPool[None]() as pool:
            await pool.add_agent("planner", system_prompt="Plan.")
            await pool.add_agent("critic", system_prompt="Find the holes.")
            run = pool.create_team_run(["planner", "critic"])
            stats = await run.run_in_background("A party for ten people")
        ```

    Leaving stops background runs, lets accepted runs end within their time, stops everything else, and empties the
    pool. It may be entered more than once at a time; the last one to leave ends it.
    """

    def __init__(  # noqa: PLR0913 - keywords, all of them optional
        self,
        manifest: str | PathLike[str] | Manifest | None = None,
        *,
        model: Any = None,
        shared_deps: Deps | None = None,
        connect_nodes: bool = True,
        parallel_load: bool = True,
        system: ActorSystem | None = None,
        exit_timeout: float = EXIT_TIMEOUT,
        services: Sequence[ServiceFactory] = (),
    ) -> None:
        """Make the nodes of a manifest, or start empty. Nothing runs before the pool is entered.

        Args:
            manifest: path of a YAML file, a loaded manifest, or None for an empty pool.
            model: model of agents that name none; None is that of the environment, else ``offline``.
            shared_deps: dependencies of agents that have none of their own.
            connect_nodes: whether the connections of the manifest are made.
            parallel_load: whether agents start all at once, or one after the other in the order of the manifest.
            system: actor system that the nodes live in; None is that of the loop on which the pool is entered.
            exit_timeout: seconds that leaving may take before running work is cancelled.
            services: make the services of the pool, such as history and triggers; the pool itself has none.

        Raises:
            ManifestError: the manifest cannot be read or is wrong; lists every problem.
            ConfigError: something that the manifest names cannot be imported or used.
        """
        super().__init__()
        self.manifest = _manifest(manifest)
        """What the pool was made from; an empty one for an empty pool."""
        self.model = model
        self.shared_deps = shared_deps
        self._connect_nodes = connect_nodes
        self._parallel_load = parallel_load
        self.system = system
        """Actor system that the nodes live in; None for that of the loop on which the pool is entered."""
        self._exit_timeout = exit_timeout
        self._built: Built
        self._root: NodeSupervisor | None = None
        self._factories = tuple(services)
        self._services = PoolServices()
        self._entered = 0
        self._lock = asyncio.Lock()
        self._build()

    # -- look -----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the pool: that of the manifest, else ``pool``."""
        return self.manifest.name or "pool"

    @property
    def is_running(self) -> bool:
        """Whether the pool is entered."""
        return self._root is not None

    def __eq__(self, other: object) -> bool:
        return self is other  # two pools with the same nodes are two pools

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<AgentPool {self.name!r} with {len(self._nodes)} nodes{', running' if self.is_running else ''}>"

    def service(self, kind: type[Service]) -> Service | None:
        """Return the service of a class, such as the triggers; None while the pool does not run, or without it."""
        return self._services.find(kind)

    # -- change ---------------------------------------------------------------------------------------------------

    async def add_agent(self, name: str, **settings: Any) -> Agent[Any, Any]:
        """Make an agent and add it; in a running pool it starts at once.

        Args:
            name: must be free.
            **settings: as for `Agent`; `model` and `deps` default to those of the pool.

        Raises:
            NodeNameError: the name is taken or empty.
            NodeStartError: it could not be started; it is not in the pool then.
        """
        check_free(name, self._nodes.get(name))
        if self.shared_deps is not None:
            settings.setdefault("deps", self.shared_deps)
        if settings.get("model") is None:
            settings["model"] = self.model
        agent: Agent[Any, Any] = Agent(name, **settings)
        await self.add_node(agent)
        return agent

    async def add_node(self, node: AnyNode) -> None:
        """Add a node; in a running pool it starts at once.

        Raises:
            NodeNameError: its name is taken.
            NodeStartError: it could not be started; it is not in the pool then.
        """
        check_free(node.name, self._nodes.get(node.name))
        node.connections.join(self.connection_registry, self)
        self._nodes[node.name] = node
        if self._root is not None:
            try:
                await self._root.open(node)
            except BaseException:
                del self._nodes[node.name]
                node.connections.leave()
                raise

    async def remove_node(self, name: str) -> AnyNode:
        """Take a node out: it ends what it has accepted and takes no runs any more; connections to it end.

        Raises:
            NodeNotFoundError: there is none of this name.
            NodeError: a team of the pool needs it.
        """
        node = self._dispensable(name)
        del self._nodes[name]
        self.connection_registry.redirect(node, None)
        await self._let_go(node)
        return node

    async def replace_node(self, name: str, node: AnyNode) -> AnyNode:
        """Put another node in the place of one, under the new one's own name; return the old one.

        The new one starts before the old one goes, and connections to the old one lead to it from then on; the old one
        ends what it has accepted. Its own connections and subscribers go with it.

        Raises:
            NodeNotFoundError: there is none of this name.
            NodeError: a team of the pool needs the old one, or both are the same.
            NodeNameError: the new one's name is taken by a third one.
            NodeStartError: the new one could not be started; the old one stays.
        """
        old = self._dispensable(name)
        if node is old:
            text = f"node {name!r} cannot take its own place"
            raise NodeError(text, node=name)
        if node.name != name:
            check_free(node.name, self._nodes.get(node.name))
        node.connections.join(self.connection_registry, self)
        if self._root is not None:
            try:
                await self._root.open(node)
            except BaseException:
                node.connections.leave()
                raise
        pairs = [(node.name, node) if one is old else (key, one) for key, one in self._nodes.items()]
        self._nodes = dict(pairs)
        self.connection_registry.redirect(old, node)
        try:
            await self._services.opening(node)  # once more: under another name it was nobody's until now
        finally:
            await self._let_go(old)
        return old

    async def _let_go(self, node: AnyNode) -> None:
        node.connections.leave()
        if self._root is not None:
            await self._root.shut(node)

    async def reload(self, manifest: str | PathLike[str] | Manifest | None = None) -> Reloaded:
        """Make the pool what a changed manifest says, while it runs.

        Nodes that have not changed keep their actor, memory and mailbox, and do not notice. A changed node stays the
        same object under the same name, with its connections and subscribers: what it has accepted is done as before,
        within the pool's `exit_timeout`; what comes later is done by the new settings, beginning with an empty memory
        (or what its session restores). New nodes start, removed ones let accepted runs end and stop. Connections, jobs,
        triggers and supervision follow. Nodes and jobs that were added at run time stay.

        Args:
            manifest: as for `AgentPool`; None reads the file again that the pool was made from.

        Returns:
            What has been done.

        Raises:
            ManifestError: the manifest cannot be read or is wrong, or changes what cannot change in a running pool:
                `storage`, the strategy of the pool, and who supervises a node. Nothing has changed.
            ConfigError: something that it names cannot be imported or used; nothing has changed.
            NodeNameError: a new node or job has the name of one that was added at run time; nothing has changed.
            NodeError: a team that was made at run time needs a node that would go; nothing has changed.
            NodeStartError: a new node, or what a changed one needs, could not be started; nothing has changed.
        """
        async with self._lock:
            new = _manifest(self._file() if manifest is None else manifest)
            late = {name: job for name, job in self._jobs.items() if name not in self.manifest.jobs}
            for name in late.keys() & new.jobs.keys():
                text = f"job {name!r} was added to the pool at run time; choose another name"
                raise NodeNameError(text)
            estate = ReloadContext(
                self.manifest, self._built, self._nodes, self._root, self._services, self.connection_registry, self,
                self._exit_timeout,
            )  # fmt: skip
            builder = Builder(new, model=self.model, deps=self.shared_deps)
            change = Reload(estate, new, builder, connect=self._connect_nodes)
            self._built, done = await change.carry_out()
            self._jobs, self.manifest = {**self._built.jobs, **late}, new
        _log.info("pool %r: the manifest was reloaded: %s", self.name, done)
        return done

    def _file(self) -> PathLike[str]:
        if not self.manifest.files:
            text = f"pool {self.name!r} was not made from a file; pass the manifest to reload"
            raise ManifestError(text)
        return self.manifest.files[0]

    def create_team(
        self, agents: Sequence[str | AnyNode] | None = None, *, name: str | None = None, **settings: Any
    ) -> Team[Any]:
        """Make a team whose members work at the same time; it is in the pool only when it is given a name.

        Args:
            agents: names and nodes, mixed; None is all agents of the pool.
            name: unique in the pool.
            **settings: as for `Team`.

        Raises:
            NodeNotFoundError: a name leads to no node; a KeyError.
            NodeNameError: the name is taken.
        """
        team: Team[Any] = Team(self._members(agents), name=name, **self._checked(name, settings))
        self._adopt(team, name)
        return team

    def create_team_run(
        self, agents: Sequence[str | AnyNode] | None = None, *, name: str | None = None, **settings: Any
    ) -> TeamRun[Any]:
        """Make a chain whose members work one after the other; otherwise as `create_team`."""
        run: TeamRun[Any] = TeamRun(self._members(agents), name=name, **self._checked(name, settings))
        self._adopt(run, name)
        return run

    def _members(self, agents: Sequence[str | AnyNode] | None) -> list[AnyNode]:
        if agents is None:
            return list(self.agents.values())
        return [self[agent] if isinstance(agent, str) else agent for agent in agents]

    def _checked(self, name: str | None, settings: dict[str, Any]) -> dict[str, Any]:
        if name is not None:
            check_free(name, self._nodes.get(name))
        for key in ("picker", "validator"):
            if isinstance(settings.get(key), str):
                settings[key] = self[settings[key]]
        return settings

    def _adopt(self, team: AnyNode, name: str | None) -> None:
        """Take note of a team, so that leaving the pool ends what it still does."""
        self._loose.add(team)
        team.connections.join(self.connection_registry, self)
        if name is not None:
            self._nodes[name] = team
            self._services.joined(team)

    # -- life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._root is not None:
            self._root.system.check_loop()
        async with self._lock:
            if not self._entered:
                await self._open()
            self._entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async with self._lock:
            self._entered -= 1
            if not self._entered:
                await self._services.leave()

    def _build(self) -> None:
        built: Built = build(self.manifest, model=self.model, deps=self.shared_deps, connect=self._connect_nodes)
        self._nodes, self._built = dict(built.nodes), built
        for node in self._nodes.values():
            node.connections.join(self.connection_registry, self)
        self._jobs = dict(built.jobs)
        self._is_spent = False

    async def _open(self) -> None:
        if self._is_spent:  # it was left before: begin anew
            self._build()
        self._services = PoolServices(make(self) for make in self._factories)
        try:
            await self._services.enter(needs_nodes=False)
            await self._open_nodes()
            self._services.on_leaving(self._close)
            await self._services.enter(needs_nodes=True)
        except BaseException:
            await self._services.leave()
            raise

    async def _open_nodes(self) -> None:
        sources = [source for job in self._jobs.values() for source in sources_in(job.knowledge)]
        await asyncio.gather(*(source.load() for source in sources))
        root = NodeSupervisor(
            self.name, self._built.policy, self.system, exit_timeout=self._exit_timeout, services=self._services
        )
        await root.open_all(self._groups(), is_parallel=self._parallel_load)
        self._root = root

    def _groups(self) -> list[list[AnyNode]]:
        """Return what is opened together: what stands alone, each team after its members, what teams have started."""
        lent = [node for node in self._nodes.values() if node.name in self._built.policy.lent]
        own = [node for node in self._nodes.values() if node.name not in self._built.policy.lent]
        teams: list[list[AnyNode]] = [[node] for node in own if isinstance(node, BaseTeam)]
        return [[*self._built.helpers, *(node for node in own if not isinstance(node, BaseTeam))], *teams, lent]

    def _all_loose(self) -> list[AnyNode]:
        """Return the teams made with nodes of this pool that are not in it, by its methods or by operators."""
        found: dict[AnyNode, None] = dict.fromkeys(self._loose)
        waiting: list[AnyNode] = [*self._nodes.values(), *found]
        while waiting:
            fresh = [
                group for group in waiting.pop().groups if group not in found and group not in self._nodes.values()
            ]
            found.update(dict.fromkeys(fresh))
            waiting += fresh
        return list(reversed(found))

    async def _close(self) -> None:
        root, self._root = self._root, None
        loose = [node for node in self._all_loose() if node.home.find() is not None]
        for node in (*self._nodes.values(), *self._loose):
            node.connections.leave()
        self._nodes, self._is_spent = {}, True
        self._loose.clear()
        if root is not None:
            await root.close(loose)


def _manifest(given: object) -> Manifest:
    if given is None:
        return Manifest()
    if isinstance(given, Manifest):
        return given
    if isinstance(given, str | PathLike):
        return load_manifest(cast("str | PathLike[str]", given))
    text = f"a pool is made from the path of a manifest, a Manifest, or nothing, not from {given!r}"
    raise ManifestError(text)
