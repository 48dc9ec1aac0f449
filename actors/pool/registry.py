"""`NodeRegistry`: the nodes and jobs of a pool by name."""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final, TypedDict, cast, overload

from actors.agents.agent import Agent
from actors.agents.manifest.imports import ImportScope, check_free
from actors.agents.manifest.values import output_type as output_of_name
from actors.config.manifest import Manifest
from actors.models.budget import Ledger
from actors.nodes.base_team import BaseTeam
from actors.nodes.node import AnyNode, MessageNode
from actors.nodes.run_cancel import CancelMode, cancel_among
from actors.prompts.pending_context import end_kept
from actors.runs.handle import Deps, Out
from actors.runs.job import Job
from actors.runs.request import AnyModel
from actors.runtime.cell import Cell
from actors.runtime.outcome import end_cause
from actors.runtime.system import ActorSystem
from actors.talk.diagram import mermaid
from actors.talk.flow_tracker import FlowTracker
from actors.talk.registry import TalkRegistry
from actors.talk.team_talk import TeamTalk
from protocols.approval_events import ApprovalRequested
from protocols.budget import Budget
from protocols.checks import Check, Checks, finite, fits_type, instance_of
from protocols.errors import ApprovalError, ConfigError, NodeError, NodeNameError, NodeNotFoundError, nearest
from protocols.tracing import RunTracing


class PoolKeywords(TypedDict, total=False):
    """Further keywords of a pool; see `AgentPool`."""

    exit_timeout: float
    budget: Budget | None
    journal: str | PurePath | bool | None
    cluster: str | bool | Mapping[str, Any] | None
    tracing: RunTracing | None


POOL_CHECKS: Final[Checks] = {
    "budget": instance_of("a Budget", Budget),
    "exit_timeout": finite(0),
    "tracing": Check("a Tracing", lambda value: hasattr(value, "capabilities")),
}


