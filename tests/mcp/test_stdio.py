import asyncio
import gc
import os
import signal
import sys
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.mcp.server import McpServer
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.leak import Census
from actors.testing.models import scripted_model
from protocols.errors import NodeStartError, RunTimeoutError, ToolServerError
from protocols.events import ActorCrashed, ActorStopped, ChildRestarted
from tests.mcp.servers import SCRIPT, children, listener, script_server
from tests.runs.tool_answer import call


def agent_with(*servers: object, script: list[Any] | None = None, **settings: Any) -> Agent:
    model = scripted_model(script) if script is not None else None
    return Agent("boss", model=model, mcp_servers=servers, **settings)


async def result_of(agent: Agent, tool: str, **args: object) -> Any:
    answer = await agent.run("x", model=scripted_model([call(tool, **args), "done"]))
    return answer.tool_calls[0].result


async def killed(pid: int) -> None:
    """Kill a server and wait until its actor knows."""
    system, crashed = ActorSystem.of(asyncio.get_running_loop()), asyncio.Event()

    def note(_: object) -> None:
        crashed.set()

    subscription = system.events.subscribe(note, [ActorCrashed])
    os.kill(pid, signal.SIGKILL)
    await crashed.wait()
    system.events.remove(subscription)


async def test_a_tool_is_called_through_a_run() -> None:
    model = scripted_model([call("add", a=1, b=2), "done"])
    async with Agent("boss", model=model, mcp_servers=[SCRIPT]) as agent:
        answer = await agent.run("x")

    tool = answer.tool_calls[0]
    assert (answer.content, tool.tool_name, tool.args, tool.result) == ("done", "add", {"a": 1, "b": 2}, 3)
    offered = {tool.name: tool.description for tool in model.requests[0].info.function_tools}
    assert offered["add"] == "Add two numbers."


async def test_leaving_ends_the_process_and_leaves_nothing_behind() -> None:
    async with agent_with(script_server()) as agent:  # the first one loads the libraries
        await result_of(agent, "process")
    before = Census.take()

    async with agent_with(script_server()) as agent:
        pid = await result_of(agent, "process")
        assert pid in children()

    assert pid not in children()
    assert before.leaks() == []


async def test_a_killed_server_is_back_for_the_next_call() -> None:
    async with agent_with(script_server()) as agent:
        first = await result_of(agent, "process")

        await killed(first)
        second = await result_of(agent, "process")

        assert second != first
        assert children() == [second]


async def test_a_call_fails_with_the_name_of_the_server_when_it_is_killed_meanwhile() -> None:
    async with listener() as hears, agent_with(script_server()) as agent:
        run = asyncio.create_task(result_of(agent, "hang", port=hears.port))
        os.kill(await hears.started(), signal.SIGKILL)

        with pytest.raises(ToolServerError, match=r"'calc'.*lost during tool 'hang': .*Connection closed") as caught:
            await run
        assert (caught.value.server, type(caught.value.__cause__).__name__) == ("calc", "MCPError")
        assert await result_of(agent, "add", a=1, b=2) == 3


async def test_a_cancelled_run_cancels_its_call_on_the_server() -> None:
    async with listener() as hears, agent_with(script_server()) as agent:
        run = asyncio.create_task(result_of(agent, "hang", port=hears.port))
        pid = await hears.started()

        run.cancel()

        assert await hears.lines.get() == "cancelled"
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await result_of(agent, "process") == pid


