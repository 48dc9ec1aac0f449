"""What `help()`, `inspect.signature` and notebooks show of the public names: every option by its name."""

import inspect
import pydoc
from collections.abc import Iterator
from typing import Any

import pydantic_ai
import pytest

import actors
from actors import (
    Agent,
    AgentPool,
    Backoff,
    Budget,
    ChildSpec,
    Durable,
    Job,
    MessageNode,
    ModelPolicy,
    RateLimits,
    RestartIntensity,
    Retry,
    RunStats,
    Talk,
    Team,
    TeamRun,
)
from actors.agents.settings import AgentKeywords, AgentSettings
from actors.nodes.team_settings import TeamKeywords, TeamSettings
from actors.pool.registry import PoolKeywords
from actors.runs.request import OutputKeywords, RunKeywords, RunOptions
from actors.talk.context import TalkKeywords, TalkSetting
from protocols.messages import ChatMessage
from tests.test_layout import PUBLIC_NAMES

OPEN = {
    "AsyncioActor": "the arguments are those of the actor's own constructor",
    "AsyncioActor.start": "the arguments are those of the actor's own constructor",
    "Supervisor.start": "as AsyncioActor.start",
    "Router.start": "as AsyncioActor.start",
    "Talk.trigger": "the options are those of its targets, which may be of any kind",
    "TeamTalk.trigger": "as Talk.trigger",
    "RunStats.trigger": "as Talk.trigger",
    "ExtendedTeamTalk.trigger": "as Talk.trigger",
    "SupportsRunStream": "a protocol: nothing is made of it",
    "ActorSystem.report": "the fields of a line of the log",
    "ActorSystem.log_limited": "the fields of a line of the log",
    **{f"{node}.actor_class": "made by the engine" for node in ("Agent", "MessageNode")},
}
"""Public callables that take any keyword, and why."""


POOL: Any = AgentPool  # of any dependencies


def public_callables() -> Iterator[tuple[str, Any]]:
    for name in PUBLIC_NAMES:
        found = getattr(actors, name)
        yield name, found
        if inspect.isclass(found):
            for each in dir(found):
                if not each.startswith("_") and callable(method := getattr(found, each, None)):
                    yield f"{name}.{each}", method


def signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:  # some builtins have none
        return None


def options(function: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}


def test_every_option_of_a_public_callable_has_a_name() -> None:
    anything = {
        name
        for name, function in public_callables()
        if (found := signature(function)) and any(one.kind is one.VAR_KEYWORD for one in found.parameters.values())
    }

    assert anything == {*OPEN}


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (Agent, AgentKeywords),
        (Agent.from_callback, AgentKeywords),
        (Agent.from_pydantic_ai, AgentKeywords),
        (AgentPool, PoolKeywords),
        (POOL.add_agent, AgentKeywords),
        (POOL.create_team, TeamKeywords),
        (POOL.create_team_run, TeamKeywords),
        (Team, TeamKeywords),
        (TeamRun, TeamKeywords),
        (Talk, TalkKeywords),
        (MessageNode.connect_to, TalkKeywords),
        (MessageNode.run, OutputKeywords),
        (MessageNode.run_sync, OutputKeywords),
        (MessageNode.run_iter, OutputKeywords),
        (MessageNode.run_stream, OutputKeywords),
        (MessageNode.run_in_background, RunKeywords),
        (MessageNode.run_job, RunKeywords),
        (MessageNode.submit, RunKeywords),
        (Team.execute, OutputKeywords),
        (TeamRun.execute_iter, OutputKeywords),
    ],
)
def test_a_signature_names_each_key_of_a_typed_dict(function: Any, keywords: Any) -> None:
    shown = options(function)

    assert keywords.__annotations__.keys() <= shown.keys()
    assert all(f"{name}:" in pydoc.render_doc(function) for name in keywords.__annotations__)


@pytest.mark.parametrize(
    ("function", "keywords", "defaults"),
    [
        (Agent, AgentKeywords, AgentSettings()),
        (Team, TeamKeywords, TeamSettings()),
        (Talk, TalkKeywords, TalkSetting("a talk", {})),
        (MessageNode.run, OutputKeywords, RunOptions()),
    ],
)
def test_the_defaults_that_are_shown_are_those_of_the_settings(function: Any, keywords: Any, defaults: Any) -> None:
    for name in keywords.__annotations__.keys() - {"transform"}:
        assert options(function)[name].default == getattr(defaults, name)


def test_the_keywords_of_runs_and_teams_are_all_that_their_options_have() -> None:
    assert OutputKeywords.__annotations__.keys() == {*RunOptions.__struct_fields__}
    assert TeamKeywords.__annotations__.keys() == {*TeamSettings.__struct_fields__}


def test_a_pool_makes_agents_and_teams_with_the_keywords_that_these_have_themselves() -> None:
    ours, own = options(POOL.add_agent), options(Agent)
    assert {name: one.default for name, one in ours.items()} == {name: one.default for name, one in own.items()}
    assert options(POOL.create_team).keys() == options(Team).keys()
    assert options(POOL.create_team_run).keys() == options(TeamRun).keys()


@pytest.mark.parametrize("name", ["tool", "tool_plain", "instructions"])
def test_the_decorators_have_the_keywords_and_defaults_of_pydantic_ai(name: str) -> None:
    theirs, ours = options(getattr(pydantic_ai.Agent, name)), options(getattr(Agent, name))

    assert theirs.keys() <= ours.keys()  # an earlier release has fewer
    assert {key: ours[key].default for key in theirs} == {key: one.default for key, one in theirs.items()}


def test_statistics_are_formatted_with_the_options_of_messages() -> None:
    assert options(RunStats.format).keys() == options(ChatMessage[Any].format).keys()


VALUES = [Backoff, Budget, ChildSpec, Durable, Job, ModelPolicy, RateLimits, RestartIntensity, Retry]


@pytest.mark.parametrize("kind", [Agent, POOL, Team, TeamRun])
def test_each_option_is_offered_to_who_nearly_wrote_it(kind: Any) -> None:
    for name in options(kind):
        with pytest.raises(TypeError, match=rf" '{name}x'.*'{name}'"):
            kind(**{f"{name}x": 1})


@pytest.mark.parametrize("kind", VALUES)
def test_an_unknown_keyword_of_a_value_is_refused_with_the_nearest(kind: Any) -> None:
    known = list(inspect.signature(kind).parameters)

    for name in known:
        with pytest.raises(TypeError, match=rf"{kind.__name__} takes no keyword '{name}x'.*'{name}'"):
            kind(**{f"{name}x": 1})
