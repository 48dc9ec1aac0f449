"""`McpServer`: a tool server (Model Context Protocol) that agents can share. Needs the extra ``mcp``."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic_ai.toolsets import AbstractToolset

from actors.mcp.client import McpClient
from actors.mcp.transport import McpSource, mcp_library
from protocols.errors import ConfigError, MissingExtraError

START_TIMEOUT = 30.0
CALL_TIMEOUT = 300.0


class McpServer:
    """A tool server, and the tools of it that may be used.

    One supervised actor owns the server. The first agent that opens or runs starts it, and the last one that closes
    stops it. A dead server is restarted with growing delays. Agents with the same object share the server.

    Example:
        ```python
        files = McpServer(["uvx", "mcp-server-files", "/data"], name="files", tools=["read", "list"], env={"TOKEN": t})
        async with Agent("reader", mcp_servers=[files]) as reader, Agent("lister", mcp_servers=[files]) as lister:
            ...
        ```
    """

    def __init__(  # noqa: PLR0913 - keywords, all of them optional
        self,
        target: object,
        *,
        name: str | None = None,
        tools: Sequence[str] | None = None,
        timeout: float | None = None,
        kind: Literal["http", "sse"] | None = None,
        headers: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        """Make a server. Nothing is started.

        Args:
            target: a URL; a command as a list, which is started without a shell; a `Path` of a Python or node script; a
                server in this process; a transport or client of fastmcp; or a toolset of pydantic_ai.
            name: for logs and errors, and the prefix of its tools if another server has a tool of the same name.
            tools: names of its tools that may be used; None for all.
            timeout: seconds that a start (30) or a call (300) may take; infinity for calls without a limit.
            kind: protocol of a URL; None is ``sse`` if its path ends so, else ``http``.
            headers: HTTP headers for a URL. Never logged.
            env: environment variables for a command or script. Never logged.
            cwd: working directory for a command or script.

        Raises:
            ConfigError: an argument cannot be used.
            MissingExtraError: the library is not installed.
        """
        self.name = name or _derived_name(target)
        """Name of the server."""
        _check(self.name, target, timeout, tools)
        if not isinstance(target, AbstractToolset):
            mcp_library(self.name)
        self.tools = None if tools is None else frozenset(tools)
        """The tools that may be used; None for all."""
        limited = timeout is None or math.isinf(timeout)
        self.link = McpClient(
            McpSource(
                self.name,
                target,
                kind=kind,
                env=dict(env or {}),
                cwd=cwd,
                headers=dict(headers or {}),
                start_timeout=START_TIMEOUT if limited else cast("float", timeout),
                call_timeout=CALL_TIMEOUT if timeout is None else timeout,
            )
        )
        """The life of the server."""

    def only(self, tools: Sequence[str] | None) -> Self:
        """Return the same shared server with other tools that may be used; None for all."""
        limited = copy.copy(self)
        limited.tools = None if tools is None else frozenset(tools)
        return limited

    def __repr__(self) -> str:
        return f"<McpServer {self.name!r}>"


def mcp_servers(given: Sequence[object], agent: str) -> list[McpServer]:
    """Return the servers that an agent was given.

    Raises:
        ConfigError: a value is not a server.
        MissingExtraError: the library is not installed.
    """
    servers: list[McpServer] = []
    for one in given:
        try:
            server = one if isinstance(one, McpServer) else McpServer(one)
        except (ConfigError, MissingExtraError) as error:
            raise type(error)(f"agent {agent!r}: {error}", node=agent) from error.__cause__
        servers.append(server)
    return servers


_CHECKS: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda target: not isinstance(target, str) or "://" in target, "a URL, a Path of a script or a command as a list"),
    (lambda target: not _is_command(target) or bool(target), "a command with at least its program"),
    (lambda target: not _is_command(target) or all(isinstance(one, str) for one in target), "a command of texts"),
    (lambda target: not isinstance(target, PurePath) or target.suffix in (".py", ".js"), "a Path of a .py or .js file"),
    (lambda target: target is not None and not isinstance(target, int | float | bytes | Mapping), "a server"),
)


def _check(name: str, target: Any, timeout: float | None, tools: Sequence[str] | None) -> None:
    for is_good, wanted in _CHECKS:
        if not is_good(target):
            raise ConfigError(f"an MCP server is {wanted}, not {target!r}")
    if timeout is not None and not timeout > 0:
        raise ConfigError(f"MCP server {name!r}: timeout must be seconds > 0, not {timeout!r}")
    if isinstance(tools, str):
        raise ConfigError(f"MCP server {name!r}: tools must be a list of names, not {tools!r}")


def _is_command(target: object) -> bool:
    return isinstance(target, list | tuple)


def _derived_name(target: object) -> str:
    """Return the name of a server without a given name: its host, script, program, or own name."""
    if isinstance(target, str):
        return urlsplit(target).hostname or "mcp"
    if isinstance(target, PurePath):
        return target.stem or "mcp"
    if isinstance(target, list | tuple) and target:
        words = [PurePath(str(word)) for word in cast("Sequence[object]", target)]
        script = next((word for word in words if word.suffix in (".py", ".js")), words[0])
        return script.stem or "mcp"
    other = cast("Any", target)
    own: object = getattr(other, "name", None) or getattr(other, "id", None)
    return own if isinstance(own, str) and own.strip() else "mcp"
