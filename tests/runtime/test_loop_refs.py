import asyncio
import gc
import threading
import weakref

import pytest

from actors.agents.agent import Agent
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.errors import NodeStoppedError


def upper() -> Agent[object, str]:
    return Agent.from_callback(str.upper)


async def test_nothing_is_started_before_the_first_run() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    agent = upper()
    before = len(system.actors())

    await agent.run("x")

    assert len(system.actors()) == before + 1
    assert agent.ref().name == "upper"


async def test_an_actor_that_started_by_itself_ends_with_its_node() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    before = len(system.actors())
    agent = upper()
    await agent.run("x")
    gone = weakref.ref(agent)

    del agent
    gc.collect()
    await settle()

    assert gone() is None
    assert len(system.actors()) == before


async def test_a_request_keeps_its_node_until_it_is_answered() -> None:
    reply = upper().post(["x"])
    gc.collect()

    assert (await reply).content == "X"


async def test_a_node_lives_in_the_system_whose_actor_uses_it_first() -> None:
    async with ActorSystem("own") as system:
        inner = upper()

        async def ask_inner(text: str) -> str:
            return (await inner.run(text)).content

        outer = Agent.from_callback(ask_inner, name="outer")
        ref = system.start(outer.factory())
        await ref.ask(outer.request(["x"], {}))

        assert {ref.name for ref in system.actors()} == {"outer", "upper"}


async def test_a_supervised_node_uses_the_actor_of_its_supervisor() -> None:
    agent = upper()
    supervisor = Supervisor.start([ChildSpec(agent.factory(), name="child", restart="transient")])
    await supervisor.ready()
    children = await supervisor.proxy().children()

    await agent.run("x")

    assert agent.ref() == children[0].ref
    await supervisor.stop()


async def test_a_supervised_node_takes_no_runs_once_its_supervisor_has_ended() -> None:
    agent = upper()
    supervisor = Supervisor.start([ChildSpec(agent.factory(), name="child", restart="transient")])
    await supervisor.ready()

    await supervisor.stop()

    with pytest.raises(NodeStoppedError, match="'upper'"):
        await agent.run("x")


async def test_closing_a_supervised_node_leaves_its_actor_to_the_supervisor() -> None:
    agent = upper()
    supervisor = Supervisor.start([ChildSpec(agent.factory(), name="child", restart="transient")])
    await supervisor.ready()
    ref = agent.ref()

    async with agent:
        pass

    assert ref.is_alive()
    await supervisor.stop()


def test_one_node_is_used_by_one_loop_after_the_other() -> None:
    agent = upper()

    assert [asyncio.run(agent.run(text)).content for text in ("a", "b", "c")] == ["A", "B", "C"]


def test_a_node_forgets_the_loops_that_were_closed() -> None:
    agent = upper()

    for number in range(20):
        asyncio.run(agent.run(str(number)))

    assert len(agent.home.refs) == 1


def test_one_node_is_used_by_several_loops_at_once() -> None:
    agent, results = upper(), dict[int, list[str]]()

    async def work(number: int) -> None:
        results[number] = [(await agent.run(f"{number}-{turn}")).content for turn in range(50)]

    threads = [threading.Thread(target=asyncio.run, args=(work(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == {number: [f"{number}-{turn}" for turn in range(50)] for number in range(4)}
