"""One set of agents serves many people: what is kept of each, in which order their runs go on, and what never mixes."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.messages import ModelResponse, ToolCallPart, UserPromptPart

from actors.agents import sessions as sessions_module
from actors.agents.agent import Agent
from actors.agents.memory import load_messages
from actors.nodes.team import Team
from actors.prompts.content import prompt_text
from actors.runs.job import Job
from actors.testing import settle
from actors.testing.models import echo_model, failing_model, scripted_model, slow_model
from protocols.errors import ConfigError
from protocols.ring import weight

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock
    from actors.testing.models import RecordingModel


def said(model: RecordingModel) -> list[list[str]]:
    """Return the prompts in each request."""
    return [
        [
            prompt_text(part.content)
            for message in call.messages
            for part in message.parts
            if isinstance(part, UserPromptPart)
        ]
        for call in model.requests
    ]


async def test_an_agent_remembers_each_session_by_itself() -> None:
    model = echo_model()
    agent = Agent("a", model=model)

    await agent.run("own 1")
    await agent.run("alice 1", session="alice")
    await agent.run("bob 1", session="bob")
    await agent.run("alice 2", session="alice")
    await agent.run("own 2")

    assert said(model) == [["own 1"], ["alice 1"], ["bob 1"], ["alice 1", "alice 2"], ["own 1", "own 2"]]
    assert agent.sessions.names() == ("bob", "alice")
    assert len(agent.sessions.get("alice")) == 4
    assert agent.sessions.get("nobody") == ()


async def test_every_run_method_takes_a_session() -> None:
    model = echo_model()
    agent = Agent("a", model=model)

    await agent.run("run", session="s")
    await asyncio.to_thread(agent.run_sync, "sync", session="s")
    assert [one.content async for one in agent.run_iter("iter", session="s")] == ["iter"]
    async with agent.run_stream("stream", session="s") as stream:
        assert [piece async for piece in stream.stream()] == ["stream"]
    await agent.run_job(Job(name="j", prompt="job"), session="s")
    await agent.run_in_background("background", max_count=1, block=True, session="s")

    assert said(model)[-1] == ["run", "sync", "iter", "stream", "job", "background"]
    assert agent.history == ()


@pytest.mark.parametrize("history", [[], (), None])
async def test_a_run_with_its_own_history_neither_reads_nor_changes_the_memory(history: Any) -> None:
    model = echo_model()
    agent = Agent("a", model=model)
    await agent.run("mine")
    kept = agent.history

    await agent.run("given", message_history=history)
    await agent.run("given again", message_history=kept)
    await agent.run("fresh", fresh=True)

    assert said(model) == [["mine"], ["given"], ["mine", "given again"], ["fresh"]]
    assert agent.history == kept


@pytest.mark.parametrize("options", [{"message_history": []}, {"message_history": None}, {"fresh": True}])
async def test_runs_without_the_memory_go_on_at_the_same_time(options: Any) -> None:
    release = asyncio.Event()
    model = slow_model(release)
    agent = Agent("a", model=model)
    runs = asyncio.gather(*(agent.run(str(number), **options) for number in range(5)))
    await settle()
    assert model.waiting == 5

    release.set()
    await runs


async def test_runs_of_one_session_go_on_one_after_the_other_and_those_of_others_meanwhile() -> None:
    release = asyncio.Event()
    model = slow_model(release)
    agent = Agent("a", model=model)
    names = ["alice", "bob", None]
    runs = asyncio.gather(*(agent.run(f"{name} {number}", session=name) for number in range(3) for name in names))
    await settle()
    assert sorted(call.prompt for call in model.requests) == ["None 0", "alice 0", "bob 0"]

    release.set()
    await runs

    for name in names:
        assert [prompts for prompts in said(model) if prompts[0].startswith(str(name))] == [
            [f"{name} {number}" for number in range(last + 1)] for last in range(3)
        ]


async def test_no_more_runs_go_on_than_the_agent_may_have() -> None:
    release = asyncio.Event()
    model = slow_model(release)
    agent = Agent("a", model=model, max_concurrency=2)
    runs = asyncio.gather(*(agent.run("x", session=f"s{number}") for number in range(5)))
    await settle()
    assert model.waiting == 2

    release.set()
    await runs


async def test_a_run_that_fails_or_is_cancelled_lets_the_next_one_of_its_session_begin() -> None:
    release = asyncio.Event()
    slow, model = slow_model(release), echo_model()
    agent = Agent("a", model=model)
    stuck = asyncio.ensure_future(agent.run("stuck", session="s", model=slow))
    waiting = asyncio.ensure_future(agent.run("waiting", session="s"))
    gone = asyncio.ensure_future(agent.run("gone", session="s"))
    await settle()
    gone.cancel()
    stuck.cancel()

    assert (await waiting).content == "waiting"
    with pytest.raises(LookupError):
        await agent.run("fails", session="s", model=failing_model(LookupError("no")))
    await agent.run("last", session="s")

    assert said(model) == [["waiting"], ["waiting", "last"]]


async def test_a_run_that_asks_its_own_session_again_is_refused_at_once() -> None:
    async def again(text: str) -> str:
        return str((await agent.run(text)).content)

    model = scripted_model([ModelResponse([ToolCallPart("again", {"text": "me"})])])
    agent: Agent[Any, Any] = Agent("a", model=model, tools=[again])

    with pytest.raises(Exception, match="a -> a"):
        await agent.run("x", session="s", timeout=20.0)


# -- what is kept ---------------------------------------------------------------------------------------------------


async def test_the_session_that_was_not_used_for_the_longest_time_is_forgotten_first() -> None:
    agent = Agent("a", model=echo_model(), max_sessions=2)

    for name in ("one", "two", "one", "three"):
        await agent.run("x", session=name)

    assert agent.sessions.names() == ("one", "three")
    assert agent.sessions.get("two") == ()


async def test_all_sessions_together_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent("a", model=echo_model())
    await agent.run("x" * 1_000, session="s0")
    monkeypatch.setattr(sessions_module, "MOST_BYTES", 2.5 * sum(map(weight, agent.sessions.get("s0"))))

    for number in range(1, 8):
        await agent.run("x" * 1_000, session=f"s{number}")

    assert agent.sessions.names() == ("s6", "s7")


async def test_a_session_is_bounded_by_prompts_and_by_tokens() -> None:
    model = echo_model()
    agent = Agent("a", model=model, history_turns=2)
    for number in range(4):
        await agent.run(str(number), session="s")
    assert said(model)[-1] == ["1", "2", "3"]

    model = echo_model()
    agent = Agent("a", model=model, history_tokens=1_000)
    for number in range(4):
        await agent.run(str(number) * 1_000, session="s")
    assert [prompts[0][0] for prompts in said(model)] == ["0", "0", "1", "2"]


async def test_a_session_is_forgotten_some_time_after_its_last_run(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    agent = Agent("a", model=echo_model(), session_ttl=60.0)
    actor_system.start(agent.factory())
    await agent.run("x", session="alice")
    await manual_clock.advance(40.0)
    await agent.run("x", session="bob")
    await manual_clock.advance(40.0)

    assert agent.sessions.names() == ("bob",)
    assert agent.sessions.get("alice") == ()
    await agent.run("x", session="bob")
    assert len(agent.sessions.get("bob")) == 4


async def test_a_session_with_an_open_run_is_not_forgotten_by_time(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    agent = Agent("a", model=echo_model(), session_ttl=60.0)
    actor_system.start(agent.factory())
    await agent.run("before", session="alice")
    run = asyncio.ensure_future(agent.run("during", session="alice", model=slow_model(release)))
    await settle()
    await manual_clock.advance(80.0)
    await agent.run("x", session="bob")
    release.set()
    await run

    assert len(agent.sessions.get("alice")) == 4
    await manual_clock.advance(120.0)
    assert agent.sessions.get("alice") == ()


async def test_a_session_can_be_exported_and_forgotten() -> None:
    agent = Agent("a", model=echo_model())
    await agent.run("x", session="s")

    assert load_messages(agent.sessions.export("s")) == list(agent.sessions.get("s"))
    assert agent.sessions.forget("s")
    assert not agent.sessions.forget("s")
    assert agent.sessions.names() == ()
    assert agent.sessions.get("s") == ()


async def test_what_is_forgotten_during_a_run_does_not_come_back() -> None:
    release = asyncio.Event()
    agent = Agent("a", model=echo_model())
    await agent.run("before", session="s")
    run = asyncio.ensure_future(agent.run("during", session="s", model=slow_model(release)))
    await settle()
    agent.sessions.forget("s")
    release.set()
    await run

    assert agent.sessions.get("s") == ()
    await agent.run("after", session="s")
    assert len(agent.sessions.get("s")) == 2


def test_an_agent_without_memory_has_no_sessions() -> None:
    with pytest.raises(ConfigError, match="'a' has no memory, so it has no sessions"):
        _ = Agent("a", session=False).sessions


# -- what belongs to a session --------------------------------------------------------------------------------------


async def test_calls_of_a_worker_begin_without_memory_and_go_on_at_the_same_time() -> None:
    release = asyncio.Event()
    model = slow_model(release)
    worker = Agent("w", model=model)
    asks = ModelResponse([ToolCallPart("ask_w", {"prompt": text}) for text in ("one", "two")])
    boss = Agent("b", model=scripted_model([asks, "done"]))
    boss.register_worker(worker)
    run = asyncio.ensure_future(boss.run("go"))
    await settle()
    assert model.waiting == 2

    release.set()
    assert (await run).content == "done"
    assert worker.history == ()


async def test_a_worker_that_remembers_does_so_for_the_session_of_the_caller() -> None:
    model = echo_model()
    worker = Agent("w", model=model)
    asks = [ModelResponse([ToolCallPart("ask_w", {"prompt": text})]) for text in ("alice 1", "bob 1", "alice 2")]
    boss = Agent("b", model=scripted_model([one for ask in asks for one in (ask, "done")]))
    boss.register_worker(worker, reset_history=False)

    for name in ("alice", "bob", "alice"):
        await boss.run("go", session=name)

    assert said(model) == [["alice 1"], ["bob 1"], ["alice 1", "alice 2"]]


async def test_context_waits_for_the_session_it_was_given_for() -> None:
    model = echo_model()
    agent = Agent("a", model=model)
    agent.add_context("for alice", session="alice")
    agent.add_context("for anyone")

    await agent.run("bob", session="bob")
    await agent.run("alice", session="alice")

    assert [("for alice" in str(call.messages), "for anyone" in str(call.messages)) for call in model.requests] == [
        (False, True),
        (True, False),
    ]


@pytest.mark.parametrize(
    ("text", "session", "error"),
    [
        ("x", "", ValueError),
        ("x", "a\nb", ValueError),
        ("x", "y" * 201, ValueError),
        ("x", 5, TypeError),
        (None, "a", TypeError),
    ],
)
async def test_context_for_an_impossible_session_is_refused(text: Any, session: Any, error: type[Exception]) -> None:
    agent = Agent("a", model=echo_model())

    with pytest.raises(error, match=r"node 'a': (session must be a name|text must be text)"):
        agent.add_context(text, session=session)


async def test_members_of_a_run_without_a_session_begin_fresh() -> None:
    model = echo_model()
    agents = [Agent(name, model=model) for name in "ab"]

    for group in (agents[0] | agents[1], Team(agents)):
        await group.run("first")
        await group.run("second")

    assert all(len(prompts) == 1 for prompts in said(model))
    assert [agent.history for agent in agents] == [(), ()]


async def test_no_text_of_one_session_is_in_a_request_of_another_whatever_way_it_takes() -> None:
    model = echo_model()
    a, b, c, d, e, remembers = (Agent(name, model=model) for name in ("a", "b", "c", "d", "e", "remembers"))

    async def ask_helper(text: str) -> str:
        e.add_context(text)
        return (await e.run(text)).content

    helper = Agent.from_callback(ask_helper, name="helper")
    worker = Agent("worker", model=model)
    boss = Agent("boss")
    boss.register_worker(worker)
    boss.register_worker(remembers, reset_history=False)
    a.connect_to(c)
    c.connect_to(d)
    a.connect_to(d, connection_type="context")
    worker.connect_to(e, connection_type="context")

    async def talk_to(name: str) -> None:
        for turn in range(2):
            text = f"canary-{name} {turn}"
            asks = ModelResponse([ToolCallPart(f"ask_{who}", {"prompt": text}) for who in ("worker", "remembers")])
            await a.run(text, session=name, wait_for_connections=True)
            await (a | helper | b).run(text, session=name)
            await Team([b, c, helper]).run(text, session=name)
            await boss.run(text, session=name, model=scripted_model([asks, f"done {text}"]))
            async with (a | b).run_stream(text, session=name) as stream:
                assert [piece async for piece in stream.stream()]
            await c.run(text, message_history=[*a.sessions.get(name)])

    await asyncio.gather(*(talk_to(f"person{number}") for number in range(5)))
    for agent in (a, worker, c, d):
        await agent.complete_tasks()

    assert len(model.requests) > 100
    for call in model.requests:
        assert len(set(re.findall(r"canary-person\d", str(call.messages)))) == 1
    assert all(agent.history == () for agent in (a, b, c, d, e, worker, boss, remembers))
