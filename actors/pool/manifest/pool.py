"""From a manifest to nodes: agents first, then teams in any nesting, then connections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actors.agents.agent import Agent
from actors.agents.manifest.agent import AgentBuilder
from actors.agents.manifest.values import usage_limits_of
from actors.config.agent import AgentSpec
from actors.config.build_order import build_order
from actors.config.supervision import BackoffSpec, IntensitySpec, NodeSupervision, Supervision
from actors.config.team import QuorumSpec, TeamSpec
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.debug_log import log_runs
from actors.pool.manifest.connection import BuiltConnection, ConnectionBuilder
from actors.pool.manifest.job import job_of
from actors.pool.node_supervisor import Care, RootPolicy
from actors.pool.prompt_versions import file_marks
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.backoff import Backoff
from actors.supervision.intensity import RestartIntensity
from protocols.mailbox import Overflow

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from actors.agents.manifest.imports import ImportScope
    from actors.config.manifest import Manifest
    from actors.config.node import NodeSpec
    from actors.nodes.base_team import BaseTeam
    from actors.nodes.node import AnyNode
    from actors.pool.prompt_versions import FileMark
    from actors.runs.job import Job


@dataclass(frozen=True, slots=True)
class Built:
    """What a manifest describes, made."""

    nodes: dict[str, AnyNode]
    """Agents in the order of the manifest, then teams, each after its members."""
    wires: list[BuiltConnection]
    """The connections."""
    jobs: dict[str, Job[Any]]
    policy: RootPolicy
    marks: Mapping[str, tuple[FileMark, ...]]
    """State of the prompt files that agents were made with."""

    @property
    def helpers(self) -> list[AnyNode]:
        """Nodes behind connections to files and functions; nobody asks for them by name."""
        return [wire.helper for wire in self.wires if wire.helper is not None]


class Builder:
    """Makes what a manifest describes; nothing is started."""

    def __init__(self, manifest: Manifest, *, model: Any = None, deps: Any = None) -> None:
        """Take the manifest, the model of agents that name none, and the dependencies of all agents."""
        self.manifest = manifest
        self._agents = AgentBuilder(manifest, model=model, deps=deps)
        self.policy = _policy(manifest)
        """How the nodes are supervised."""

    def nodes(self, there: Mapping[str, AnyNode], names: Container[str]) -> tuple[dict[str, AnyNode], dict[str, Any]]:
        """Make nodes.

        Args:
            there: nodes that exist already, by name; what refers to one of these names is given that node.
            names: whom to make.

        Returns:
            All nodes by name, those that exist already for as long as they stand in the manifest, in its order; and
            those that were made by name.

        Raises:
            ConfigError: something that the manifest names cannot be imported or used.
        """
        manifest = self.manifest
        agents: dict[str, Agent[Any, Any]] = {
            name: Agent.from_definition(self._agents.definition(name)) for name in manifest.agents if name in names
        }
        made: dict[str, Any] = dict(agents)
        nodes: dict[str, AnyNode] = {name: there.get(name) or made[name] for name in manifest.agents}
        for name in build_order(manifest):
            if name in names:
                made[name] = _team(manifest, name, nodes, self._agents.scope)
            nodes[name] = there.get(name) or made[name]
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
            if manifest.nodes[name].debug:
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
        return job_of(self.manifest, name, self._agents.scope)


def build(manifest: Manifest, *, model: Any = None, deps: Any = None, connect: bool = True) -> Built:
    """Make everything that a manifest describes; nothing is started.

    Args:
        manifest: the manifest.
        model: model of agents that name none.
        deps: dependencies of all agents.
        connect: whether the connections are made.

    Raises:
        ConfigError: something that the manifest names cannot be imported or used.
    """
    builder = Builder(manifest, model=model, deps=deps)
    marks = file_marks(manifest)
    nodes, _ = builder.nodes({}, manifest.nodes)
    wires = builder.connections(nodes, ())[1] if connect else []
    for wire in wires:
        wire.attach()
    return Built(nodes, wires, {name: builder.job(name) for name in manifest.jobs}, builder.policy, marks)


def _team(manifest: Manifest, name: str, nodes: Mapping[str, AnyNode], scope: ImportScope) -> BaseTeam[Any, Any]:
    spec = manifest.node(name)
    assert isinstance(spec, TeamSpec)
    members = [nodes[member] for member in spec.members]
    if spec.mode == "sequential":
        validator = nodes[spec.validator] if spec.validator is not None else None
        return TeamRun(
            members,
            name=name,
            shared_prompt=spec.shared_prompt,
            validator=validator,
            result_mode=spec.result_mode,
            **_team_settings(manifest, spec, nodes, scope),
        )
    policy = spec.policy.quorum if isinstance(spec.policy, QuorumSpec) else spec.policy or "any"
    settings = _team_settings(manifest, spec, nodes, scope)
    return Team(members, name=name, shared_prompt=spec.shared_prompt, policy=policy, **settings)


def _team_settings(
    manifest: Manifest, spec: TeamSpec, nodes: Mapping[str, AnyNode], scope: ImportScope
) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "description": spec.description,
        "display_name": spec.display_name,
        "picker": nodes[spec.picker] if spec.picker is not None else None,
        "num_picks": spec.num_picks,
        "pick_prompt": spec.pick_prompt,
        "crash_on": scope.exceptions(spec.crash_on, spec.name),
    }
    if spec.timeout is not None:
        settings["timeout"] = None if math.isinf(spec.timeout) else spec.timeout
    if spec.limits is not None:
        settings["usage_limits"] = usage_limits_of(spec.limits)
    if spec.max_concurrency is not None:
        settings["max_concurrency"] = spec.max_concurrency
    if spec.supervision is not None:
        settings["member_specs"] = _member_specs(manifest, spec, spec.supervision)
        settings["strategy"] = spec.supervision.strategy
        settings["intensity"] = _intensity(spec.supervision.intensity)
        settings["backoff"] = _backoff(spec.supervision.backoff)
    return settings


def _policy(manifest: Manifest) -> RootPolicy:
    supervision = manifest.supervision or Supervision()
    return RootPolicy(
        supervision.strategy,
        _intensity(supervision.intensity),
        _backoff(supervision.backoff),
        {name: _care(manifest.node(name), supervision) for name in manifest.nodes},
        _lent(manifest),
    )


def _lent(manifest: Manifest) -> frozenset[str]:
    """Return the members of teams that say how their members are supervised: those teams own them, not the pool."""
    teams = [team for team in manifest.teams.values() if team.supervision is not None]
    return frozenset(name for team in teams for name in _crew(team))


def _crew(team: TeamSpec) -> tuple[str, ...]:
    return (*team.members, *(name for name in (team.picker, team.validator) if name is not None))


def _member_specs(manifest: Manifest, team: TeamSpec, supervision: Supervision) -> dict[str, dict[str, Any]]:
    specs: dict[str, dict[str, Any]] = {}
    for name in _crew(team):
        care = _care(manifest.node(name), supervision)
        specs[name] = {"restart": care.restart, "mailbox": care.mailbox}
        if care.shutdown is not None:
            specs[name]["shutdown"] = care.shutdown
    return specs


def _intensity(spec: IntensitySpec) -> RestartIntensity:
    return RestartIntensity(spec.limit, spec.period)


def _care(node: NodeSpec, pool: NodeSupervision) -> Care:
    own = node.supervision if isinstance(node, AgentSpec) and node.supervision is not None else pool
    queue = node.mailbox
    return Care(
        own.restart or pool.restart or "transient",
        own.shutdown if own.shutdown is not None else pool.shutdown,
        None if queue is None else MailboxConfig(queue.capacity, Overflow(queue.overflow)),
    )


def _backoff(spec: BackoffSpec) -> Backoff:
    return Backoff(
        min=spec.min,
        max=spec.max,
        factor=spec.factor,
        jitter=spec.jitter,
        reset_after=spec.reset_after,
        max_consecutive=spec.max_consecutive,
    )
