"""The life of a pool: start, failures of a start, restarts, an orderly end within limits."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.config.load import parse_manifest
from actors.pool.pool import AgentPool
from actors.runtime.system import ActorSystem
from actors.testing.settle import settle
from protocols.errors import ConfigError, NodeStartError, NodeStoppedError
from protocols.events import ActorCrashed, ChildRestarted, RunStarted, StampedEvent

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Gate(Agent[Any, Any]):
    """An agent that tells when it is opened and closed, and may wait or fail in between."""

    def __init__(self, name: str, log: list[str], enter: Callable[[], Any] | None = None) -> None:
        super().__init__(name, model="offline")
        self.log = log
        self.enter = enter

    async def open(self) -> None:
        self.log.append(f"{self.name} opens")
        if self.enter is not None:
            result = self.enter()
            if asyncio.iscoroutine(result):
                await result
        await super().open()
        self.log.append(f"{self.name} is open")

    async def close(self) -> None:
        await super().close()
        self.log.append(f"{self.name} is closed")


async def forever(text: str) -> str:
    await asyncio.Event().wait()
    return text


async def pool_with(*nodes: Agent[Any, Any], **options: Any) -> AgentPool[None]:
    pool = AgentPool[None](**options)
    for node in nodes:
        await pool.add_node(node)
    return pool


# -- start ------------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S83")
async def test_agents_start_together_by_default() -> None:
    log: list[str] = []
    barrier = asyncio.Barrier(3)  # none goes on before all have begun
    async with await pool_with(*(Gate(name, log, barrier.wait) for name in "abc")):
        pass

    assert log[:3] == ["a opens", "b opens", "c opens"]


@pytest.mark.seed("S84")
async def test_agents_start_one_after_the_other_when_asked_to() -> None:
    log: list[str] = []
    async with await pool_with(*(Gate(name, log) for name in "abc"), parallel_load=False):
        pass

    assert log[:6] == ["a opens", "a is open", "b opens", "b is open", "c opens", "c is open"]


@pytest.mark.seed("S88")
@pytest.mark.parametrize("parallel", [True, False])
async def test_if_one_node_cannot_start_all_others_are_closed_again(parallel: bool) -> None:
    log: list[str] = []

    def fail() -> None:
        message = "the cellar is flooded"
        raise OSError(message)

    pool = await pool_with(Gate("a", log), Gate("b", log, fail), parallel_load=parallel)
    with pytest.raises(NodeStartError, match="node 'b' could not be started: the cellar is flooded") as caught:
        await pool.__aenter__()

    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.node == "b"
    assert ("a is open" in log) == ("a is closed" in log)
    assert not pool.is_running


async def test_a_pool_that_could_not_start_can_be_entered_again() -> None:
    problems = [OSError("not yet")]

    def fail() -> None:
        if problems:
            raise problems.pop()

    pool = await pool_with(Gate("a", [], fail))
    with pytest.raises(NodeStartError):
        await pool.__aenter__()
    async with pool:
        assert (await pool["a"].run("Cats sleep.")).content == "Cats sleep."


async def test_a_cancelled_start_leaves_nothing_behind() -> None:
    log: list[str] = []
    pool = await pool_with(Gate("a", log), Gate("b", log, asyncio.Event().wait))
    task = asyncio.ensure_future(pool.__aenter__())
    await settle()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert task.cancelled()
    assert "a is closed" in log


async def test_a_node_that_cannot_start_in_a_running_pool_is_not_added() -> None:
    def fail() -> None:
        message = "no"
        raise OSError(message)

    async with AgentPool[None]() as pool:
        with pytest.raises(NodeStartError):
            await pool.add_node(Gate("a", [], fail))

        assert "a" not in pool


async def test_a_pool_may_be_entered_by_several_and_ends_with_the_last() -> None:
    pool = await pool_with(Agent.from_callback(str.upper, name="a"))
    async with pool, pool:
        async with pool:
            pass
        assert (await pool["a"].run("hi")).content == "HI"

    assert not pool.is_running


async def test_a_pool_of_a_manifest_begins_anew_after_its_end() -> None:
    pool = AgentPool[None](parse_manifest("agents: {a: {model: offline}}"))
    async with pool:
        first = pool["a"]
    assert len(pool) == 0
    async with pool:
        assert (await pool["a"].run("Cats sleep.")).content == "Cats sleep."
        assert pool["a"] is not first


# -- restart ----------------------------------------------------------------------------------------------------------


class BrokenError(RuntimeError):
    """What breaks an actor in these tests."""


MANIFEST = """
allow_imports: [tests.pool]
supervision: {backoff: {min: 0, max: 0}}
agents:
  fragile: {type: callback, callback: "tests.pool.test_life:fragile", crash_on: ["tests.pool.test_life:BrokenError"]}
  solid: {type: callback, callback: "tests.pool.test_life:echo"}
