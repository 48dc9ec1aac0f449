import asyncio
import subprocess
import sys
from typing import Any

import pytest

from actors import AgentPool
from actors.agents.agent import Agent
from actors.runtime.errors import BlockingCallError
from actors.testing.models import echo_model, failing_model


@pytest.mark.seed("S7")
def test_run_sync_without_a_loop_returns_what_run_returns() -> None:
    message = Agent("a", model=echo_model()).run_sync("q")

    assert (message.role, message.name, message.content) == ("assistant", "a", "q")


@pytest.mark.seed("S9")
async def test_run_sync_works_while_a_loop_runs_in_the_calling_thread() -> None:
    agent = Agent("a", model=echo_model())

    assert agent.run_sync("q").content == "q"
    assert (await agent.run("again")).content == "again"


@pytest.mark.seed("S10")
def test_run_sync_raises_the_exception_of_the_run_unchanged() -> None:
    error = LookupError("nothing there")

    with pytest.raises(LookupError) as caught:
        Agent("a", model=failing_model(error)).run_sync("q")

    assert caught.value is error


async def test_run_sync_from_a_thread_uses_the_actor_on_the_loop_where_the_node_lives() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    def note(text: str) -> str:
        loops.append(asyncio.get_running_loop())
        return text

    agent = Agent.from_callback(note)
    await agent.run("x")

    await asyncio.to_thread(agent.run_sync, "y")

    assert loops == [asyncio.get_running_loop()] * 2


async def test_run_sync_inside_an_actor_is_refused_at_once() -> None:
    inner = Agent("inner", model=echo_model())

    def block(text: str) -> str:
        return inner.run_sync(text).content

    with pytest.raises(BlockingCallError, match=r"'inner'.*await"):
        await Agent.from_callback(block).run("x")

    assert inner.run_sync("still usable").content == "still usable"


async def test_run_sync_in_a_blocking_callback_is_part_of_the_run() -> None:
    inner = Agent("inner", model=echo_model())

    def block(text: str) -> str:
        return inner.run_sync(text).content

    assert (await Agent.from_callback(block, blocking=True).run("x")).content == "x"


def test_a_script_ends_quietly_after_run_sync() -> None:
    code = "from actors import Agent; print(Agent('a', model='test').run_sync('q').content)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, "success (no tool calls)\n", "")


@pytest.mark.parametrize("kind", ["node", "team of the pool", "chain of its nodes"])
async def test_run_sync_on_the_loop_of_the_pool_that_has_the_node_is_refused(kind: str) -> None:
    async with AgentPool[None]() as pool:
        node = await pool.add_agent("inner", model=echo_model())
        other = await pool.add_agent("other", model=echo_model())
        nodes: dict[str, Any] = {
            "node": node,
            "team of the pool": pool.create_team(["inner"]),
            "chain of its nodes": node | other,
        }
        chosen = nodes[kind]
        with pytest.raises(BlockingCallError, match=r"block the event loop of its pool; use `await node.run"):
            chosen.run_sync("q")

        assert (await asyncio.to_thread(chosen.run_sync, "q")).content
