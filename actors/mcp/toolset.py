"""The tools of an agent's servers, as pydantic_ai sees them."""

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Self

from pydantic_ai import RunContext
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.toolsets.abstract import ToolsetTool

from actors.mcp.server import McpServer
from actors.runtime.cell import System
from protocols.errors import ToolServerError

_MOST_TOOLS = 1_000
"""Tools of one server that are shown to a model."""

_PATIENCE = 5.0
"""Seconds that a run waits for the tools of a server whose tools are known."""

_log = logging.getLogger("understudy")

Tools = dict[str, ToolsetTool[Any]]


@dataclass(kw_only=True)
class _ServerTool(ToolsetTool[Any]):
    """A tool, and where it is called."""

    server: McpServer
    own: ToolsetTool[Any]
    """As the server names it."""


class McpTools(AbstractToolset[Any]):
    """Lists and calls the tools of servers through their actors.

    A server that is down is not in the way of a run: its tools are those that it had, and only a call waits for it. The
    servers' life is that of `held`, not that of the toolset, which pydantic_ai enters and leaves with every run.
    """

    def __init__(self, servers: Sequence[McpServer], *, timeout: float | None = None) -> None:
        """Take the servers, and the seconds that one call may take if that is less than a server allows."""
        self.servers = tuple(servers)
        self._prefixes = _prefixes(self.servers)
        self._timeout = math.inf if timeout is None else timeout
        self._known: dict[int, Tools] = {}

    @property
    def id(self) -> str | None:
        """None: it is told apart by its tools."""
        return None

    @property
    def label(self) -> str:
        """What errors call it."""
        return f"MCP servers {', '.join(server.name for server in self.servers)}"

    def held(self, system: System | None) -> list[AbstractAsyncContextManager[Any]]:
        """Return what a node enters while it is open: each server once, in an actor system or else the loop's own."""
        return [_Held(server, system) for server in self.servers]

    async def let_go(self) -> None:
        """Stop the servers that were started by a run of an agent that nobody has opened."""
        for server in self.servers:
            await server.link.let_go()

    # -- list -----------------------------------------------------------------------------------------------------

    async def get_tools(self, ctx: RunContext[Any]) -> Tools:
        """Return the tools that may be used. Names that two servers have get the name of their server before them.

        Raises:
            ToolServerError: a server could not be started, or is lost and was not there before.
        """
        found = await asyncio.gather(*(self._tools(server, ctx) for server in self.servers), return_exceptions=True)
        listed: list[Tools] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            listed.append(one)
        counts = Counter(name for tools in listed for name in tools)
        return {
            shown: self._shown(shown, server, tool)
            for server, prefix, tools in zip(self.servers, self._prefixes, listed, strict=True)
            for name, tool in tools.items()
            for shown in (f"{prefix}_{name}" if counts[name] > 1 else name,)
        }

    def _shown(self, name: str, server: McpServer, tool: ToolsetTool[Any]) -> _ServerTool:
        return _ServerTool(
            toolset=self,
            tool_def=replace(tool.tool_def, name=name),
            max_retries=tool.max_retries,
            args_validator=tool.args_validator,
            server=server,
            own=tool,
        )

    async def _tools(self, server: McpServer, ctx: RunContext[Any]) -> Tools:
        """Return the allowed tools of one server under its own names."""
        known = self._known.get(id(server))
        if known is not None and server.link.is_down:
            return known

        def listed(toolset: AbstractToolset[Any]) -> Awaitable[Tools]:
            return toolset.get_tools(ctx)

        try:
            tools = await server.link.call(listed, "the list of tools", math.inf if known is None else _PATIENCE)
        except ToolServerError:
            if known is None:
                raise
            return known
        allowed = {name: tool for name, tool in tools.items() if server.allows(name)}
        if known is None:
            _say_what_is_missing(server, tools)
        if len(allowed) > _MOST_TOOLS:
            text = (
                f"MCP server {server.name!r} has {len(allowed)} tools, and at most {_MOST_TOOLS} are shown; name some"
            )
            raise ToolServerError(text, server=server.name)
        self._known[id(server)] = allowed
        return allowed

    # -- call -----------------------------------------------------------------------------------------------------

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool. Cancelling this cancels the call on the server.

        Raises:
            ModelRetry: the tool failed, or did not answer in time; the model may try again.
            ToolServerError: the server was lost, and whether it has done the call is not known; or it is not there.
        """
        assert isinstance(tool, _ServerTool)
        own = tool.own

        def call(toolset: AbstractToolset[Any]) -> Awaitable[Any]:
            return toolset.call_tool(own.tool_def.name, tool_args, ctx, own)

        return await tool.server.link.call(call, f"tool {name!r}", self._timeout)


class _Held(AbstractAsyncContextManager["_Held"]):
    """A server that is open as long as one node is."""

    def __init__(self, server: McpServer, system: System | None) -> None:
        self._link = server.link
        self._system = system

    async def __aenter__(self) -> Self:
        await self._link.open(self._system)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._link.close()


def _prefixes(servers: Sequence[McpServer]) -> list[str]:
    """Return what goes before the tools of each server; servers of one name are numbered."""
    seen: Counter[str] = Counter()
    prefixes: list[str] = []
    for server in servers:
        name = re.sub(r"\W", "_", server.name)
        seen[name] += 1
        prefixes.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return prefixes


def _say_what_is_missing(server: McpServer, tools: Tools) -> None:
    missing = sorted((server.tools or frozenset()) - tools.keys())
    if missing:
        _log.warning("MCP server %s has no tool %s; it has %s", server.name, ", ".join(missing), ", ".join(tools))
