"""Servers of tools (Model Context Protocol) as toolsets. Needs the extra ``mcp``, which is imported on first use."""

from pathlib import PurePath
from typing import Any, TypeGuard, cast

from pydantic_ai.toolsets import AbstractToolset

from protocols.errors import ConfigError, MissingExtraError


def mcp_toolset(server: object, agent: str) -> AbstractToolset[Any]:
    """Return the tools of a server as a toolset; it connects when it is entered.

    Args:
        server: a toolset (returned as it is), a URL, the path of a script, or an in-process server.
        agent: whom an error is about.

    Raises:
        MissingExtraError: the library is not installed.
        ConfigError: the server cannot be used.
    """
    if _is_toolset(server):
        return server
    if isinstance(server, str) and "://" not in server:
        msg = f"agent {agent!r}: an MCP server is a URL or a Path of a script, not {server!r}"
        raise ConfigError(msg)
    try:
        from pydantic_ai.mcp import MCPToolset
    except ImportError as error:
        text = f'agent {agent!r}: MCP servers need a library that is not installed: pip install "understudy[mcp]"'
        raise MissingExtraError(text, node=agent) from error
    client: Any = server if isinstance(server, str | PurePath) else cast("Any", server)
    return MCPToolset(client)


def _is_toolset(server: object) -> TypeGuard[AbstractToolset[Any]]:
    return isinstance(server, AbstractToolset)
