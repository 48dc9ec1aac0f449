"""Causes reach whoever waits: of a pool that gave up, of a run that took too long, of errors without a text."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import Agent, AgentPool, RestartIntensity, Team, TeamRun
from actors.nodes.node import AnyNode
from actors.pool.node_supervisor import PoolPolicy
from actors.runtime.errors import RestartIntensityExceededError
from actors.runtime.registry import default_systems
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, settle
from actors.web.health import readiness
from protocols.errors import MemberError, NodeStoppedError, RunTimeoutError
from tests.support.nodes import echo_agent

kinds = st.sampled_from(["chain", "team", "picked"])


class Hanging:
    """Work that never ends."""

    def __init__(self) -> None:
        self.started = asyncio.Semaphore(0)

    async def work(self, _: str) -> str:
        self.started.release()
        await asyncio.Event().wait()
        raise AssertionError


async def timed_out(node: AnyNode, hanging: Hanging, times: int = 1) -> str:
    """Return the text of the timeout of a run whose time is up when so many functions hang."""
    clock = ManualClock()
    default_systems[asyncio.get_running_loop()] = system = ActorSystem("timed", clock=clock)
    run = asyncio.create_task(node.run("q", timeout=5))
    for _ in range(times):
        await hanging.started.acquire()
    await settle(system)
    await clock.advance(5)
    with pytest.raises(RunTimeoutError) as caught:
        await run
    closing = asyncio.create_task(system.close())
    await clock.advance(60)
    await closing
    return str(caught.value)


def built(path: list[tuple[str, int, int]], hanging: Hanging, name: str = "n") -> tuple[AnyNode, str]:
    """Return nested nodes around one that hangs, and the names that lead to it."""
    if not path:
        return Agent.from_callback(hanging.work, name=name), ""
    (kind, before, after), *rest = path
    inner, names = built(rest, hanging, f"{name}i")
    names = f"{inner.name!r} > {names}" if names else repr(inner.name)
    others = [echo_agent(f"{name}{place}") for place in range(before + after)]
    if kind == "picked":
        return Team(others or [echo_agent(f"{name}e")], name=name, picker=inner, policy="all"), names
    nodes = [*others[:before], inner, *others[before:]]
    return TeamRun(nodes, name=name) if kind == "chain" else Team(nodes, name=name, policy="all"), names


@settings(max_examples=25, deadline=None)
@given(path=st.lists(st.tuples(kinds, st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4))
def test_a_timeout_names_who_was_at_work_at_any_depth(path: Any) -> None:
    async def check() -> None:
        hanging = Hanging()
        node, names = built(path, hanging)
        text = f"node 'n': the run was not finished within 5 s and has been cancelled; raise timeout=; at work: {names}"
        assert await timed_out(node, hanging) == text

    asyncio.run(check())


async def test_all_members_at_work_are_named() -> None:
    hanging = Hanging()
    slow = [Agent.from_callback(hanging.work, name=name) for name in ("a", "b")]
    text = await timed_out(Team([slow[0], echo_agent("done"), slow[1]], policy="all"), hanging, times=2)
    assert text.endswith("at work: 'a', 'b'")


async def test_a_pool_that_gave_up_tells_every_node_and_the_health_why() -> None:
    def boom(_: str) -> str:
        raise KeyError("secret state")

    async with AgentPool[None]() as pool:
        await pool.add_node(Agent.from_callback(boom, name="bad", crash_on=(KeyError,)))
        await pool.add_node(echo_agent("good"))
        chain = pool["good"] | str.upper
        bad = pool["bad"].home.find()
        assert bad is not None
        supervisor: Any = pool._supervisor  # pyright: ignore[reportPrivateUsage]
        await supervisor.adopt(_strict(), [])
        with pytest.raises(KeyError):
            await pool["bad"].run("q")
        await settle()
        for node in (pool["good"], chain):
            with pytest.raises(NodeStoppedError, match=r"'good'.*'pool' gave up on 'bad': .*secret state") as caught:
                await node.run("q")
            assert isinstance(caught.value.__cause__, RestartIntensityExceededError)
        with pytest.raises(NodeStoppedError, match="KeyError: 'secret state'"):
            await pool["bad"].run("q")
        state = readiness(pool)

    assert state["cause"] == "pool gave up on 'bad'"
    assert "secret" not in str(state)


def _strict() -> PoolPolicy:
    return PoolPolicy(intensity=RestartIntensity(limit=0, period=5.0))


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


async def test_an_error_without_a_text_takes_the_place_of_no_other() -> None:
    def fail(_: str) -> str:
        raise SpeechlessError

    agent = Agent.from_callback(fail, name="mute")
    with pytest.raises(MemberError, match="mute: <SpeechlessError whose str raised RuntimeError>") as caught:
        await Team([agent]).run("q")
    response = await Team([agent, echo_agent("a")]).execute("q")

    assert type(caught.value.__cause__) is SpeechlessError
    mute = response.by_agent("mute")
    assert mute is not None
    assert mute.error == "<SpeechlessError whose str raised RuntimeError>"
    with pytest.raises(ValueError, match="Chain broken at mute") as broken:
        async for _ in (echo_agent("b") | agent).run_stream("q"):
            pass
    assert type(broken.value.__cause__) is SpeechlessError
