import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from actors.agents.agent import Agent
from actors.runs.run_stats import RunStats
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.clock import ManualClock
from actors.testing.models import failing_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import EmptyPromptError, NodeStoppedError, NotRunningError
from protocols.messages import ChatMessage

AnyAgent = Agent[object, str]


def counting(name: str = "counter", *, failing: frozenset[int] = frozenset()) -> AnyAgent:
    """An agent that answers 1, 2, 3 ... and fails in the given rounds."""
    rounds = iter(range(1, 1_000))

    def answer(text: str) -> str:
        number = next(rounds)
        if number in failing:
            raise ValueError(f"round {number}")
        return f"{text} {number}"

    return Agent.from_callback(answer, name=name)


@pytest_asyncio.fixture
async def agent(actor_system: ActorSystem, manual_clock: ManualClock) -> AsyncGenerator[AnyAgent]:
    """An agent in a system whose time is moved by the test."""
    node = counting()
    await actor_system.start(node.factory(), name=node.name).ready()
    yield node
    await node.cancel()


def contents(stats: RunStats) -> list[str]:
    return [message.content for message in stats.messages]


@pytest.mark.seed("S11", "S12", "S17")
async def test_a_background_run_starts_at_once_and_its_count_grows(agent: AnyAgent, manual_clock: ManualClock) -> None:
    seen = [(0, agent.is_running)]
    stats = await agent.run_in_background("q", max_count=2, interval=5.0, block=False)
    for seconds in (None, 0.0, 5.0):
        if seconds is not None:
            await manual_clock.advance(seconds)
        seen.append((stats.message_count, agent.is_running))

    assert seen == [(0, False), (0, True), (1, True), (2, False)]


@pytest.mark.seed("S13")
async def test_max_count_runs_exactly_so_often(agent: AnyAgent, manual_clock: ManualClock) -> None:
    stats = await agent.run_in_background("q", max_count=3)
    await manual_clock.advance(60.0)

    assert contents(stats) == ["q 1", "q 2", "q 3"]
    assert not agent.is_running
    assert stats.done


@pytest.mark.seed("S14", "S90")
async def test_an_agent_goes_on_until_it_is_stopped_by_default(agent: AnyAgent, manual_clock: ManualClock) -> None:
    stats = await agent.run_in_background("q")
    await manual_clock.advance(9.0)

    assert stats.message_count == 10
    assert agent.is_running


@pytest.mark.seed("S15")
async def test_runs_are_separated_by_the_interval(agent: AnyAgent, manual_clock: ManualClock) -> None:
    stats = await agent.run_in_background("q", interval=2.5)
    await manual_clock.advance(2.4)
    before = stats.message_count
    await manual_clock.advance(0.1)

    assert (before, stats.message_count) == (1, 2)


@pytest.mark.seed("S16")
async def test_block_returns_after_the_last_run(agent: AnyAgent) -> None:
    stats = await agent.run_in_background("q", max_count=2, interval=0.0, block=True)

    assert stats.done
    assert stats.message_count == 2
    assert not agent.is_running


@pytest.mark.seed("S18")
async def test_cancel_ends_an_unlimited_run_and_starts_nothing_more(agent: AnyAgent, manual_clock: ManualClock) -> None:
    stats = await agent.run_in_background("q")
    await manual_clock.advance()
    await agent.cancel()
    count = stats.message_count
    await manual_clock.advance(100.0)

    assert not agent.is_running
    assert stats.message_count == count == 1


@pytest.mark.seed("S18")
async def test_cancel_aborts_the_run_in_hand(no_leaked_actors: None) -> None:
    model = slow_model(asyncio.Event())
    async with Agent("slow", model=model) as agent:
        stats = await agent.run_in_background("q")
        await model.started.wait()
        await agent.cancel()
        await settle()

        assert model.cancelled == 1
        assert await stats is None


@pytest.mark.seed("S19")
async def test_cancel_and_stop_do_nothing_when_nothing_runs(agent: AnyAgent) -> None:
    await agent.cancel()
    await agent.stop()

    assert not agent.is_running


@pytest.mark.seed("S21")
async def test_a_new_background_run_can_be_started_after_cancel(agent: AnyAgent) -> None:
    await agent.run_in_background("q")
    await agent.cancel()
    stats = await agent.run_in_background("again", max_count=1, block=True)

    assert len(stats.messages) == 1


