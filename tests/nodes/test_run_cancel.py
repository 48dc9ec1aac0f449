"""`cancel_run`: an open run ends by its id, at once or after the step under way, and tells what there is."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors.agents.agent import Agent
from actors.nodes.node import AnyNode
from actors.nodes.run_cancel import CancelMode
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.pool import AgentPool
from actors.runtime.system import ActorSystem
from actors.supervision.backoff import Backoff
from actors.supervision.retry import Retry
from actors.testing.models import echo_model, scripted_model, slow_model, tool_call
from actors.testing.settle import settle
from protocols.errors import RunCancelledError
from protocols.events import RunCancelled, RunFailed, RunStarted
from tests.agents.parked_agent import Files, parked_agent
from tests.agents.parked_agent import begun as begun_run
from tests.support.nodes import blocked_agent, echo_agent

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Held:
    """A tool that waits until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()
        self.calls = 0

    async def look(self) -> str:
        """Look."""
        self.calls += 1
        self.begun.set()
        await self.release.wait()
        return "seen"


@pytest_asyncio.fixture
async def begun(actor_system: ActorSystem) -> AsyncIterator[dict[str, str]]:
    """The ids of the runs by node, as events tell them."""
    ids: dict[str, str] = {}
    note_ids(actor_system, ids)
    yield ids


def note_ids(system: Any, ids: dict[str, str]) -> None:
    def note(event: RunStarted) -> None:
        ids[event.actor] = event.run_id

    system.events.subscribe(note, [RunStarted])


def start(system: ActorSystem, node: AnyNode) -> Any:
    system.start(node.factory())
    return node


async def test_a_run_is_cancelled_at_once_by_the_id_that_its_events_name(
    actor_system: ActorSystem, begun: dict[str, str]
) -> None:
    ended: list[Any] = []
    actor_system.events.subscribe(ended.append, [RunCancelled, RunFailed])
    model = slow_model(asyncio.Event())
    agent = start(actor_system, Agent("a", model=model))
    run = asyncio.create_task(agent.run("x"))
    await model.started.wait()

    assert agent.cancel_run(begun["a"])

    with pytest.raises(RunCancelledError, match="node 'a': the run was cancelled"):
        await run
    await agent.complete_tasks()
    assert (model.cancelled, model.waiting, agent.history) == (1, 0, ())
    assert [type(event) for event in ended] == [RunCancelled]
    assert not agent.cancel_run(begun["a"]), "it is over"


async def test_a_run_that_is_not_open_and_a_mode_that_is_unknown_are_told(actor_system: ActorSystem) -> None:
    agent = start(actor_system, echo_agent("a"))
    await agent.run("x")

    assert not agent.cancel_run("unknown")
    assert not echo_agent("never used").cancel_run("unknown", mode="step")
    wrong: Any = "soon"
    with pytest.raises(ValueError, match="mode 'soon' is unknown; use 'now' or 'step'"):
        agent.cancel_run("unknown", mode=wrong)


async def test_another_thread_cancels_a_run(actor_system: ActorSystem, begun: dict[str, str]) -> None:
    agent = start(actor_system, blocked_agent("a", asyncio.Event(), []))
    run = asyncio.create_task(agent.run("x"))
    await settle()
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(agent.cancel_run(begun["a"])))
    thread.start()

    with pytest.raises(RunCancelledError):
        await run
    thread.join()
    assert found == [True]


@pytest.mark.parametrize("streamed", [False, True])
async def test_after_a_step_an_agent_lets_its_tool_end_and_asks_its_model_no_more(
    actor_system: ActorSystem, begun: dict[str, str], *, streamed: bool
) -> None:
    held = Held()
    model = scripted_model([ModelResponse([TextPart("I look."), *tool_call("look").parts]), "never asked"])
    agent = start(actor_system, Agent("a", model=model, tools=[held.look]))
    stream = agent.run_stream("x")
    run = asyncio.create_task(said(stream) if streamed else agent.run("x"))
    await held.begun.wait()
    assert agent.cancel_run(begun["a"], mode="step")
    held.release.set()

    with pytest.raises(RunCancelledError, match="cancelled after its last step") as caught:
        await run
    assert (held.calls, len(model.requests), agent.history) == (1, 1, ())
    assert caught.value.partial == "I look."
    assert isinstance(caught.value.messages[-1].parts[0], ToolReturnPart)


async def said(stream: Any) -> str:
    return "".join([piece async for piece in stream.stream()])


async def test_after_a_step_the_answer_of_the_model_comes_and_its_tools_do_not_begin(
    actor_system: ActorSystem, begun: dict[str, str]
) -> None:
    release, held = asyncio.Event(), Held()
    agent = start(actor_system, Agent("a", model=slow_call(release, begun_of := asyncio.Event()), tools=[held.look]))
    run = asyncio.create_task(agent.run("x"))
    await begun_of.wait()
    assert agent.cancel_run(begun["a"], mode="step")
    release.set()

    with pytest.raises(RunCancelledError):
        await run
    assert held.calls == 0


def slow_call(release: asyncio.Event, begun: asyncio.Event) -> FunctionModel:
    async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        begun.set()
        await release.wait()
        return ModelResponse([ToolCallPart("look", {})])

    return FunctionModel(respond)