async def test_the_time_of_a_run_ends_its_call_on_the_server(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    async with listener() as hears:
        agent = agent_with(script_server())
        actor_system.start(agent.factory())
        async with agent:
            model = scripted_model([call("hang", port=hears.port)])
            run = asyncio.create_task(agent.run("x", model=model, timeout=5))
            await hears.started()

            await manual_clock.advance(5)

            with pytest.raises(RunTimeoutError):
                await run
            assert await hears.lines.get() == "cancelled"


async def test_a_call_without_an_answer_in_time_is_told_to_the_model(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    async with listener() as hears:
        agent = agent_with(script_server(timeout=60), tool_timeout=7)
        actor_system.start(agent.factory())
        async with agent:
            model = scripted_model([call("hang", port=hears.port), "I gave up"])
            run = asyncio.create_task(agent.run("x", model=model))
            await hears.started()

            await manual_clock.advance(7)

            assert (await run).content == "I gave up"
            assert await hears.lines.get() == "cancelled"
            assert "no answer within 7 s" in str(model.requests[1].messages[-1])


async def test_calls_of_one_server_go_on_at_the_same_time() -> None:
    async with listener() as hears, agent_with(script_server(), session=False) as agent:
        runs = [asyncio.create_task(result_of(agent, "hang", port=hears.port)) for _ in range(3)]

        assert len({await hears.started() for _ in runs}) == 1

        assert await result_of(agent, "add", a=1, b=2) == 3
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)


async def test_agents_share_a_server_until_the_last_is_closed() -> None:
    server = script_server()
    one, two = Agent("one", mcp_servers=[server]), Agent("two", mcp_servers=[server.only(["process"])])
    await one.open()
    async with two:
        pids = await asyncio.gather(result_of(one, "process"), result_of(two, "process"))
        await one.close()
        assert children() == [pids[0]] == [await result_of(two, "process")]

    assert pids[0] == pids[1]
    assert children() == []


async def test_an_agent_that_is_not_opened_starts_its_server_with_its_first_run() -> None:
    agent = agent_with(script_server())
    assert children() == []

    pid = await result_of(agent, "process")
    assert await result_of(agent, "process") == pid

    await agent.close()
    assert children() == []


async def test_the_server_of_an_agent_that_nobody_holds_any_more_ends() -> None:
    ended = asyncio.Event()

    def note(event: ActorStopped) -> None:
        if event.actor == "mcp:calc":
            ended.set()

    ActorSystem.of(asyncio.get_running_loop()).events.subscribe(note, [ActorStopped])
    agent = agent_with(script_server())
    await result_of(agent, "process")

    del agent
    gc.collect()
    await ended.wait()

    assert children() == []


@pytest.mark.parametrize("parallel", [True, False])
async def test_a_server_that_cannot_start_is_named_with_what_it_said(parallel: bool) -> None:
    broken = McpServer([sys.executable, str(SCRIPT), "--broken"], name="files", env={"TOKEN": "s3cret-word"})

    with pytest.raises(NodeStartError, match=r"'boss'.*MCP server 'files' could not be started") as caught:
        await agent_with(script_server(), broken, parallel_init=parallel).open()

    assert "no licence for ***" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ToolServerError)
    assert children() == []


async def test_a_server_that_does_not_want_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.01)
    monkeypatch.setattr("mcp.client.stdio.FORCE_KILL_TIMEOUT", 0.01)
    async with agent_with(McpServer([sys.executable, str(SCRIPT), "--stubborn"])) as agent:
        assert await result_of(agent, "process") in children()

    assert children() == []


@pytest.mark.parametrize("parallel", [True, False])
async def test_a_server_that_says_nothing_is_given_up_after_its_time(
    parallel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.01)
    silent = McpServer(["sleep", "1000"], timeout=0.05)

    with pytest.raises(NodeStartError, match=r"'boss'.*MCP server 'sleep' could not be started"):
        await agent_with(silent, parallel_init=parallel).open()

    assert children() == []


async def test_a_start_that_is_cancelled_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 0.01)
    first, second = McpServer(["sleep", "1000"]), McpServer(["no-such-program"])

    with pytest.raises(NodeStartError, match="'no-such-program'"):
        await agent_with(first, second).open()

    assert children() == []


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(NodeStartError, match=r"'boss'.*MCP server 'no-such-program'.*No such file"):
        await agent_with(McpServer(["no-such-program"])).open()


async def test_a_server_gets_the_variables_that_it_is_given_and_no_secrets_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUR_TOKEN", "x")
    async with agent_with(script_server(env={"THEIR_TOKEN": "$(id)"})) as agent:
        variables: list[str] = await result_of(agent, "variables")

    assert "THEIR_TOKEN=$(id)" in variables
    names = {line.partition("=")[0] for line in variables}
    assert names <= {"THEIR_TOKEN", "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LC_CTYPE"}


async def test_a_server_is_the_child_of_a_supervisor_of_its_own_in_the_system_of_its_agent(
    actor_system: ActorSystem,
) -> None:
    restarts: list[tuple[str, str]] = []
    again = asyncio.Event()

    def note(event: ChildRestarted) -> None:
        restarts.append((event.actor, event.child))
        again.set()

    actor_system.events.subscribe(note, [ChildRestarted])
    agent = agent_with(script_server())
    actor_system.start(agent.factory())
    async with agent:
        os.kill(await result_of(agent, "process"), signal.SIGKILL)
        await again.wait()
        tree = {root.name: [child.name for child in root.children] for root in actor_system.tree()}

    assert restarts == [("mcp:calc", "calc")]
    assert tree == {"boss": [], "mcp:calc": ["calc"]}
