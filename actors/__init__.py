"""Understage: supervised agents on the actor model. The names below are loaded when they are first used."""

from __future__ import annotations

from importlib import import_module
from os.path import dirname
from typing import TYPE_CHECKING, Any

import protocols

if [dirname(path) for path in getattr(protocols, "__path__", ())] != [dirname(dirname(__file__))]:
    _message = f"{protocols.__file__} takes the place of Understage's package 'protocols': give it another name"
    raise ImportError(_message, name="protocols", path=protocols.__file__)

if TYPE_CHECKING:
    from actors.agents.agent import Agent as Agent
    from actors.app.actor_journal import ActorJournal as ActorJournal
    from actors.app.pool import AgentPool as AgentPool
    from actors.durable.kept_run import delivery as delivery
    from actors.mcp.server import McpServer as McpServer
    from actors.models.endpoint import Model as Model
    from actors.models.policy import ModelPolicy as ModelPolicy
    from actors.models.policy import RateLimits as RateLimits
    from actors.nodes.base_team import BaseTeam as BaseTeam
    from actors.nodes.node import MessageNode as MessageNode
    from actors.nodes.team import Team as Team
    from actors.nodes.team_run import TeamRun as TeamRun
    from actors.runs.durable import Ticket as Ticket
    from actors.runs.job import Job as Job
    from actors.runs.run_stats import ExtendedTeamTalk as ExtendedTeamTalk
    from actors.runs.run_stats import RunStats as RunStats
    from actors.runs.stream import RunStream as RunStream
    from actors.runs.stream import normalize_stream_for_teams as normalize_stream_for_teams
    from actors.runtime.actor import AsyncioActor as AsyncioActor
    from actors.runtime.errors import Reject as Reject
    from actors.runtime.future import AsyncioFuture as AsyncioFuture
    from actors.runtime.ref import ActorRef as ActorRef
    from actors.runtime.registry import ActorRegistry as ActorRegistry
    from actors.runtime.system import ActorSystem as ActorSystem
    from actors.supervision.backoff import Backoff as Backoff
    from actors.supervision.child import ChildSpec as ChildSpec
    from actors.supervision.intensity import RestartIntensity as RestartIntensity
    from actors.supervision.retry import Retry as Retry
    from actors.supervision.router import Router as Router
    from actors.supervision.supervisor import Supervisor as Supervisor
    from actors.talk.talk import Talk as Talk
    from actors.talk.team_talk import TeamTalk as TeamTalk
    from protocols.budget import Budget as Budget
    from protocols.context import carry as carry
    from protocols.durable import Durable as Durable
    from protocols.messages import ChatMessage as ChatMessage
    from protocols.response import AgentResponse as AgentResponse
    from protocols.response import TeamResponse as TeamResponse
    from protocols.streaming import SupportsRunStream as SupportsRunStream

_HOMES = {
    "ActorJournal": "actors.app.actor_journal",
    "ActorRef": "actors.runtime.ref",
    "ActorRegistry": "actors.runtime.registry",
    "ActorSystem": "actors.runtime.system",
    "Agent": "actors.agents.agent",
    "AgentPool": "actors.app",
    "AgentResponse": "protocols.response",
    "AsyncioActor": "actors.runtime.actor",
    "AsyncioFuture": "actors.runtime.future",
    "Backoff": "actors.supervision.backoff",
    "BaseTeam": "actors.nodes.base_team",
    "Budget": "protocols.budget",
    "ChatMessage": "protocols.messages",
    "ChildSpec": "actors.supervision.child",
    "Durable": "protocols.durable",
    "ExtendedTeamTalk": "actors.runs.run_stats",
    "Job": "actors.runs.job",
    "McpServer": "actors.mcp.server",
    "MessageNode": "actors.nodes.node",
    "Model": "actors.models.endpoint",
    "ModelPolicy": "actors.models.policy",
    "RateLimits": "actors.models.policy",
    "Reject": "actors.runtime.errors",
    "RestartIntensity": "actors.supervision.intensity",
    "Retry": "actors.supervision.retry",
    "Router": "actors.supervision.router",
    "RunStats": "actors.runs.run_stats",
    "RunStream": "actors.runs.stream",
    "Supervisor": "actors.supervision.supervisor",
    "SupportsRunStream": "protocols.streaming",
    "Talk": "actors.talk.talk",
    "Team": "actors.nodes.team",
    "TeamResponse": "protocols.response",
    "TeamRun": "actors.nodes.team_run",
    "TeamTalk": "actors.talk.team_talk",
    "Ticket": "actors.runs.durable",
    "carry": "protocols.context",
    "delivery": "actors.durable.kept_run",
    "normalize_stream_for_teams": "actors.runs.stream",
}

if not TYPE_CHECKING:
    __all__ = list(_HOMES)  # type checkers take the names that are imported as themselves


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'actors' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