class NodeRegistry(Mapping[str, AnyNode]):
    """A mapping from names to nodes, in the order in which they were added."""

    manifest: Manifest
    """The manifest of the nodes."""
    tracing: RunTracing | None = None
    """Makes the spans of the runs; None without tracing."""
    system: ActorSystem | None = None
    """Actor system of the nodes; None for that of the loop on which the pool is entered."""
    is_open: bool = False
    """True while the pool is entered, also after it has given up."""

    supervisor: Cell | None = None
    """The supervisor of the running pool: also of teams and variants, which start at their first run."""
    ledger: Ledger | None = None
    """The budget of the pool, and what its nodes have spent of it; None without a budget."""

    def __init__(self) -> None:
        super().__init__()
        self._detached: weakref.WeakSet[AnyNode] = weakref.WeakSet()
        self._nodes: dict[str, AnyNode] = {}
        self._jobs: dict[str, Job[Any]] = {}
        self.connection_registry = TalkRegistry()
        """The connections of all nodes by name."""

    @property
    def is_running(self) -> bool:
        """True while the pool is entered and can do work: its supervisor has not given up."""
        return self.supervisor is not None and self.supervisor.ref.is_alive()

    @property
    def end_cause(self) -> BaseException | None:
        """The failure that ended the entered pool, such as too many restarts; None for none."""
        return None if self.supervisor is None else end_cause(self.supervisor)

    @property
    def nodes(self) -> dict[str, AnyNode]:
        """All nodes by name, in the order in which they were added."""
        return dict(self._nodes)

    @property
    def agents(self) -> dict[str, Agent[Any, Any]]:
        """All agents by name."""
        return {name: node for name, node in self._nodes.items() if isinstance(node, Agent)}

    @property
    def teams(self) -> dict[str, BaseTeam[Any, Any]]:
        """All teams and chains by name."""
        return {name: node for name, node in self._nodes.items() if isinstance(node, BaseTeam)}

    def __getitem__(self, name: str) -> AnyNode:
        """Return a node.

        Raises:
            NodeNotFoundError: the name is unknown; a KeyError that offers the nearest names.
        """
        node = self._nodes.get(name)
        if node is None:
            raise NodeNotFoundError.of(name, self._nodes)
        return node

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._nodes))

    def __len__(self) -> int:
        return len(self._nodes)

    def cancel_run(self, run_id: str, *, mode: CancelMode = "now") -> bool:
        """Cancel an open run of any node on the actor systems of the pool; see `MessageNode.cancel_run`."""
        systems: set[Any] = {ref.system for node in self._nodes.values() for ref in tuple(node.home.refs.values())}
        return cancel_among((cell.ref for system in systems for cell in tuple(system.cells)), run_id, mode)

    def pending(self) -> list[ApprovalRequested]:
        """Return the tool calls of all agents that wait for `approve` or `deny`."""
        return [asked for agent in self._approving() for asked in agent.pending()]

    def approve(self, run_id: str, call_id: str | None = None, *, arguments: Mapping[str, Any] | None = None) -> None:
        """Let a parked run of any agent make a tool call; see `Agent.approve`."""
        self._parked(run_id).approve(run_id, call_id, arguments=arguments)

    def deny(self, run_id: str, call_id: str | None = None, reason: str = "") -> None:
        """Refuse a tool call of a parked run of any agent; see `Agent.deny`."""
        self._parked(run_id).deny(run_id, call_id, reason)

    def _parked(self, run_id: str) -> Agent[Any, Any]:
        for agent in self._approving():
            if agent.approvals.knows(run_id):
                return agent
        raise ApprovalError(f"run {run_id!r} waits for no approval: no agent of the pool knows it")

    def _approving(self) -> Iterable[Agent[Any, Any]]:
        """Return all agents, those that are in the pool as members of teams only as well."""
        nodes = (*self._nodes.values(), *self._detached)
        found: dict[Agent[Any, Any], None] = {
            agent: None for node in nodes for agent in node.leaves() if isinstance(agent, Agent)
        }
        return found

    @overload
    def agent(self, name: str) -> Agent[Any, Any]: ...
    @overload
    def agent(self, name: str, deps_type: type[Deps]) -> Agent[Deps, Any]: ...
    @overload
    def agent(self, name: str, deps_type: type[Deps], output_type: type[Out]) -> Agent[Deps, Out]: ...

    def agent(self, name: str, deps_type: Any = None, output_type: Any = None) -> Agent[Any, Any]:
        """Return an agent by name, of the types that you say it has; see `get_agent` for a variant of other types.

        Args:
            name: the name of the agent.
            deps_type: type of the dependencies of its tools and instructions; None or `object` for any.
            output_type: type of its answers; None for any.

        Raises:
            NodeNotFoundError: the name is unknown; a KeyError that offers the nearest names.
            ConfigError: the agent is known to have other types.
        """
        found = self.get_agent(name)
        execution, deps = found.execution, found.settings.deps
        known: Any = execution.deps_type if deps is None else type(cast("object", deps))
        given, wanted = (deps_type, known) if deps is None else (known, deps_type)
        if object not in (given, wanted) and not fits_type(given, wanted):
            raise _mistyped(name, "has dependencies of type", known, deps_type, f"deps={deps_type.__name__}(...)")
        if not fits_type(execution.answer_type, output_type):
            remedy = f"return_type={output_type.__name__}"
            raise _mistyped(name, "answers", execution.answer_type, output_type, remedy)
        return found

    @overload
    def get_agent(
        self,
        agent: str | Agent[Any, Any],
        *,
        deps: Any = None,
        return_type: type[Out],
        output_type: None = None,
        model_override: AnyModel | None = None,
        session: bool | None = None,
    ) -> Agent[Any, Out]: ...
    @overload
    def get_agent(
        self,
        agent: str | Agent[Any, Any],
        *,
        deps: Any = None,
        return_type: None = None,
        output_type: type[Out],
        model_override: AnyModel | None = None,
        session: bool | None = None,
    ) -> Agent[Any, Out]: ...
    @overload
    def get_agent(
        self,
        agent: str | Agent[Any, Any],
        *,
        deps: Any = None,
        return_type: Any = None,
        output_type: Any = None,
        model_override: AnyModel | None = None,
        session: bool | None = None,
    ) -> Agent[Any, Any]: ...

    def get_agent(
        self,
        agent: str | Agent[Any, Any],
        *,
        deps: Any = None,
        return_type: Any = None,
        output_type: Any = None,
        model_override: AnyModel | None = None,
        session: bool | None = None,
    ) -> Agent[Any, Any]:
        """Return an agent by name; an agent is returned unchanged.

        With a keyword it returns a variant of the agent (see `Agent.variant`), and leaves the agent unchanged. The
        variant has its own memory and no connections. It is not in the pool, and stops with the pool.

        Args:
            agent: the name of the agent, or the agent.
            deps: dependencies of its tools and instructions.
            return_type: type of the answer: a type, or the name of a response of the manifest.
            output_type: the same as `return_type`.
            model_override: model of the variant.
            session: False for a variant without memory.

        Raises:
            NodeNotFoundError: the name is unknown; a KeyError that offers the nearest names.
            ConfigError: the agent answers by a function, or the name of the type is unknown.
        """
        found = self[agent] if isinstance(agent, str) else agent
        if not isinstance(found, Agent):
            raise NodeNotFoundError(f"{agent!r} is no agent but a team; use pool[{agent!r}]", node=str(agent))
        return_type = output_type if return_type is None else return_type
        if all(one is None for one in (deps, return_type, model_override, session)):
            return found
        if isinstance(return_type, str):
            scope = ImportScope(self.manifest.allow_imports)
            return_type = output_of_name(return_type, found.name, self.manifest.responses, scope)
        made = found.variant(name=found.name, deps=deps, output_type=return_type, model=model_override, session=session)
        self._detached.add(made)
        made.connections.directory = self  # it draws from the budget of the pool
        made.tracing = found.tracing
        return made

    def _check_new(self, name: object) -> None:
        """Refuse a name that is taken, and an agent in the place of a name."""
        if isinstance(name, MessageNode):
            text = f"pool: add_agent makes an agent and takes its name, not {name!r}; use `await pool.add_node(agent)`"
            raise NodeNameError(text, node=name.name)
        check_free(cast("str", name), self._nodes.get(cast("str", name)))

    def _forget_in_memory(self, session: str) -> None:
        for node in (*self._nodes.values(), *self._detached):
            end_kept(node.notes.pop(session, ()))
            if isinstance(node, Agent):
                node.execution.forget(session)

    def _fund(self, budget: Budget | None) -> None:
        """Let the nodes draw from a budget. What is spent already stays."""
        if budget is None or self.ledger is None:
            self.ledger = None if budget is None else Ledger(budget, "the pool")
        else:
            self.ledger.budget = budget

    def _removable(self, name: str) -> AnyNode:
        """Return a node that no team of the pool needs."""
        node = self[name]
        users = [team.name for team in self._nodes.values() if team is not node and node in team.members()]
        if users:
            message = f"node {name!r} is a member of {', '.join(map(repr, users))}; remove it there first"
            raise NodeError(message, node=name)
        return node

    def register_task(self, name: str, job: Job[Any]) -> None:
        """Add a job under a name, which `get_job` finds.

        Raises:
            NodeNameError: the name is taken.
        """
        if name in self._jobs:
            raise NodeNameError(f"a job named {name!r} is in the pool already; choose another name")
        self._jobs[name] = job

    def get_job(self, name: str) -> Job[Any]:
        """Return a job of the manifest.

        Raises:
            NodeNotFoundError: the name is unknown; a KeyError that offers the nearest names.
        """
        job = self._jobs.get(name)
        if job is None:
            message = f"no job {name!r} in the pool{nearest(name, self._jobs) or '; the pool has no jobs'}"
            raise NodeNotFoundError(message)
        return job

    # -- connections ----------------------------------------------------------------------------------------------

    @property
    def pool_talk(self) -> TeamTalk:
        """The connections of all nodes as one connection: statistics, `when`, `paused`, `trigger`."""
        return TeamTalk(self.connection_registry.values())

    def track_message_flow(self) -> FlowTracker:
        """Return a recorder of the messages on all connections, later connections included: ``async with``."""
        return FlowTracker(self.connection_registry)

    def get_mermaid_diagram(self, *, include_details: bool = True) -> str:
        """Return all connections as the text of a mermaid flowchart.

        Args:
            include_details: True to write kind, queue and conditions on the lines.
        """
        talks: Any = self.connection_registry.values()
        return mermaid(talks, has_details=include_details)


def _mistyped(name: str, what: str, given: Any, wanted: type, remedy: str) -> ConfigError:
    text = f"agent {name!r} {what} {given.__name__}, not {wanted.__name__}; ask for that type, or for a variant: "
    return ConfigError(f"{text}pool.get_agent({name!r}, {remedy})", node=name)
