"""Restarts of a server of tools, with a server that dies when a test says so."""

import asyncio
from typing import Any, Self

import pytest
from pydantic_ai.toolsets import FunctionToolset

from actors.agents.agent import Agent
from actors.mcp.server import McpServer
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.models import scripted_model
from actors.testing.settle import settle
from protocols.errors import ToolServerError
from tests.runs.tool_answer import call


class Transport:
    async def close(self) -> None:
        pass


class Client:
    """What says that a toolset has a connection that can be lost."""

    transport = Transport()


class Flaky(FunctionToolset[Any]):
    """A server that is down or up, as a test says; a call finds out that it is down."""

    def __init__(self) -> None:
        super().__init__([self.work], id="flaky")
        self.client = Client()
        self.is_running = True
        self.is_up = True
        self.entered = 0
        self.left = 0
        self.started = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def work(self) -> str:
        """Work."""
        self.started.set()
        await self.goes_on.wait()
        if not self.is_up:
            text = "broken pipe"
            raise OSError(text)
        return "done"

    async def __aenter__(self) -> Self:
        self.entered += 1
        if not self.is_up:
            text = "refused"
            raise OSError(text)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left += 1


@pytest.fixture
async def server() -> Flaky:
    return Flaky()


@pytest.fixture
async def flaky(server: Flaky) -> McpServer:
    return McpServer(server, timeout=20)


@pytest.fixture
async def agent(flaky: McpServer, actor_system: ActorSystem, manual_clock: ManualClock) -> Agent:
    agent = Agent("boss", mcp_servers=[flaky])
    actor_system.start(agent.factory())
    return agent


def model() -> Any:
    return scripted_model([call("work"), "fine"])


async def lose(agent: Agent, server: Flaky) -> None:
    server.is_up = False
    with pytest.raises(ToolServerError, match="'flaky': the connection was lost during tool 'work': broken pipe"):
        await agent.run("x", model=model())


async def test_a_server_that_stays_away_is_tried_again_for_ever_and_harms_nobody(
    agent: Agent, server: Flaky, actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    async with agent:
        await lose(agent, server)
        for _ in range(200):
            await manual_clock.advance(30)
        tried = server.entered
        server.is_up = True
        await manual_clock.advance(30)

        assert (await agent.run("x", model=model())).content == "fine"
        assert [node.restarts for node in actor_system.tree() if node.name == "boss"] == [0]

    assert tried > 150
    assert server.left == 2


async def test_a_run_goes_on_without_a_server_that_is_away_and_only_its_tools_fail(
    agent: Agent, server: Flaky, manual_clock: ManualClock
) -> None:
    quiet = scripted_model(["I need no tool"])
    async with agent:
        await lose(agent, server)

        assert (await agent.run("x", model=quiet)).content == "I need no tool"
        assert [tool.name for tool in quiet.requests[0].info.function_tools] == ["work"]

        run = asyncio.create_task(agent.run("x", model=model()))
        await manual_clock.advance(20)
        with pytest.raises(ToolServerError, match="'flaky' is being restarted, and was not back within 20 s"):
            await run


async def test_a_call_waits_for_the_restart(
    agent: Agent, server: Flaky, actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    async with agent:
        await lose(agent, server)
        run = asyncio.create_task(agent.run("x", model=model()))
        await settle(actor_system)
        server.is_up = True

        await manual_clock.advance(1)

        assert (await run).content == "fine"


async def test_stopping_a_server_that_is_away_takes_no_time(agent: Agent, server: Flaky) -> None:
    async with agent:
        await lose(agent, server)

    assert (server.entered, server.left) == (1, 1)


async def test_a_call_may_end_when_the_whole_system_is_closed(
    agent: Agent, server: Flaky, actor_system: ActorSystem
) -> None:
    await agent.open()
    server.goes_on.clear()
    run = asyncio.create_task(agent.run("x", model=model()))
    await server.started.wait()

    closing = asyncio.create_task(actor_system.close())
    await asyncio.sleep(0)
    server.goes_on.set()
    await closing

    assert (await run).content == "fine"
    await agent.close()


async def test_a_call_that_does_not_end_is_cancelled_when_the_server_stops(
    flaky: McpServer, agent: Agent, server: Flaky, manual_clock: ManualClock
) -> None:
    async with agent:
        server.goes_on.clear()
        run = asyncio.create_task(agent.run("x", model=model()))
        await server.started.wait()
        closing = asyncio.create_task(flaky.link.close())

        await manual_clock.advance(5)

        with pytest.raises(ToolServerError, match="'flaky': the connection was lost during tool 'work'"):
            await run
        await closing
