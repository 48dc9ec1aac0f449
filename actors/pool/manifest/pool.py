"""Make the nodes of a manifest: agents first, then teams in any nesting, then connections."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.agents.agent import Agent
from actors.agents.manifest.agent import AgentBuilder
from actors.agents.manifest.imports import ImportScope, refusal
from actors.agents.manifest.knowledge import knowledge_of, text_of
from actors.agents.manifest.values import node_settings, output_type, tool_of_spec, usage_limits_of
from actors.config.agent import AgentSpec
from actors.config.explain import placed
from actors.config.manifest import Manifest
from actors.config.node import NodeSpec
from actors.config.supervision import NodeSupervision, Supervision
from actors.config.team import QuorumSpec, TeamSpec
from actors.nodes.base_team import BaseTeam
from actors.nodes.node import AnyNode
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.debug_log import log_runs
from actors.pool.manifest.connection import BuiltConnection, ConnectionBuilder
from actors.pool.node_supervisor import PoolPolicy
from actors.runs.job import Job
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.backoff import Backoff
from actors.supervision.intensity import RestartIntensity
from protocols.mailbox import Overflow

PromptVersion = tuple[str, int, int]
"""Path, time of the last change in nanoseconds, size in bytes; 0 and 0 for a missing file."""


@dataclass(frozen=True, slots=True)
class Built:
    """The nodes, connections and jobs of a manifest."""

    nodes: dict[str, AnyNode]
    """Agents in the order of the manifest, then teams, each after its members."""
    connections: list[BuiltConnection]
    jobs: dict[str, Job[Any]]
    policy: PoolPolicy
    versions: Mapping[str, tuple[PromptVersion, ...]]
    """Versions of the prompt files that agents were made with."""

    @property
    def helpers(self) -> list[AnyNode]:
        """Nodes behind connections to files and functions; they are not in the pool by name."""
        return [one.helper for one in self.connections if one.helper is not None]


class Builder:
    """Makes the nodes, connections and jobs of a manifest, and starts nothing.

    Args:
        manifest: the manifest.
        model: model of agents that name none.
        deps: dependencies of all agents.
    """

    def __init__(self, manifest: Manifest, *, model: Any = None, deps: Any = None) -> None:
        self.manifest = manifest
        self._agents = AgentBuilder(manifest, model=model, deps=deps)
        self.policy = _policy(manifest)
        """How the nodes are restarted and stopped."""

    def nodes(
        self, existing: Mapping[str, AnyNode], names: Container[str]
    ) -> tuple[dict[str, AnyNode], dict[str, Any]]:
        """Make nodes.

        Args:
            existing: existing nodes by name; new nodes refer to these.
            names: the nodes to make.

        Returns:
            All nodes of the manifest by name, in its order, existing ones first choice; and the new nodes by name.

        Raises:
            ConfigError: something that the manifest names cannot be imported or used.
        """
        manifest = self.manifest
        agents: dict[str, Agent[Any, Any]] = {
            name: Agent.from_definition(self._agents.definition(name)) for name in manifest.agents if name in names
        }
        made: dict[str, Any] = dict(agents)
        nodes: dict[str, AnyNode] = {name: existing.get(name) or made[name] for name in manifest.agents}
        for name in manifest.build_order:
            if name in names:
                made[name] = _team(manifest, name, nodes, self._agents.scope)
            nodes[name] = existing.get(name) or made[name]
        for name, agent in agents.items():
            for worker in manifest.agents[name].workers:
                agent.register_worker(
                    nodes[worker.node],
                    name=worker.name,
                    description=worker.description,
                    reset_history=worker.reset_history_on_run,
                    pass_history=worker.pass_message_history,
                )
        for name, node in made.items():
            if manifest.node(name).debug:
                log_runs(node, is_on=True)
        return nodes, made

    def connections(
        self, nodes: Mapping[str, AnyNode], existing: Sequence[BuiltConnection]
    ) -> tuple[list[BuiltConnection], list[BuiltConnection]]:
        """Make the connections between nodes; see `ConnectionBuilder.build`."""
        return ConnectionBuilder(self.manifest, nodes, self._agents.scope).build(existing)

    def job(self, name: str) -> Job[Any]:
        """Make one job.

        Raises:
            ConfigError: something that it names cannot be found, imported or used.
        """
        manifest, scope, who = self.manifest, self._agents.scope, f"job {name}"
        spec, root = manifest.jobs[name], manifest.root or Path()
        dependency = scope.find(spec.required_dependency, who) if spec.required_dependency is not None else None
        if dependency is not None and not isinstance(dependency, type):
            raise refusal(who, f"required_dependency {spec.required_dependency!r} is no type")
        return Job(
            name=name,
            description=spec.description,
            prompt=text_of(spec.prompt, root, scope, who),
            required_return_type=output_type(spec.required_return_type, who, manifest.responses, scope),
            required_dependency=dependency,
            knowledge=knowledge_of(spec.knowledge, root, scope, who),
            tools=[tool_of_spec(tool, scope.find(tool.import_path, who), who) for tool in spec.tools],
            requires_vision=spec.requires_vision,
            min_context_tokens=spec.min_context_tokens,
        )


def build(manifest: Manifest, *, model: Any = None, deps: Any = None, connect: bool = True) -> Built:
    """Make the nodes, connections and jobs of a manifest, and start nothing.

    Args:
        manifest: the manifest.
        model: model of agents that name none.
        deps: dependencies of all agents.
        connect: True to make the connections.

    Raises:
        ConfigError: something that the manifest names cannot be imported or used.
    """
    builder = Builder(manifest, model=model, deps=deps)
    versions = prompt_versions(manifest)
    with placed(manifest.source):
        nodes, _ = builder.nodes({}, manifest.nodes)
        connections = builder.connections(nodes, ())[1] if connect else []
        for connection in connections:
            connection.attach()
        jobs = {name: builder.job(name) for name in manifest.jobs}
    return Built(nodes, connections, jobs, builder.policy, versions)


def _team(manifest: Manifest, name: str, nodes: Mapping[str, AnyNode], scope: ImportScope) -> BaseTeam[Any, Any]:
    spec = manifest.node(name)
    assert isinstance(spec, TeamSpec)
    members, settings = [nodes[member] for member in spec.members], _team_settings(manifest, spec, nodes, scope)
    if spec.mode == "sequential":
        validator = nodes[spec.validator] if spec.validator is not None else None
        return TeamRun(members, validator=validator, result_mode=spec.result_mode, **settings)
    policy = spec.policy.quorum if isinstance(spec.policy, QuorumSpec) else spec.policy or "any"
    return Team(members, policy=policy, **settings)


def _team_settings(
    manifest: Manifest, spec: TeamSpec, nodes: Mapping[str, AnyNode], scope: ImportScope
) -> dict[str, Any]:
    settings: dict[str, Any] = {
        **node_settings(spec, scope),
        "name": spec.name,
        "shared_prompt": spec.shared_prompt,
        "picker": nodes[spec.picker] if spec.picker is not None else None,
        "num_picks": spec.num_picks,
        "pick_prompt": spec.pick_prompt,
        "usage_limits": usage_limits_of(spec.limits),
    }
    if spec.supervision is not None:
        settings["member_specs"] = {name: _child_fields(manifest.node(name), spec.supervision) for name in spec.parts}
        settings["strategy"] = spec.supervision.strategy
        settings["intensity"] = RestartIntensity(**spec.supervision.intensity.model_dump())
        settings["backoff"] = Backoff(**spec.supervision.backoff.model_dump())
    return settings


def _policy(manifest: Manifest) -> PoolPolicy:
    supervision = manifest.supervision or Supervision()
    return PoolPolicy(
        supervision.strategy,
        RestartIntensity(**supervision.intensity.model_dump()),
        Backoff(**supervision.backoff.model_dump()),
        {name: _child_fields(manifest.node(name), supervision) for name in manifest.nodes},
        # A team with `supervision` supervises its parts itself.
        frozenset(name for team in manifest.teams.values() if team.supervision is not None for name in team.parts),
    )


def _child_fields(node: NodeSpec, pool: NodeSupervision) -> dict[str, Any]:
    """Return the fields of the child spec of a node."""
    own = node.supervision if isinstance(node, AgentSpec) and node.supervision is not None else pool
    shutdown, queue = pool.shutdown if own.shutdown is None else own.shutdown, node.mailbox
    return {
        "restart": own.restart or pool.restart or "transient",
        "mailbox": None if queue is None else MailboxConfig(queue.capacity, Overflow(queue.overflow)),
        **({} if shutdown is None else {"shutdown": shutdown}),
    }


def prompt_versions(manifest: Manifest) -> Mapping[str, tuple[PromptVersion, ...]]:
    """Return the versions of the prompt files, by the agents that have any."""
    root = manifest.root or Path()
    prompts = {name: (*spec.system_prompt, *spec.instructions) for name, spec in manifest.agents.items()}
    found = {name: tuple(_version(root / each.file) for each in of if each.file) for name, of in prompts.items()}
    return {name: versions for name, versions in found.items() if versions}


def _version(path: Path) -> PromptVersion:
    try:
        state = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), state.st_mtime_ns, state.st_size
