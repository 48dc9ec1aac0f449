"""The place of a tool server, and how to connect to it. Needs the extra ``mcp``, imported at the first use."""

import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pydantic_ai.toolsets import AbstractToolset

from actors.mcp.stderr import ErrorOutput
from actors.mcp.watched_stream import watched_session
from protocols.errors import MissingExtraError, ToolServerError


@dataclass(frozen=True, slots=True, eq=False)
class McpSource:
    """How a server is reached: an address, a command, a script, an object in this process, or a ready toolset."""

    name: str
    """Name of the server in logs, errors and the supervision tree."""
    target: Any = field(repr=False)
    """A URL, a command as a list, the path of a script, an in-process server, a transport, a client or a toolset."""
    _: KW_ONLY
    kind: Literal["http", "sse"] | None = None
    """Protocol of a URL; None derives it from the URL."""
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Environment variables of a started server, in addition to a few harmless ones of this process (see docs)."""
    cwd: str | None = None
    """Working directory of a started server."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """HTTP headers for a URL."""
    start_timeout: float = 30.0
    """Seconds that connecting may take, the start of the server included."""
    call_timeout: float = 300.0
    """Seconds that a call or a list of tools may take, waiting for a restart included."""

    def error(self, problem: object) -> ToolServerError:
        """Return an error that names the server."""
        return ToolServerError(f"MCP server {self.name!r}{problem}", server=self.name)

    @asynccontextmanager
    async def connected(self, on_end: Callable[[], None]) -> AsyncGenerator[AbstractToolset[Any]]:
        """Connect, and disconnect at the end. A server that was started here is stopped before this returns.

        Args:
            on_end: called, once or more, when the connection ends by itself.

        Raises:
            ToolServerError: the server cannot be reached or started; the cause is chained.
        """
        async with ErrorOutput(self.name, (*self.env.values(), *self.headers.values())) as output:
            try:
                if isinstance(self.target, PurePath | list | tuple):
                    await output.open()
                toolset = self._toolset(output, on_end)
                await toolset.__aenter__()
            except Exception as error:
                text = output.clean(str(error) or type(error).__name__)
                said = await output.tail()
                raise self.error(f" could not be started: {text}{f'; it said: {said}' if said else ''}") from error
            try:
                yield toolset
            finally:
                await _leave(toolset)

    def _toolset(self, output: ErrorOutput, on_end: Callable[[], None]) -> AbstractToolset[Any]:
        """Make the toolset of a new connection. A given toolset is used again."""
        if isinstance(self.target, AbstractToolset):
            return cast("AbstractToolset[Any]", self.target)  # type: ignore[redundant-cast] # pyright wants it
        make: Callable[..., AbstractToolset[Any]] = mcp_library(self.name).MCPToolset
        target: Any = self.target
        if isinstance(target, import_module("fastmcp.client").Client):
            return make(target, id=self.name)
        transport = watched_session(self._transport(output), on_end)
        return make(transport, id=self.name, init_timeout=self.start_timeout, read_timeout=self.call_timeout)

    def _transport(self, output: ErrorOutput) -> Any:
        transports: Any = import_module("fastmcp.client.transports")
        target = self.target
        if isinstance(target, str):
            is_sse = self.kind == "sse" or (self.kind is None and urlsplit(target).path.rstrip("/").endswith("/sse"))
            make = transports.SSETransport if is_sse else transports.StreamableHttpTransport
            return make(target, headers=dict(self.headers))
        if isinstance(target, PurePath):
            target = (sys.executable if target.suffix == ".py" else "node", str(Path(target).absolute()))
        if isinstance(target, list | tuple):
            command, *args = cast("Sequence[str]", target)
            return transports.StdioTransport(
                command, args, env=dict(self.env), cwd=self.cwd, keep_alive=False, log_file=output.file
            )
        return import_module("fastmcp.client.transports.inference").infer_transport(target)


def mcp_library(server: str) -> Any:
    """Return pydantic_ai's module for tool servers.

    Raises:
        MissingExtraError: the library is not installed.
    """
    try:
        return import_module("pydantic_ai.mcp")
    except ImportError as error:
        message = f'MCP server {server!r} needs a library that is not installed: pip install "understage[mcp]"'
        raise MissingExtraError(message) from error


async def _leave(toolset: AbstractToolset[Any]) -> None:
    try:
        await toolset.__aexit__(None, None, None)
    finally:
        client: Any = getattr(toolset, "client", None)
        # A transport that the user made may keep its server running between two connections.
        if client is not None and not getattr(toolset, "is_running", True):
            await client.transport.close()