"""


def fragile(text: str) -> str:
    if text == "break":
        message = "as asked"
        raise BrokenError(message)
    return text


def echo(text: str) -> str:
    return text


async def test_a_node_that_breaks_is_restarted_and_its_neighbours_notice_nothing() -> None:
    async with AgentPool[None](parse_manifest(MANIFEST)) as pool:
        system = ActorSystem.of(asyncio.get_running_loop())
        seen: list[object] = []
        system.events.subscribe(seen.append, [ActorCrashed, ChildRestarted])
        ref = pool["solid"].ref()
        with pytest.raises(BrokenError):
            await pool["fragile"].run("break")

        assert (await pool["fragile"].run("on we go")).content == "on we go"
        assert [type(event) for event in seen] == [ActorCrashed, ChildRestarted]
        assert pool["fragile"].ref().incarnation == 2
        assert pool["solid"].ref() is ref
        assert ref.incarnation == 1


async def test_a_failed_run_is_no_crash() -> None:
    manifest = parse_manifest(MANIFEST.replace(', crash_on: ["tests.pool.test_life:BrokenError"]', ""))
    async with AgentPool[None](manifest) as pool:
        with pytest.raises(BrokenError):
            await pool["fragile"].run("break")

        assert pool["fragile"].ref().incarnation == 1


# -- end --------------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S67")
@pytest.mark.parametrize("make", ["create_team", "create_team_run"])
@pytest.mark.parametrize("name", [None, "mine"])
async def test_an_unlimited_background_run_of_a_team_ends_with_the_pool(make: str, name: str | None) -> None:
    async with await pool_with(Agent.from_callback(str.upper, name="a")) as pool:
        team = getattr(pool, make)(["a"], name=name)
        third = asyncio.Event()
        answers: list[object] = []

        def note(answer: object) -> None:
            answers.append(answer)
            if len(answers) == 3:
                third.set()

        team.message_sent.connect(note)
        stats = await team.run_in_background("hi", max_count=None, interval=0.0)
        await asyncio.wait_for(third.wait(), 10)

    assert not team.is_running
    assert stats.done


@pytest.mark.seed("S67")
async def test_what_operators_made_of_its_nodes_ends_with_the_pool() -> None:
    upper, lower = Agent.from_callback(str.upper, name="a"), Agent.from_callback(str.lower, name="b")
    async with await pool_with(upper, lower) as pool:
        chain = pool["a"] | pool["b"]
        nested = (chain & pool["a"]) | str.title
        await chain.run_in_background("hi", max_count=None, interval=3600.0)
        await nested.run_in_background("hi", max_count=None, interval=3600.0)
        await settle()

    assert not chain.is_running
    assert not nested.is_running


async def test_teams_that_are_no_longer_in_use_are_forgotten() -> None:
    async with await pool_with(Agent.from_callback(str.upper, name="a")) as pool:
        for _ in range(10):
            await (pool["a"] | str.lower).run("hi")
        gc.collect()

        assert len(pool["a"].groups) < 3


async def test_an_unlimited_background_run_of_an_agent_ends_with_the_pool() -> None:
    async with await pool_with(Agent.from_callback(str.upper, name="a")) as pool:
        agent = pool["a"]
        await agent.run_in_background("hi", interval=3600.0)

    assert not agent.is_running


async def test_a_run_in_hand_may_end_before_the_pool_does() -> None:
    release = asyncio.Event()

    async def slow(text: str) -> str:
        await release.wait()
        return text

    async with await pool_with(Agent.from_callback(slow, name="slow")) as pool:
        run = asyncio.ensure_future(pool["slow"].run("hi"))
        await settle()
        asyncio.get_running_loop().call_soon(release.set)

    assert (await run).content == "hi"


async def test_a_run_that_never_ends_does_not_keep_the_pool_from_ending() -> None:
    stuck = "agents: {stuck: {type: callback, callback: 'tests.pool.test_life:forever'}}"
    text = f"allow_imports: [tests.pool]\nsupervision: {{shutdown: 0s}}\n{stuck}"
    async with AgentPool[None](parse_manifest(text)) as pool:
        run = asyncio.ensure_future(pool["stuck"].run("hi"))
        await settle()
    with pytest.raises(Exception, match="stuck"):
        await run


async def test_nodes_take_no_runs_after_the_end() -> None:
    async with await pool_with(Agent.from_callback(str.upper, name="a")) as pool:
        agent = pool["a"]

    with pytest.raises(NodeStoppedError, match="'a'"):
        await agent.run("hi")


@pytest.mark.seed("S103")
@pytest.mark.parametrize("error", [ValueError("body"), KeyError("x"), asyncio.CancelledError()])
async def test_an_error_in_the_body_reaches_the_caller_and_everything_ends(error: BaseException) -> None:
    log: list[str] = []
    with pytest.raises(type(error)) as caught:
        async with await pool_with(Gate("a", log)):
            raise error

    assert caught.value is error
    assert log[-1] == "a is closed"


@pytest.mark.seed("S101")
async def test_cancelling_whoever_waits_inside_ends_the_pool_in_order() -> None:
    log: list[str] = []

    async def serve() -> None:
        async with await pool_with(Gate("a", log)) as pool:
            asyncio.get_running_loop().call_soon(log.append, "serving")
            await pool["a"].run("Cats sleep.")
            await asyncio.Event().wait()

    task = asyncio.ensure_future(serve())
    await settle()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert log[-1] == "a is closed"


async def test_a_node_that_cannot_be_closed_keeps_nobody_from_ending(caplog: pytest.LogCaptureFixture) -> None:
    class Sticky(Gate):
        async def close(self) -> None:
            await super().close()
            message = "glued"
            raise OSError(message)

    log: list[str] = []
    async with await pool_with(Gate("a", log), Sticky("b", log)):
        pass

    assert "a is closed" in log
    assert "node 'b' could not be closed cleanly" in caplog.text


# -- systems ----------------------------------------------------------------------------------------------------------


async def test_a_pool_can_live_in_a_system_of_its_own() -> None:
    async with ActorSystem("mine") as system:
        seen: list[StampedEvent] = []
        system.events.subscribe(seen.append, [RunStarted])
        pool = await pool_with(Agent.from_callback(str.upper, name="a"), system=system)
        async with pool:
            await pool["a"].run("hi")

    assert [event.actor for event in seen] == ["a"]


async def test_two_pools_with_the_same_names_live_side_by_side() -> None:
    first = await pool_with(Agent.from_callback(str.upper, name="a"))
    second = await pool_with(Agent.from_callback(str.lower, name="a"))
    async with first, second:
        assert (await first["a"].run("Hi")).content == "HI"
        assert (await second["a"].run("Hi")).content == "hi"


def test_one_pool_may_be_used_from_one_loop_after_the_other() -> None:
    pool = AgentPool[None](parse_manifest("agents: {a: {model: offline}}"))

    async def once() -> str:
        async with pool:
            answer = await pool["a"].run("Cats sleep.")
            return str(answer.content)

    assert [asyncio.run(once()), asyncio.run(once())] == ["Cats sleep.", "Cats sleep."]


@pytest.mark.parametrize("source", ["raises", "empty", "missing"])
async def test_knowledge_that_cannot_be_loaded_keeps_the_pool_from_starting(source: str) -> None:
    text = (
        f"allow_imports: [tests.pool]\nagents: {{a: {{knowledge: {{callables: ['tests.pool.test_life:{source}']}}}}}}"
    )
    with pytest.raises((NodeStartError, ConfigError), match=source):
        await AgentPool[None](parse_manifest(text)).__aenter__()


def raises() -> str:
    message = "no network"
    raise OSError(message)


def empty() -> str:
    return "  "
