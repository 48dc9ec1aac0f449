"""The place of a tool server, how to connect to it, and how the end of a connection is noticed between two calls.

Needs the extra ``mcp``, imported at the first use.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic_ai.toolsets import AbstractToolset

from actors.mcp.stderr import ErrorOutput
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
        transport = _watched(self._transport(output), on_end)
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


def _watched(transport: Any, on_end: Callable[[], None]) -> Any:
    """Return a transport of fastmcp that works like `transport` and reports the end of its stream.

    fastmcp's client checks its connection only when it is used, so the next call would find a dead server. The session
    reads all the time, so its stream reports the end at once: it calls `on_end`, once or more.
    """
    base: Any = import_module("fastmcp.client.transports.base")

    class WatchedTransport(base.ClientTransport):  # type: ignore[misc]  # the base is an optional library
        legacy_only = transport.legacy_only

        def connect_session(self, *, transport_options: Any = None, **session: Any) -> Any:
            options = transport_options or base.TransportOptions()
            session_class = options.session_class

            def watched(read_stream: Any, write_stream: Any, **keywords: Any) -> Any:
                return session_class(_WatchedStream(read_stream, on_end), write_stream, **keywords)

            return transport.connect_session(transport_options=replace(options, session_class=watched), **session)

        async def close(self) -> None:
            await transport.close()

    return WatchedTransport()


class _WatchedStream:
    """The stream that a session reads from; calls a function when the session has read its end and leaves it."""

    def __init__(self, stream: Any, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    def __aiter__(self) -> Any:
        return self._stream.__aiter__()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        self._on_end()
        return await self._stream.__aexit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # such as `last_context`, which some streams have
