"""Every bad input is an error of the documented type that says who and what, and leaves the nodes usable."""

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.models.test import TestModel

from actors import Agent, AgentPool, ChatMessage, Job, MessageNode, Talk, Team, TeamRun
from actors.runtime.errors import BlockingCallError
from actors.testing import scripted_model
from actors.web import lifespan
from protocols.errors import (
    AlreadyRunningError,
    ConditionError,
    ConfigError,
    EmptyChainError,
    EmptyPromptError,
    JobError,
    NodeNameError,
    NodeNotFoundError,
    NodeStoppedError,
    NotQueuedError,
    NotRunningError,
    PickError,
    PromptError,
    TalkError,
    TalkNameError,
    TransformError,
    UnknownModelError,
)
from tests.support.nodes import echo_agent

Node = MessageNode[Any, Any]
NAN = float("nan")


class Out(BaseModel):
    n: int


class Crew:
    """Two functions, a model, a team and a chain of them."""

    def __init__(self) -> None:
        self.a: Node = echo_agent("a")
        self.b: Node = echo_agent("b")
        self.model: Agent[Any, Any] = Agent("m", model=TestModel())
        self.team: Team[Any, Any] = Team([self.a, self.b])
        self.chain: Node = TeamRun([self.a, self.b])

    async def still_works(self) -> None:
        contents = [(await node.run("q")).content for node in (self.a, self.model, self.team, self.chain)]
        assert contents == ["a(q)", "success (no tool calls)", ["a(q)", "b(q)"], "b(a(q))"]


def picked(answer: object) -> Callable[[Crew], Any]:
    def choose(_: str) -> object:
        return answer

    def run(crew: Crew) -> Any:
        return Team([crew.a, crew.b], picker=Agent.from_callback(choose, name="p")).run("q")

    return run


async def result_of(action: Callable[[Crew], Any], crew: Crew) -> None:
    made = action(crew)
    if inspect.isawaitable(made):
        await made


def anything(value: object) -> Any:
    return value


ISSUE: dict[str, tuple[Callable[[Crew], Any], type[Exception], str]] = {
    "a & 5": (lambda c: c.a & anything(5), ValueError, "cannot apply & to 5: it is neither a node nor a function"),
    "a | 5": (lambda c: c.a | anything(5), ValueError, "cannot apply | to 5"),
    "a >> 5": (lambda c: c.a >> 5, ValueError, "cannot apply >> to 5"),
    "a >> []": (lambda c: c.a >> [], TalkError, "cannot connect 'a' to nothing"),
    "a >> 'unknown'": (lambda c: c.a >> "unknown", NodeNotFoundError, "no node 'unknown': 'a' is in no pool"),
    "empty team": (lambda _: Team([], name="t").run("q"), EmptyChainError, "team 't' has no members"),
    "empty chain": (lambda _: TeamRun([], name="t").run("q"), IndexError, "team 't' has no members"),
    "validator no node": (lambda c: TeamRun([c.a], validator=anything(5)), ConfigError, "validator 5 is no node"),
    "picker no node": (lambda c: Team([c.a], picker=anything(5)), ConfigError, "picker 5 is no node"),
    "pick unknown": (picked("x"), PickError, "the picker chose 'x', which is no member"),
    "pick nonsense": (picked(5), PickError, "the picker answered 5; it must answer with names of members"),
    "pick nobody": (picked([]), ValueError, "the picker chose nobody"),
    "same names": (lambda c: Team([c.a, echo_agent("a")]), NodeNameError, "two nodes in it are called 'a'"),
    "no list of members": (lambda _: Team(anything(5)), ConfigError, "must be a list of nodes, not 5"),
    "interval": (lambda c: c.a.run_in_background("q", interval=-1.0), ValueError, "node 'a': interval must be seconds"),
    "max_count 0": (lambda c: c.a.run_in_background("q", max_count=0), ValueError, "max_count must be at least 1"),
    "dependency": (
        lambda c: c.team.run_job(Job(name="j", prompt="p", required_dependency=int)), JobError, "needs dependencies of"
    ),
    "no job": (lambda c: c.chain.run_job(anything("j")), JobError, "run_job takes a Job, not 'j'"),
    "trigger": (
        lambda c: c.a.connect_to(echo_agent("z"), name="n").trigger(),
        NotQueuedError,
        "talk 'n' delivers at once",
    ),
    "wait": (lambda c: c.a.wait(), NotRunningError, "'a'"),
    "result_mode": (lambda c: TeamRun([c.a], result_mode=anything("first")).run("q"), ValueError, "='first'"),
    "policy": (lambda c: Team([c.a], policy=anything("most")), ConfigError, "policy='most' is no policy"),
    "quorum": (lambda c: Team([c.a], policy=2), ConfigError, "more than its 1 members"),
    "talk of nobody": (lambda c: Talk(c.a, []), TalkError, "cannot connect 'a' to nothing"),
    "name of a talk": (lambda c: c.a.connect_to(echo_agent("z"), name=""), TalkNameError, "must be some text, not ''"),
    "empty prompt": (lambda c: c.chain.run(""), EmptyPromptError, "the prompt is empty"),
    "no group": (lambda c: anext(c.a.run_iter()), EmptyPromptError, "the prompt is empty"),
    "a function as prompt": (lambda c: c.model.run(len), PromptError, "is no text; call it"),
    "unknown model": (lambda c: c.model.run("q", model="offlin"), UnknownModelError, "did you mean 'offline'"),
    "unknown keyword": (lambda c: c.team.run("q", **anything({"modle": "x"})), TypeError, "did you mean 'model'"),
    "worker": (lambda c: c.model.register_worker(anything("w")), ConfigError, "agent 'm': worker 'w' is no node"),
    "model": (lambda c: c.model.set_model(anything(5)), ConfigError, "agent 'm': model must be the name of a model"),
    "tools": (lambda c: c.team.distribute("x", tools=anything([5])), ConfigError, "tools must be a list"),
    "no function": (lambda _: Agent.from_callback(anything(5)), ConfigError, "5 is no function"),
    "no node for a pool": (lambda _: AgentPool[None]().add_node(anything(len)), ConfigError, "is no node; pass"),
    "no pool": (lambda _: lifespan(anything("a.yml")), TypeError, "not 'a.yml'; make it of a manifest"),
    "no list of answers": (lambda _: scripted_model("hi"), TypeError, "not the text 'hi'; write ['hi']"),
    "no name": (lambda _: Agent(anything(None)), NodeNameError, "an agent needs a name, got None"),
}  # fmt: skip


