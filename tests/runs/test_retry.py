"""A step is tried again: which failures, how often, when, and what the caller, the reader and the bill see."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel

from actors import Retry
from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runtime.errors import ActorCrashedError
from actors.runtime.system import ActorSystem
from actors.supervision.backoff import Backoff
from actors.testing.clock import ManualClock
from actors.testing.models import failing_model
from actors.testing.settle import settle
from protocols.errors import ConfigError, NodeStoppedError, RunCancelledError
from protocols.events import RunFailed, RunRetried, RunStarted, StampedEvent
from tests.support.nodes import AnyAgent, echo_agent

AT_ONCE = Backoff.none()
SLOWLY = Backoff(min=1.0, max=8.0, jitter=0.0)


class Flaky:
    """A function that fails so many times, and then answers."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        self.left = times
        self.calls = 0
        self.error = error or ConnectionError("gone")

    def __call__(self, text: str) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return f"done({text})"


def flaky_agent(flaky: Callable[[str], str], retry: Retry | None, **settings: Any) -> AnyAgent:
    return Agent.from_callback(flaky, name="flaky", retry=retry, **settings)


async def test_a_failed_step_is_tried_again_after_waits_on_the_clock_of_the_system(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    seen: list[StampedEvent] = []
    actor_system.events.subscribe(seen.append, [RunStarted, RunRetried, RunFailed])
    flaky = Flaky(2)
    agent = flaky_agent(flaky, Retry(backoff=SLOWLY), timeout=None)
    actor_system.start(agent.factory())
    run = asyncio.create_task(agent.run("x"))

    await manual_clock.advance(0.9)
    assert flaky.calls == 1
    await manual_clock.advance(0.1)
    assert flaky.calls == 2
    await manual_clock.advance(1.9)
    assert flaky.calls == 2
    await manual_clock.advance(0.1)

    assert (await run).content == "done(x)"
    retries = [event for event in seen if isinstance(event, RunRetried)]
    assert [type(event) for event in seen] == [RunStarted, RunRetried, RunRetried]
    assert [(one.actor, one.error_type, one.error, one.attempt, one.delay) for one in retries] == [
        ("flaky", "ConnectionError", "gone", 1, 1.0),
        ("flaky", "ConnectionError", "gone", 2, 2.0),
    ]
    assert manual_clock.pending == 0


async def test_after_the_last_attempt_the_caller_gets_the_failure_itself() -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError, match="gone"):
        await flaky_agent(flaky, Retry(attempts=3, backoff=AT_ONCE)).run("x")
    assert flaky.calls == 3


class UselessError(Exception):
    """A failure that stays."""

    retryable = False


@pytest.mark.parametrize(
    ("error", "on", "calls"),
    [
        (KeyError("k"), (KeyError,), 2),
        (KeyError("k"), (LookupError,), 2),
        (KeyError("k"), (OSError,), 1),
        (UselessError(), (Exception,), 1),
        (UselessError(), (UselessError,), 2),
        (RunCancelledError("c"), (Exception,), 1),
        (RunCancelledError("c"), (Exception, RunCancelledError), 2),
        (NodeStoppedError("s"), (Exception,), 1),
    ],
)
async def test_on_says_after_which_failures(error: Exception, on: Any, calls: int) -> None:
    flaky = Flaky(9, error)
    with pytest.raises(type(error)):
        await flaky_agent(flaky, Retry(attempts=2, on=on, backoff=AT_ONCE)).run("x")
    assert flaky.calls == calls


async def test_a_failure_that_is_a_crash_is_not_tried_again() -> None:
    flaky = Flaky(9)
    with pytest.raises((ConnectionError, ActorCrashedError)):
        await flaky_agent(flaky, Retry(backoff=AT_ONCE), crash_on=(ConnectionError,)).run("x")
    assert flaky.calls == 1


