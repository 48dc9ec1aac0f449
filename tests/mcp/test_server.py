import sys
from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer
from pydantic_ai.toolsets import FunctionToolset

from actors.agents.agent import Agent
from actors.mcp.server import McpServer
from protocols.errors import ConfigError, MissingExtraError


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.mcp", None)

    with pytest.raises(MissingExtraError, match=r"agent 'a'.*understage\[mcp\]"):
        Agent("a", mcp_servers=["http://127.0.0.1:1/mcp"])


@pytest.mark.parametrize("target", ["server.py", [], [1], None, 5, b"x", {"a": 1}, Path("server.txt")])
def test_what_is_no_server_is_refused(target: object) -> None:
    with pytest.raises(ConfigError, match=r"agent 'a': an MCP server is "):
        Agent("a", mcp_servers=[target])


@pytest.mark.parametrize(("option", "value"), [("timeout", 0), ("timeout", float("nan")), ("tools", "read")])
def test_an_option_that_cannot_be_meant_is_refused(option: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"'x': {option}"):
        McpServer(["x"], **{option: value})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("https://tools.example.com:8443/mcp", "tools.example.com"),
        (Path("/srv/weather.py"), "weather"),
        (["uvx", "mcp-server-git"], "uvx"),
        (["python", "/srv/files.py", "--all"], "files"),
        (MCPServer("calc"), "calc"),
        (FunctionToolset[object](id="own"), "own"),
    ],
)
def test_a_server_without_a_name_is_called_after_what_it_is(target: object, name: str) -> None:
    assert McpServer(target).name == name


def test_secrets_of_a_server_are_in_no_repr() -> None:
    server = McpServer(["x"], env={"TOKEN": "s3cret"}, headers={"Authorization": "s3cret"})

    assert "s3cret" not in repr((server, vars(server), server.link.source))