@pytest.mark.parametrize(("action", "error", "text"), ISSUE.values(), ids=ISSUE)
async def test_bad_input_is_refused_and_every_node_stays_usable(
    action: Callable[[Crew], Any], error: type[Exception], text: str
) -> None:
    crew = Crew()

    with pytest.raises(error, match=re.escape(text)):
        await result_of(action, crew)
    await crew.still_works()


WRONG_OPTIONS: list[tuple[str, object]] = [
    ("model", 5), ("store_history", "yes"), ("output_type", "int"), ("usage_limits", 5), ("usage", 5), ("timeout", "5"),
    ("timeout", -1), ("timeout", NAN), ("message_history", "x"), ("message_history", [5]), ("conversation_id", 5),
    ("message_id", 5), ("instructions", 5), ("tools", [5]), ("toolsets", [5]), ("include_agent_tools", None),
    ("session", ""), ("session", " "), ("session", "x" * 201), ("session", "a\nb"), ("session", "a\0"), ("session", 5),
    ("fresh", None), ("fresh", "yes"),
    ("model_settings", 5), ("metadata", 5), ("wait_for_connections", "x"), ("require_all", "x"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["a", "model", "team", "chain"])
@pytest.mark.parametrize(("name", "value"), WRONG_OPTIONS)
async def test_an_option_of_the_wrong_kind_is_named_before_anything_runs(kind: str, name: str, value: object) -> None:
    crew = Crew()
    node: Node = getattr(crew, kind)

    is_value = name in ("timeout", "session") and isinstance(value, str) is (name == "session")
    with pytest.raises(ValueError if is_value else TypeError, match=f"node '.*': {name} must be "):
        await node.run("q", **anything({name: value}))
    with pytest.raises((ValueError, TypeError), match=f"node '.*': {name} must be "):
        await node.run_in_background("q", **anything({name: value}))
    assert crew.a.total_stats.message_count == 0
    await crew.still_works()


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"session": "s", "message_history": []}, "session and message_history"),
        ({"session": "s", "message_history": None}, "session and message_history"),
        ({"session": "s", "fresh": True}, "session and fresh=True"),
        ({"fresh": True, "message_history": []}, "fresh=True and message_history"),
        ({"fresh": True, "store_history": True}, "fresh=True and store_history=True"),
    ],
)
async def test_a_run_has_one_memory(options: dict[str, Any], names: str) -> None:
    crew = Crew()

    for node in (crew.model, crew.team):
        with pytest.raises(ValueError, match=f"{names} contradict each other; a run has one memory"):
            await node.run("q", **options)
    await crew.still_works()


