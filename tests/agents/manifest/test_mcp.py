"""Servers of tools in a manifest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.manifest.agent import AgentBuilder
from actors.agents.model_run import ModelRun
from actors.app import AgentPool
from actors.config.load import parse_manifest
from actors.mcp.toolset import McpTools
from actors.testing.models import scripted_model
from protocols.errors import MissingExtraError, NodeStartError
from tests.mcp.servers import SCRIPT, children, http_server
from tests.runs.tool_answer import call

if TYPE_CHECKING:
    from pathlib import Path

    from actors.agents.agent import Agent
    from actors.config.manifest import Manifest
    from actors.mcp.server import McpServer

COMMAND = f"{sys.executable} {SCRIPT}"


async def result_of(agent: Agent[Any, Any], tool: str, **args: object) -> Any:
    answer = await agent.run("x", model=scripted_model([call(tool, **args), "done"]))
    return answer.tool_calls[0].result


def servers_of(text: str, agent: str = "a") -> tuple[McpServer, ...]:
    execution = AgentBuilder(parse_manifest(text)).definition(agent).execution
    assert isinstance(execution, ModelRun)
    return next((one.servers for one in execution.toolsets if isinstance(one, McpTools)), ())


async def test_agents_of_a_pool_share_its_servers_and_each_has_its_own_tools() -> None:
    text = f"""
        mcp_servers: [{{command: "{sys.executable}", args: ["{SCRIPT}"], tools: [process]}}]
        agents:
          one: {{model: offline}}
          two:
            model: offline
            mcp_servers: [{{command: "{sys.executable}", args: ["{SCRIPT}"], tools: [add]}}]
        """
    model = scripted_model(["done"])
    async with AgentPool[None](parse_manifest(text)) as pool:
        pids = [await result_of(pool.get_agent(name), "process") for name in ("one", "two")]
        assert pids == children() * 2
        await pool.get_agent("two").run("x", model=model)

    assert {tool.name for tool in model.requests[0].info.function_tools} == {"process", "add"}
    assert children() == []


async def test_a_server_of_a_manifest_is_started_without_a_shell_with_its_variables_in_the_manifests_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_TOKEN", "x")
    path = tmp_path / "agents.yml"
    (tmp_path / "server.py").write_text(SCRIPT.read_text())
    path.write_text(f"""
agents:
  a:
    model: offline
    mcp_servers: [{{command: "{sys.executable}", args: [server.py, "; touch x"], env: {{THEIRS: "$OUR_TOKEN `id`"}}}}]
""")
    async with AgentPool[None](path) as pool:
        variables: list[str] = await result_of(pool.get_agent("a"), "variables")

    assert "THEIRS=$OUR_TOKEN `id`" in variables
    assert not [line for line in variables if line.startswith("OUR_TOKEN")]
    assert not (tmp_path / "x").exists()


async def test_a_reload_gives_an_agent_other_tools_and_leaves_one_process() -> None:
    def manifest(tools: str) -> Manifest:
        server = f'{{command: "{sys.executable}", args: ["{SCRIPT}"], tools: [{tools}]}}'
        return parse_manifest(f"agents: {{a: {{model: offline, mcp_servers: [{server}]}}, b: {{model: offline}}}}")

    model = scripted_model(["done"])
    async with AgentPool[None](manifest("process")) as pool:
        agent = pool.get_agent("a")
        first = await result_of(agent, "process")
        await pool.reload(manifest("process, add"))
        second = await result_of(agent, "process")
        await agent.run("x", model=model)
        assert children() == [second] != [first]

    assert {tool.name for tool in model.requests[0].info.function_tools} == {"process", "add"}
    assert children() == []


async def test_a_server_of_a_manifest_is_called_over_http() -> None:
    async with http_server() as server:
        text = f"agents: {{a: {{model: offline, mcp_servers: ['{server.url}']}}}}"
        async with AgentPool[None](parse_manifest(text)) as pool:
            assert await result_of(pool.get_agent("a"), "add", a=1, b=2) == 3


async def test_a_server_that_cannot_start_names_its_agent_and_ends_the_pool() -> None:
    text = "agents: {a: {mcp_servers: [{command: no-such-program, name: files}]}, b: {model: offline}}"

    with pytest.raises(NodeStartError, match=r"'a'.*MCP server 'files' could not be started"):
        async with AgentPool[None](parse_manifest(text)):
            pass


def test_what_a_manifest_says_of_a_server_is_what_it_gets() -> None:
    (one,) = servers_of("""
        agents:
          a:
            mcp_servers:
              - {url: "http://localhost:1/x", type: sse, name: web, headers: {Key: abc}, timeout: 7s, enabled_tools: t}
              - {command: unused, enabled: false}
        """)

    source = one.link.source
    assert (one.name, source.target, source.kind, source.headers) == (
        "web",
        "http://localhost:1/x",
        "sse",
        {"Key": "abc"},
    )
    assert (source.start_timeout, source.call_timeout, one.tools) == (7.0, 7.0, frozenset({"t"}))


def test_servers_that_differ_in_a_secret_are_two() -> None:
    text = "agents: {a: {mcp_servers: [{command: x, env: {K: one}}, {command: x, env: {K: two}}, {command: x}]}}"

    assert len({server.link for server in servers_of(text)}) == 3


def test_a_server_may_take_for_ever_but_not_to_start() -> None:
    (server,) = servers_of("agents: {a: {mcp_servers: [{command: x, timeout: forever}]}}")

    assert (server.link.source.start_timeout, server.link.source.call_timeout) == (30.0, float("inf"))


def test_without_the_library_the_agent_and_the_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.mcp", None)

    with pytest.raises(MissingExtraError, match=r"agent 'a'.*understage\[mcp\]"):
        servers_of(f"agents: {{a: {{mcp_servers: ['{COMMAND}']}}}}")