@pytest.mark.seed("S22", "S63")
async def test_a_failing_run_is_counted_and_noted_and_the_next_one_comes(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = counting("shaky", failing=frozenset({2}))
    await actor_system.start(node.factory(), name=node.name).ready()
    stats = await node.run_in_background("q", max_count=3)
    await manual_clock.advance(10.0)

    assert contents(stats) == ["q 1", "q 3"]
    assert [(name, text) for name, text, _ in stats.errors] == [("shaky", "round 2")]
    assert stats.errors is stats.error_log
    assert stats.errors[0][2].tzinfo is not None
    result = await stats
    assert result is not None
    assert result.content == "q 3"


async def test_wait_raises_when_no_run_of_an_agent_succeeded() -> None:
    error = ValueError("no")
    async with Agent("broken", model=failing_model(error)) as agent:
        stats = await agent.run_in_background("q", max_count=1, block=True)

        assert (stats.message_count, len(stats.errors)) == (0, 1)
        with pytest.raises(ValueError, match="no") as caught:
            await agent.wait()
        assert caught.value is error


@pytest.mark.seed("S52")
async def test_wait_returns_the_last_answer_as_often_as_it_is_asked(agent: AnyAgent) -> None:
    await agent.run_in_background("q", max_count=2, interval=0.0)
    first, second = await agent.wait(), await agent.wait()

    assert isinstance(first, ChatMessage)
    assert first.content == "q 2"
    assert second is first


@pytest.mark.seed("S53")
async def test_wait_is_refused_without_a_run_and_for_one_that_never_ends(agent: AnyAgent) -> None:
    with pytest.raises(NotRunningError, match="no background run"):
        await agent.wait()
    await agent.run_in_background("q")
    with pytest.raises(RuntimeError, match="never end"):
        await agent.wait()


@pytest.mark.seed("S89")
async def test_the_stats_can_be_awaited_for_the_final_message(agent: AnyAgent, manual_clock: ManualClock) -> None:
    stats = await agent.run_in_background("m", max_count=2, interval=5.0)
    final = asyncio.ensure_future(_awaited(stats))
    await manual_clock.advance(5.0)
    message = await final

    assert message is not None
    assert message.content == "m 2"
    assert stats.result() is message


@pytest.mark.seed("S91")
async def test_stop_releases_whoever_awaits_the_stats_and_is_idempotent(
    agent: AnyAgent, manual_clock: ManualClock
) -> None:
    stats = await agent.run_in_background("m", interval=5.0)
    waiter = asyncio.ensure_future(_awaited(stats))
    await manual_clock.advance(5.0)
    await agent.stop()
    await agent.stop()
    message = await waiter

    assert message is not None
    assert message.content == "m 2"
    assert not agent.is_running


@pytest.mark.seed("S92")
async def test_stop_right_after_the_start_raises_nothing(agent: AnyAgent) -> None:
    stats = await agent.run_in_background("m")
    await agent.stop()

    assert stats.done


async def test_stop_lets_the_run_in_hand_end() -> None:
    release = asyncio.Event()
    model = slow_model(release, "done")
    async with Agent("slow", model=model) as agent:
        stats = await agent.run_in_background("q", interval=0.0)
        await model.started.wait()
        stopping = asyncio.ensure_future(agent.stop())
        await settle()
        assert not stopping.done()
        release.set()
        await stopping
        result = await stats

        assert result is not None
        assert result.content == "done"
        assert stats.message_count == 1


async def test_stop_cancels_a_run_that_does_not_end_in_time(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    model = slow_model(asyncio.Event())
    agent = Agent("stuck", model=model)
    await actor_system.start(agent.factory(), name=agent.name).ready()
    stats = await agent.run_in_background("q")
    await model.started.wait()
    stopping = asyncio.ensure_future(agent.stop())
    await manual_clock.advance(4.9)
    early = stopping.done()
    await manual_clock.advance(0.2)
    await stopping

    assert not early
    assert model.cancelled == 1
    assert await stats is None


async def test_a_run_that_stops_its_own_background_run_does_not_wait_for_itself(no_leaked_actors: None) -> None:
    agent: AnyAgent

    async def answer(text: str) -> str:
        await agent.stop()
        return text

    agent = Agent.from_callback(answer, name="suicidal")
    async with agent:
        stats = await agent.run_in_background("q")
        result = await stats

    assert result is not None
    assert result.content == "q"


async def test_a_second_start_of_an_agent_takes_the_place_of_the_first(agent: AnyAgent) -> None:
    first = await agent.run_in_background("one")
    second = await agent.run_in_background("two")

    assert first.done
    assert not second.done
    assert agent.stats is second


async def test_functions_among_the_prompts_are_called_for_every_run(agent: AnyAgent) -> None:
    prompts = iter(["a", "b"])

    async def prompt() -> str:
        return next(prompts)

    stats = await agent.run_in_background(prompt, max_count=2, interval=0.0, block=True)

    assert contents(stats) == ["a 1", "b 2"]


async def test_run_options_hold_for_every_run() -> None:
    async with Agent("a", model=failing_model(ValueError("wrong model"))) as agent:
        model = scripted_model(["one", "two"])
        stats = await agent.run_in_background("q", max_count=2, interval=0.0, block=True, model=model)

        assert contents(stats) == ["one", "two"]


@pytest.mark.parametrize("count", [0, -1])
async def test_a_count_below_one_is_refused(agent: AnyAgent, count: int) -> None:
    with pytest.raises(ValueError, match=f"max_count must be at least 1, or None for no limit, not {count}"):
        await agent.run_in_background("q", max_count=count)
    assert not agent.is_running


@pytest.mark.parametrize("interval", [-0.1, float("nan"), float("inf")])
async def test_a_bad_interval_is_refused(agent: AnyAgent, interval: float) -> None:
    with pytest.raises(ValueError, match="interval must be seconds >= 0"):
        await agent.run_in_background("q", interval=interval)


async def test_bad_prompts_and_keywords_are_refused_before_anything_starts(agent: AnyAgent) -> None:
    with pytest.raises(EmptyPromptError):
        await agent.run_in_background()
    with pytest.raises(TypeError, match="modl"):
        await agent.run_in_background("q", modl="m")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    assert not agent.is_running


@pytest.mark.seed("S103")
async def test_leaving_the_node_ends_its_background_run(no_leaked_actors: None) -> None:
    agent = counting()

    async def body() -> None:
        async with agent:
            await agent.run_in_background("q")
            raise LookupError("body")

    with pytest.raises(LookupError, match="body"):
        await body()

    assert agent.stats.done
    assert not agent.is_running
    with pytest.raises(NodeStoppedError):
        await agent.run_in_background("q")


async def test_the_background_run_ends_when_the_supervisor_of_the_node_stops(no_leaked_actors: None) -> None:
    agent = counting()
    system = ActorSystem.of(asyncio.get_running_loop())
    supervisor = system.start(Supervisor, ([ChildSpec(agent.factory(), name=agent.name)],))
    await supervisor.ready()
    stats = await agent.run_in_background("q", interval=1_000.0)
    await settle()
    await supervisor.stop()
    result = await stats

    assert result is not None
    assert result.content == "q 1"
    assert not agent.is_running


async def test_the_background_run_ends_with_its_system(no_leaked_actors: None) -> None:
    agent = counting()
    await agent.run("q")
    stats = await agent.run_in_background("q", interval=1_000.0)
    await settle()
    await ActorSystem.of(asyncio.get_running_loop()).close()

    assert stats.done


@pytest.mark.seed("S55")
async def test_the_stats_of_the_node_are_those_of_its_current_or_last_run(agent: AnyAgent) -> None:
    stats = await agent.run_in_background("q", max_count=2, interval=0.0)
    during = agent.stats
    await agent.wait()
    after = agent.stats
    await agent.run("once more")

    assert during is after is stats
    assert contents(agent.stats) == ["once more 3"]
    assert agent.total_stats.message_count == 3


async def test_a_node_is_busy_while_it_runs_in_the_background_or_has_a_run_in_hand() -> None:
    release = asyncio.Event()
    model = slow_model(release)
    async with Agent("slow", model=model) as agent:
        idle = agent.is_busy()
        run = asyncio.ensure_future(agent.run("q"))
        await model.started.wait()
        working = agent.is_busy()
        release.set()
        await run

        assert (idle, working, agent.is_busy()) == (False, True, False)
        await agent.run_in_background("q", interval=1_000.0)
        assert agent.is_busy()


async def _awaited(stats: RunStats) -> ChatMessage[object] | None:
    return await stats