WRONG_SETTINGS: list[tuple[str, object]] = [
    ("timeout", "5"), ("timeout", 0), ("max_concurrency", 0), ("max_concurrency", 1.5), ("history_limit", True),
    ("history_turns", 0), ("history_tokens", 0), ("max_sessions", 0),
    ("retries", -1), ("output_retries", "1"), ("tool_timeout", NAN), ("usage_limits", 5), ("model_settings", 5),
    ("end_strategy", "late"), ("knowledge", "text"), ("toolsets", 5), ("mcp_servers", 5), ("capabilities", [5]),
    ("crash_on", ValueError), ("summary", 5), ("summary", asyncio.sleep),
    ("instructions", 5), ("description", 5), ("parallel_init", "x"), ("model", 5), ("system_prompt", 5), ("tools", [5]),
    ("output_type", "int"), ("output_type", Out(n=1)), ("deps_type", 5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG_SETTINGS)
def test_a_setting_of_the_wrong_kind_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"agent 'x': {name} must be "):
        Agent("x", **anything({name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", -1), ("strategy", "all"), ("intensity", 5), ("backoff", 5), ("crash_on", 5), ("num_picks", 1.5)],
)
@pytest.mark.parametrize("group", [Team, TeamRun])
def test_a_setting_of_a_team_of_the_wrong_kind_is_named(group: type[Any], name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"team 't': {name} must be "):
        group([echo_agent("a")], name="t", **anything({name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", " "), ("prompt", ""), ("tools", 5), ("knowledge", "text"), ("min_context_tokens", 0),
     ("required_dependency", "int"), ("required_return_type", "int"), ("requires_vision", "x")],
)  # fmt: skip
def test_a_field_of_a_job_of_the_wrong_kind_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"job '.*': {name} must be "):
        Job(**anything({"name": "j", "prompt": "p", name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [("filter_condition", 5), ("stop_condition", "x"), ("transform_fn", 5), ("delay", "5s"), ("delay", NAN),
     ("capacity", 0), ("hop_limit", 1.5), ("queue_strategy", "newest"), ("overflow", "wait"), ("queued", "x"),
     ("per_member", 1), ("connection_type", "runs")],
)  # fmt: skip
async def test_a_living_connection_refuses_what_it_cannot_use_and_goes_on(name: str, value: object) -> None:
    crew, seen = Crew(), list[str]()
    talk = crew.a.connect_to(echo_agent("z", seen))

    with pytest.raises(TalkError, match=r"talk .a->.*must be"):
        setattr(talk, name, value)
    await crew.a.run("q", wait_for_connections=True)
    assert seen == ["a(q)"]
    await crew.still_works()


async def test_what_goes_wrong_on_a_connection_is_told_and_nobody_else_notices() -> None:
    crew, seen = Crew(), list[str]()

    def broken(_: object) -> bool:
        raise KeyError("k")

    talk = crew.a.connect_to(echo_agent("z", seen), transform=lambda _: None)
    await crew.a.run("q", wait_for_connections=True)
    talk.transform_fn = broken
    await crew.a.run("q", wait_for_connections=True)
    talk.transform_fn = None
    talk.when(broken)
    await crew.a.run("q", wait_for_connections=True)

    kinds = [TransformError, TransformError, ConditionError]
    assert [text.partition(":")[0] for _, text, _ in talk.stats.errors] == [kind.__name__ for kind in kinds]
    assert seen == []
    talk.when(None)
    await crew.still_works()
    assert seen[0] == "a(q)"


@pytest.mark.parametrize("kind", ["a", "model", "team", "chain"])
async def test_a_closed_node_refuses_runs_of_every_kind_until_it_is_opened_again(kind: str) -> None:
    node: Node = getattr(Crew(), kind)
    async with node:
        pass

    with pytest.raises(NodeStoppedError, match="has been stopped and takes no runs"):
        await node.run("q")
    with pytest.raises(NodeStoppedError):
        await node.run_in_background("q")
    with pytest.raises(NodeStoppedError):
        async with node.run_stream("q") as stream:
            _ = [piece async for piece in stream.stream()]
    async with node:
        assert isinstance(await node.run("q"), ChatMessage)


async def test_run_sync_inside_of_an_actor_is_refused_and_both_nodes_go_on() -> None:
    crew = Crew()

    def ask(text: str) -> object:
        return crew.chain.run_sync(text).content if text != "q" else text

    outer = Agent.from_callback(ask, name="outer")
    with pytest.raises(BlockingCallError, match=r"use `await node\.run\(\.\.\.\)` there"):
        await outer.run("x")
    assert (await outer.run("q")).content == "q"
    await crew.still_works()


async def test_a_second_background_run_of_a_team_is_refused_and_the_first_goes_on() -> None:
    crew = Crew()
    release = asyncio.Event()

    async def wait(_: str) -> bool:
        return await release.wait()

    slow = TeamRun([Agent.from_callback(wait, name="slow")])
    stats = await slow.run_in_background("q")

    with pytest.raises(AlreadyRunningError, match="is running in the background already; stop it first"):
        await slow.run_in_background("q")
    release.set()
    assert (await slow.wait()) is (await stats)
    await crew.still_works()


async def test_an_unknown_name_in_a_pool_offers_the_nearest() -> None:
    async with AgentPool[None]() as pool:
        a = await pool.add_agent("analyzer", model="test")

        with pytest.raises(KeyError, match="no node 'analyser' in the pool; did you mean 'analyzer'"):
            _ = a >> "analyser"
        with pytest.raises(KeyError, match="did you mean 'analyzer'"):
            pool.create_team(["analyser"])
        assert len(a.connections) == 0
        assert (await a.run("q")).content
