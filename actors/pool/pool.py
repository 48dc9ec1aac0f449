"""`AgentPool`: agents, teams and connections under one supervisor."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from types import SimpleNamespace, TracebackType
from typing import ClassVar, Generic, Self, Unpack, cast

from typing_extensions import TypeVar

from actors.agents.agent import Agent
from actors.agents.manifest.imports import check_free
from actors.agents.manifest.values import budget_of
from actors.agents.settings import AgentKeywords, AgentSettings, OutputSpec
from actors.config.load import manifest_of
from actors.config.manifest import Manifest
from actors.nodes.base_team import check_node
from actors.nodes.node import AnyNode
from actors.pool.collector import rare_collection
from actors.pool.manifest.pool import Builder, Built, build
from actors.pool.node_supervisor import EXIT_TIMEOUT, NodeSupervisor
from actors.pool.registry import POOL_CHECKS, PoolKeywords
from actors.pool.reload import Reload, Reloaded
from actors.pool.services import Health, PoolServices, ServiceFactory
from actors.pool.team_builder import TeamBuilder
from actors.prompts.knowledge import sources_in
from actors.runs.handle import Out
from actors.runs.request import AnyModel, AnyTool
from actors.runtime.system import ActorSystem
from protocols.checks import check_keywords, check_values
from protocols.errors import ConfigError, ManifestError, NodeError, NodeNameError
from protocols.keywords import spelled_out

_log = logging.getLogger("understage")

Deps = TypeVar("Deps")
NodeDeps = TypeVar("NodeDeps", default=object)
Node = TypeVar("Node", bound=AnyNode)
Service = TypeVar("Service")


class AgentPool(TeamBuilder, Generic[Deps]):
    """The nodes of a manifest by name. Entering the pool starts them under one supervisor, leaving it stops them.

    Leaving stops background runs, gives accepted runs time to end, stops everything else, and empties the pool. Several
    callers may enter the pool at the same time; the last caller that leaves stops it. This pool has no services;
    `actors.AgentPool` is a pool with history and triggers.

    Example:
        ```python
        async with AgentPool("agents.yml", services=[HistoryService]) as pool:
            message = await pool.get_agent("analyzer").run("What is this about?")
        ```
    """

    default_services: ClassVar[Sequence[ServiceFactory]] = ()
    """Make the services of a pool that is given none."""

    @spelled_out(PoolKeywords, SimpleNamespace(exit_timeout=EXIT_TIMEOUT))
    def __init__(  # noqa: PLR0913 - keywords, all of them optional
        self,
        manifest: str | PathLike[str] | Manifest | None = None,
        *,
        model: AnyModel | None = None,
        shared_deps: Deps | None = None,
        connect_nodes: bool = True,
        parallel_load: bool = True,
        system: ActorSystem | None = None,
        services: Sequence[ServiceFactory] | None = None,
        **keywords: Unpack[PoolKeywords],
    ) -> None:
        """Make a pool; nothing is started before it is entered.

        Args:
            manifest: path of a YAML file, a loaded manifest, or None for an empty pool.
            model: model of agents that name none; None for the model of the environment, else ``offline``.
            shared_deps: dependencies of agents that have none of their own.
            connect_nodes: True to make the connections of the manifest.
            parallel_load: True to start agents at the same time, False to start them in the order of the manifest.
            system: actor system of the nodes; None for that of the loop on which the pool is entered.
            services: make the services of the pool, such as history and triggers; None for those of the class.
            **keywords: `exit_timeout`, the seconds that leaving may take before running work is cancelled; `tracing`, a
                `Tracing` for spans of runs; `budget`, what models may be asked for by all nodes together; `journal`,
                where durable nodes keep what they have accepted: a path, ``postgresql://...``, True or False, and
                `cluster`, if other processes have the same pool: ``postgresql://...``, a dict of its keys, True or
                False. None for those of the manifest.

        Raises:
            ManifestError: the manifest cannot be read or is wrong; lists every problem.
            ConfigError: something that the manifest names cannot be imported or used.
        """
        others = ("manifest", "model", "shared_deps", "connect_nodes", "parallel_load", "system", "services")
        check_keywords("a pool takes no keyword", keywords, PoolKeywords.__annotations__, others=others)
        check_values(POOL_CHECKS, keywords, lambda _, problem: ConfigError(f"pool: {problem}"))
        super().__init__()
        self.shared = keywords.get("journal"), keywords.get("cluster")
        """The journal and the cluster that were given in the place of those of the manifest."""
        self.manifest = manifest_of(manifest, *self.shared)
        """The manifest of the pool; an empty manifest for an empty pool."""
        self.budget, self.tracing = keywords.get("budget"), keywords.get("tracing")
        self.model, self.shared_deps = model, shared_deps
        self.system = self._own_system = system
        self._connect_nodes, self._parallel_load = connect_nodes, parallel_load
        self.exit_timeout = keywords.get("exit_timeout", EXIT_TIMEOUT)
        self._built: Built
        self._supervisor: NodeSupervisor | None = None
        self._factories = tuple(self.default_services if services is None else services)
        self._entered, self._lock = 0, asyncio.Lock()
        self._build()

    # -- look -----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the pool: that of the manifest, else ``pool``."""
        return self.manifest.name or "pool"

    def __eq__(self, other: object) -> bool:
        return self is other  # two pools with the same nodes are two pools

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<AgentPool {self.name!r} with {len(self._nodes)} nodes{', running' if self.is_running else ''}>"

    def service(self, kind: type[Service]) -> Service | None:
        """Return the service of a class, such as the triggers; None while the pool does not run, or without it."""
        return next((one for one in self._services if isinstance(one, kind)), None)

    @property
    def health(self) -> dict[str, Health]:
        """The health of the services of the running pool, by the names of their classes."""
        return {type(service).__name__: service.health for service in self._services}

    @property
    def numbers(self) -> dict[str, Mapping[str, int]]:
        """What the services of the running pool count of each node, by the name of the metric."""
        return {metric: by_node for one in self._services for metric, by_node in one.numbers.items()}

    async def forget_session(self, session: str) -> int:
        """Delete a session from the memory of all nodes and from the stores. Return how many stored messages that were.

        Raises:
            StorageError: a store failed.
        """
        self._forget_in_memory(session)
        deleted = sum([await service.forget(session) for service in self._services])
        self._forget_in_memory(session)  # a run may have read the session before the store deleted it
        return deleted

    # -- change ---------------------------------------------------------------------------------------------------

    @spelled_out(AgentKeywords, AgentSettings())
    async def add_agent(
        self,
        name: str,
        *,
        model: AnyModel | None = None,
        output_type: OutputSpec[Out] = str,  # type: ignore[assignment] # as `Agent`
        deps_type: type[NodeDeps] = object,  # type: ignore[assignment]
        system_prompt: str | Sequence[str] = (),
        tools: Sequence[AnyTool] = (),
        **settings: Unpack[AgentKeywords[NodeDeps]],
    ) -> Agent[NodeDeps, Out]:
        """Make an agent and add it; in a running pool the agent starts at once.

        Args are those of `Agent`; `model` and `deps` default to those of the pool.

        Raises:
            NodeNameError: the name is taken or empty, or not a text.
            NodeStartError: the agent could not be started; it is not in the pool.
        """
        self._check_new(name)
        if self.shared_deps is not None:
            settings.setdefault("deps", cast("NodeDeps", self.shared_deps))
        agent = Agent(
            name,
            model=self.model if model is None else model,
            output_type=output_type,
            deps_type=deps_type,
            system_prompt=system_prompt,
            tools=tools,
            **settings,
        )
        return await self.add_node(agent)

    async def add_node(self, node: Node) -> Node:
        """Add a node and return it; in a running pool the node starts at once.

        Raises:
            ConfigError: it is not a node.
            NodeNameError: the name of the node is taken.
            NodeStartError: the node could not be started; it is not in the pool.
        """
        check_node(node, "node of a pool:")
        check_free(node.name, self._nodes.get(node.name))
        node.connections.join(self.connection_registry, self)
        self._nodes[node.name] = node
        if self._supervisor is not None:
            try:
                await self._supervisor.open(node)
            except BaseException:
                del self._nodes[node.name]
                node.connections.leave()
                raise
        return node

    async def remove_node(self, name: str) -> AnyNode:
        """Remove a node. Its accepted runs end, it accepts no more runs, and connections to it end.

        Raises:
            NodeNotFoundError: the name is unknown.
            NodeError: a team of the pool needs the node.
        """
        node = self._removable(name)
        del self._nodes[name]
        self.connection_registry.redirect(node, None)
        await self._release(node)
        return node

    async def replace_node(self, name: str, node: AnyNode) -> AnyNode:
        """Replace a node by another node, under the name of the new node; return the old node.

        The new node starts before the old node stops. Connections to the old node lead to the new node from then on.
        The accepted runs of the old node end; its own connections and subscribers are not moved.

        Raises:
            NodeNotFoundError: the name is unknown.
            NodeError: a team of the pool needs the old node, or both are the same node.
            NodeNameError: a third node has the name of the new node.
            NodeStartError: the new node could not be started; the old node stays.
        """
        old = self._removable(name)
        if node is old:
            raise NodeError(f"node {name!r} cannot take its own place", node=name)
        if node.name != name:
            check_free(node.name, self._nodes.get(node.name))
        node.connections.join(self.connection_registry, self)
        if self._supervisor is not None:
            try:
                await self._supervisor.open(node)
            except BaseException:
                node.connections.leave()
                raise
        pairs = [(node.name, node) if one is old else (key, one) for key, one in self._nodes.items()]
        self._nodes = dict(pairs)
        self.connection_registry.redirect(old, node)
        try:
            await self._services.opening(node)  # again: under another name the node was not in the pool before
        finally:
            await self._release(old)
        return old

    async def _release(self, node: AnyNode) -> None:
        node.connections.leave()
        if self._supervisor is not None:
            await self._supervisor.shut(node)

    async def reload(self, manifest: str | PathLike[str] | Manifest | None = None) -> Reloaded:
        """Apply a changed manifest to the pool, while it runs.

        Unchanged nodes keep their actor, memory and mailbox. A changed node stays the same object under the same name,
        with its connections and subscribers. Its accepted runs end by the old definition, within the `exit_timeout` of
        the pool. Later runs use the new definition, with an empty memory (or what its session restores). New nodes
        start; removed nodes stop after their accepted runs. Connections, jobs, triggers and supervision follow. Nodes
        and jobs that were added at run time stay.

        Args:
            manifest: as for `AgentPool`; None to read the file of the pool again.

        Returns:
            What has changed.

        Raises:
            ManifestError: the manifest cannot be read or is wrong, or changes what cannot change in a running pool:
                `storage`, `journal`, `cluster`, `tracing`, the strategy of the pool, who supervises a node. Nothing
                has changed.
            ConfigError: something that it names cannot be imported or used; nothing has changed.
            NodeNameError: a new node or job has the name of one that was added at run time; nothing has changed.
            NodeError: a team that was made at run time needs a node that would be removed; nothing has changed.
            NodeStartError: a new node, or the resources of a changed node, could not be started; nothing has changed.
        """
        async with self._lock:
            if manifest is None and not self.manifest.files:
                raise ManifestError(f"pool {self.name!r} was not made from a file; pass the manifest to reload")
            new = manifest_of(self.manifest.files[0] if manifest is None else manifest, *self.shared)
            late = {name: job for name, job in self._jobs.items() if name not in self.manifest.jobs}
            for name in late.keys() & new.jobs.keys():
                raise NodeNameError(f"job {name!r} was added to the pool at run time; choose another name")
            builder = Builder(new, model=self.model, deps=self.shared_deps)
            change = Reload(self, self._built, self._nodes, self._supervisor, builder, connect=self._connect_nodes)
            self._built, done = await change.carry_out()
            self._jobs, self.manifest = {**self._built.jobs, **late}, new
            self._fund(self.budget or budget_of(new.budget))
        _log.info("pool %r: the manifest was reloaded: %s", self.name, done)
        return done

    # -- life -----------------------------------------------------------------------------------------------------

    def fail(self, cause: Exception) -> None:
        """End all nodes, as after too many restarts: what waits for them, and every later run, is told the cause."""
        if self._supervisor is not None:
            self._supervisor.fail(cause)

    async def __aenter__(self) -> Self:
        if self._supervisor is not None:
            self._supervisor.system.check_loop()
        async with self._lock:
            if not self._entered:
                with rare_collection():
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

    @rare_collection()
    def _build(self) -> None:
        built: Built = build(self.manifest, model=self.model, deps=self.shared_deps, connect=self._connect_nodes)
        self._nodes, self._built = dict(built.nodes), built
        for node in self._nodes.values():
            node.connections.join(self.connection_registry, self)
        self._jobs = dict(built.jobs)
        self._fund(self.budget or budget_of(self.manifest.budget))
        self._is_used = False

    async def _open(self) -> None:
        if self._is_used:  # the pool was left before, and is empty
            self._build()
        self._services = PoolServices(make(self) for make in self._factories)
        try:
            await self._services.enter()
            await self._open_nodes()
            self._services.stack.push_async_callback(self._close)
            await self._services.begin()
        except BaseException:
            await self._services.leave()
            raise

    async def _open_nodes(self) -> None:
        sources = [source for job in self._jobs.values() for source in sources_in(job.knowledge)]
        await asyncio.gather(*(source.load() for source in sources))
        supervisor = NodeSupervisor(
            self.name, self._built.policy, self.system, exit_timeout=self.exit_timeout, services=self._services
        )
        await supervisor.open_all(self._groups(), is_parallel=self._parallel_load)
        self._supervisor, self.supervisor, self.is_open = supervisor, supervisor.cell, True
        self.system = supervisor.system

    def _groups(self) -> list[list[AnyNode]]:
        """Return the nodes that open together: nodes without members, each team after its members, nodes of teams."""
        of_teams = self._built.policy.team_supervised
        own = [node for node in self._nodes.values() if node.name not in of_teams]
        teams = [[node] for node in own if node.members()]
        single = [node for node in own if not node.members()]
        late = [node for node in self._nodes.values() if node.name in of_teams]
        return [[*self._built.helpers, *single], *teams, late]

    def _all_detached(self) -> list[AnyNode]:
        """Return the teams of nodes of this pool that are not in the pool, made by its methods or by operators."""
        found: dict[AnyNode, None] = dict.fromkeys(self._detached)
        own = {*self._nodes.values()}
        waiting: list[AnyNode] = [*self._nodes.values(), *found]
        while waiting:
            fresh = [group for group in waiting.pop().groups if group not in found and group not in own]
            found.update(dict.fromkeys(fresh))
            waiting += fresh
        return list(reversed(found))

    async def _close(self) -> None:
        supervisor, self._supervisor, self.supervisor, self.is_open = self._supervisor, None, None, False
        self.system = self._own_system
        detached = [node for node in self._all_detached() if node.home.find() is not None]
        for node in (*self._nodes.values(), *self._detached):
            node.connections.leave()
        self._nodes, self._is_used = {}, True
        self._detached.clear()
        if supervisor is not None:
            await supervisor.close(detached)