async def test_a_wait_that_the_deadline_would_cut_is_not_begun(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    flaky = Flaky(9)
    agent = flaky_agent(flaky, Retry(attempts=5, backoff=SLOWLY), timeout=2.5)
    actor_system.start(agent.factory())
    run = asyncio.create_task(agent.run("x"))

    await manual_clock.advance(1.0)

    with pytest.raises(ConnectionError):
        await run
    assert flaky.calls == 2


async def test_a_caller_that_gives_up_ends_the_wait(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    flaky = Flaky(9)
    agent = flaky_agent(flaky, Retry(backoff=SLOWLY), timeout=None)
    actor_system.start(agent.factory())
    run = asyncio.create_task(agent.run("x"))
    await manual_clock.advance(0.5)

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await manual_clock.advance(100)

    assert (flaky.calls, manual_clock.pending) == (1, 0)


@pytest.mark.parametrize("kind", [Team, TeamRun])
async def test_a_member_is_tried_again_by_itself(kind: Any) -> None:
    seen: list[str] = []
    flaky = Flaky(1)
    team = kind([echo_agent("a", seen), flaky_agent(flaky, Retry(backoff=AT_ONCE))], name="team")

    answer = await team.run("x")

    assert "done(" in answer.text
    assert (answer.metadata["errors"], len(seen), flaky.calls) == ({}, 1, 2)


async def test_a_team_with_a_retry_runs_all_its_members_again() -> None:
    seen: list[str] = []
    flaky = Flaky(1)
    chain = TeamRun([echo_agent("a", seen), flaky_agent(flaky, None)], name="chain", retry=Retry(backoff=AT_ONCE))

    assert (await chain.run("x")).content == "done(a(x))"
    assert (seen, flaky.calls) == (["x", "x"], 2)


async def test_a_team_whose_answers_are_read_as_they_come_is_not_run_again() -> None:
    flaky = Flaky(1)
    team = Team([echo_agent("a"), flaky_agent(flaky, None)], name="t", policy="all", retry=Retry(backoff=AT_ONCE))

    response = await team.execute("x")

    assert [one.agent_name for one in response] == ["a"]
    assert (response.failed_agents, flaky.calls) == (["flaky"], 1)


async def test_notes_for_the_step_are_there_in_every_attempt() -> None:
    flaky = Flaky(1)
    agent = flaky_agent(flaky, Retry(backoff=AT_ONCE))
    agent.add_context("note")
    assert (await agent.run("x")).content == "done(note\n\nx)"
    assert (await agent.run("y")).content == "done(y)"


async def test_an_agent_with_a_model_is_tried_again_and_remembers_one_exchange() -> None:
    agent = Agent("a", model=failing_model(ConnectionError("gone"), times=1, then="back"), retry=Retry(backoff=AT_ONCE))
    assert (await agent.run("x")).content == "back"
    assert len(agent.history) == 2


async def test_the_cost_of_a_failed_attempt_is_counted_once_in_answer_team_and_totals() -> None:
    flaky = Flaky(1)

    def work() -> str:
        return flaky("x")

    agent = Agent("a", model=TestModel(), tools=[work], session=False, retry=Retry(backoff=AT_ONCE))
    answer = await Team([agent], name="team").run("x")
    price = (await agent.run("x")).usage.total_tokens

    assert price < answer.usage.total_tokens < 2 * price
    assert answer.associated_messages[0].usage == answer.usage
    assert agent.total_stats.token_count == answer.usage.total_tokens + price


async def test_the_cost_of_all_attempts_is_that_of_the_failed_run() -> None:
    costs: list[int] = []

    def noted(event: StampedEvent) -> None:
        assert isinstance(event, RunFailed)
        costs.append(event.input_tokens)

    def work() -> str:
        raise ConnectionError("gone")

    agent = Agent("a", model=TestModel(), tools=[work], session=False, retry=Retry(attempts=2, backoff=AT_ONCE))
    system = ActorSystem.of(asyncio.get_running_loop())
    system.events.subscribe(noted, [RunFailed])
    for attempts in (2, 1):
        agent.definition = replace(
            agent.definition,
            settings=replace(agent.definition.settings, retry=Retry(attempts=attempts, backoff=AT_ONCE)),
        )
        with pytest.raises(ConnectionError):
            await agent.run("x")
    await settle()

    assert costs[0] == 2 * costs[1] > 0


async def test_the_reader_of_a_stream_gets_the_text_of_the_attempt_that_answered() -> None:
    model = failing_model(ConnectionError("gone"), times=1, then="back")
    agent = Agent("a", model=model, session=False, retry=Retry(backoff=AT_ONCE))
    async with agent.run_stream("x") as stream:
        pieces = [piece async for piece in stream.stream()]
    assert "".join(pieces) == "back" == stream.result.content


@pytest.mark.parametrize(
    "given", [{"attempts": 0}, {"attempts": True}, {"on": ConnectionError}, {"on": (int,)}, {"backoff": 5}]
)
def test_an_impossible_retry_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match=f"retry: {next(iter(given))} must be"):
        Retry(**given)


def test_a_node_takes_nothing_else_for_its_retry() -> None:
    retry: Any = 3
    with pytest.raises(ConfigError, match="retry must be Retry"):
        Agent.from_callback(str.upper, name="a", retry=retry)
    with pytest.raises(ConfigError, match="retry must be Retry"):
        Team([echo_agent("a")], retry=retry)


class BrokenError(Exception):
    """A failure that is a crash."""


@pytest.mark.parametrize("redeliver", [True, False])
async def test_a_run_whose_actor_crashed_is_done_again_if_the_node_says_so(*, redeliver: bool) -> None:
    seen: list[str] = []
    flaky = Flaky(1, BrokenError("broken"))
    member = flaky_agent(flaky, None, crash_on=(BrokenError,), redeliver=redeliver)
    chain = TeamRun([echo_agent("a", seen), member, echo_agent("c", seen)], name="chain", backoff=None)

    if redeliver:
        assert (await chain.run("x")).content == "c(done(a(x)))"
        assert (flaky.calls, seen) == (2, ["x", "done(a(x))"])
    else:
        with pytest.raises(BrokenError):
            await chain.run("x")
        assert (flaky.calls, seen) == (1, ["x"])


async def test_a_crash_in_one_session_ends_no_run_of_another_one_if_the_node_redelivers() -> None:
    waiting, release = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def work(prompt: str) -> str:
        seen.append(prompt)
        if prompt == "slow" and seen.count("slow") == 1:
            waiting.set()
            await release.wait()
        if prompt == "bad" and seen.count("bad") == 1:
            raise BrokenError(prompt)
        return f"did {prompt}"

    async def respond(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        part: Any = messages[-1].parts[0]
        return ModelResponse(parts=[TextPart(await work(str(part.content)))])

    agent = Agent("a", model=FunctionModel(respond), crash_on=(BrokenError,), redeliver=True)
    await Team([agent], name="team", backoff=None).run("first")
    slow = asyncio.create_task(agent.run("slow", session="alice"))
    await waiting.wait()

    bad = await agent.run("bad", session="bob")

    assert (bad.content, (await slow).content) == ("did bad", "did slow")
    assert sorted(seen) == ["bad", "bad", "first", "slow", "slow"]
