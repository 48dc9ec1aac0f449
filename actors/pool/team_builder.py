"""`TeamBuilder`: makes teams and chains of the nodes of a pool."""

from collections.abc import Sequence
from typing import Any, Unpack

from actors.agents.manifest.imports import check_free
from actors.nodes.node import AnyNode
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.nodes.team_settings import PolicyWord, ResultMode, SuccessPolicy, TeamKeywords, TeamSettings
from actors.pool.registry import NodeRegistry
from actors.pool.services import PoolServices
from protocols.keywords import spelled_out


class TeamBuilder(NodeRegistry):
    """The part of a pool that makes teams."""

    def __init__(self) -> None:
        super().__init__()
        self._services = PoolServices()

    @spelled_out(TeamKeywords, TeamSettings())
    def create_team(
        self,
        agents: Sequence[str | AnyNode] | None = None,
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        policy: PolicyWord | int | SuccessPolicy = "any",
        **settings: Unpack[TeamKeywords],
    ) -> Team[Any, Any]:
        """Make a team whose members work at the same time; it is in the pool only with a name.

        Args:
            agents: names and nodes, mixed; None for all agents of the pool.
            name: a free name; None to keep the team out of the pool.
            shared_prompt: as for `Team`.
            policy: as for `Team`.
            **settings: as for `Team`.

        Raises:
            NodeNotFoundError: a name is unknown; a KeyError.
            NodeNameError: the name is taken.
        """
        checked = self._checked(name, settings)
        team = Team(self._members(agents), name=name, shared_prompt=shared_prompt, policy=policy, **checked)
        self._adopt(team, name)
        return team

    @spelled_out(TeamKeywords, TeamSettings())
    def create_team_run(
        self,
        agents: Sequence[str | AnyNode] | None = None,
        *,
        name: str | None = None,
        shared_prompt: str | None = None,
        validator: str | AnyNode | None = None,
        result_mode: ResultMode = "last",
        **settings: Unpack[TeamKeywords],
    ) -> TeamRun[Any, Any]:
        """Make a chain, whose members work one after the other; otherwise as `create_team`."""
        checked = self._checked(name, settings)
        last = self[validator] if isinstance(validator, str) else validator
        members = self._members(agents)
        run = TeamRun(
            members, name=name, shared_prompt=shared_prompt, validator=last, result_mode=result_mode, **checked
        )
        self._adopt(run, name)
        return run

    def _adopt(self, team: AnyNode, name: str | None) -> None:
        """Note a team, so that leaving the pool stops it."""
        self._detached.add(team)
        team.connections.join(self.connection_registry, self)
        team.trace(self.tracing)
        if name is not None:
            self._nodes[name] = team
            for service in self._services:
                service.joined(team)

    def _members(self, agents: Sequence[str | AnyNode] | None) -> list[AnyNode]:
        chosen = self.agents.values() if agents is None else agents
        return [self[agent] if isinstance(agent, str) else agent for agent in chosen]

    def _checked(self, name: str | None, settings: TeamKeywords) -> TeamKeywords:
        if name is not None:
            check_free(name, self._nodes.get(name))
        picker = settings.get("picker")
        return {**settings, "picker": self[picker]} if isinstance(picker, str) else settings