async def test_a_last_step_gives_the_answer(actor_system: ActorSystem, begun: dict[str, str]) -> None:
    release = asyncio.Event()
    model = slow_model(release, "done")
    agent = start(actor_system, Agent("a", model=model))
    run = asyncio.create_task(agent.run("x"))
    await model.started.wait()
    assert agent.cancel_run(begun["a"], mode="step")
    release.set()

    assert (await run).content == "done"


@pytest.mark.parametrize("hurried", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
async def test_after_a_step_a_chain_begins_no_further_stage_and_tells_the_answers_so_far(
    actor_system: ActorSystem, begun: dict[str, str], *, hurried: bool, streamed: bool
) -> None:
    release, seen = asyncio.Event(), list[str]()
    first = Agent("first", model=echo_model("one({prompt})"))
    second = blocked_agent("second", release, seen)
    third = echo_agent("third", seen)
    if hurried:
        third.timeout = 1
    chain = start(actor_system, TeamRun([first, second, third], name="chain"))
    stream = chain.run_stream("x")
    run = asyncio.create_task(said(stream) if streamed else chain.run("x"))
    await settle()
    assert chain.cancel_run(begun["chain"], mode="step")
    release.set()

    with pytest.raises(RunCancelledError, match="node 'chain'") as caught:
        await run
    error: Any = caught.value
    assert seen == ["one(x)"]
    assert [one.agent_name for one in error.transcript] == ["first", "second"]
    assert (error.partial, len(error.messages)) == ("one(x)", 2)


async def test_a_tolerant_chain_ends_after_a_step_as_well(actor_system: ActorSystem, begun: dict[str, str]) -> None:
    release, seen = asyncio.Event(), list[str]()
    chain = start(actor_system, TeamRun([blocked_agent("a", release, seen), echo_agent("b", seen)], name="chain"))
    run = asyncio.create_task(chain.run("x", require_all=False))
    await settle()
    assert chain.cancel_run(begun["chain"], mode="step")
    release.set()

    with pytest.raises(RunCancelledError):
        await run
    assert seen == ["x"]


async def test_after_a_step_the_members_of_a_team_end_and_the_team_answers(
    actor_system: ActorSystem, begun: dict[str, str]
) -> None:
    release, seen = asyncio.Event(), list[str]()
    team = start(actor_system, Team([blocked_agent(name, release, seen) for name in "ab"], name="team"))
    run = asyncio.create_task(team.run("x"))
    await settle()
    assert team.cancel_run(begun["team"], mode="step")
    release.set()

    assert (await run).content == ["x", "x"]


async def test_after_the_pick_a_team_begins_no_member(actor_system: ActorSystem, begun: dict[str, str]) -> None:
    release, seen = asyncio.Event(), list[str]()
    picker = Agent("picker", model=slow_model(release, {"selections": ["a"], "reason": "x"}))
    team = start(actor_system, Team([echo_agent("a", seen), echo_agent("b", seen)], name="team", picker=picker))
    run = asyncio.create_task(team.run("x"))
    await settle()
    assert team.cancel_run(begun["team"], mode="step")
    release.set()

    with pytest.raises(RunCancelledError):
        await run
    assert seen == []


@pytest.mark.parametrize("kind", [Team, TeamRun])
async def test_a_cancelled_member_fails_alone(actor_system: ActorSystem, begun: dict[str, str], kind: Any) -> None:
    seen = list[str]()
    held = blocked_agent("held", asyncio.Event(), seen)
    group = start(actor_system, kind([held, echo_agent("other")], name="group"))
    run = asyncio.create_task(group.execute("x", require_all=False))
    await settle()

    assert not group.cancel_run(begun["held"]), "it is a run of its member"
    assert held.cancel_run(begun["held"])

    response = await run
    assert [one.agent_name for one in response] == ["other"]
    assert isinstance(response.errors["held"], RunCancelledError)


async def test_a_step_that_fails_is_not_tried_again(actor_system: ActorSystem, begun: dict[str, str]) -> None:
    release, calls = asyncio.Event(), list[str]()

    async def flaky(text: str) -> str:
        calls.append(text)
        await release.wait()
        raise ConnectionError("gone")

    agent = start(actor_system, Agent.from_callback(flaky, name="a", retry=Retry(backoff=Backoff.none())))
    run = asyncio.create_task(agent.run("x"))
    await settle()
    assert agent.cancel_run(begun["a"], mode="step")
    release.set()

    with pytest.raises(RunCancelledError):
        await run
    assert calls == ["x"]


async def test_a_pool_cancels_the_run_of_any_node_in_it() -> None:
    seen, ids = list[str](), dict[str, str]()
    held = blocked_agent("held", asyncio.Event(), seen)
    pool: AgentPool[Any] = AgentPool()
    async with pool:
        await pool.add_node(TeamRun([held], name="chain"))
        note_ids(pool["chain"].ref().system, ids)
        run = asyncio.create_task(pool["chain"].run("x"))
        await settle()

        assert not pool.cancel_run("unknown")
        assert pool.cancel_run(ids["held"])
        with pytest.raises(RunCancelledError):
            await run


@pytest.mark.parametrize("mode", ["now", "step"])
async def test_a_run_that_waits_for_an_approval_ends_at_once(actor_system: ActorSystem, mode: CancelMode) -> None:
    clerk = parked_agent(files := Files())
    actor_system.start(clerk.factory())
    run = await begun_run(clerk, "delete a")

    assert clerk.cancel_run(clerk.pending()[0].run_id, mode=mode)

    with pytest.raises(RunCancelledError):
        await run
    await settle()
    assert (clerk.pending(), files.deleted) == ([], [])
