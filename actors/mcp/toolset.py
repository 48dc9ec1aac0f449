"""The tools of an agent's servers, as a toolset of pydantic_ai."""

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.toolsets.abstract import ToolsetTool

from actors.mcp.server import McpServer
from actors.runtime.cell import System
from protocols.errors import ToolServerError
from protocols.tool_name import free_name, tool_name

_MOST_TOOLS = 1_000
"""Largest number of tools of one server that a model is shown."""

_PATIENCE = 5.0
"""Seconds that a run waits for the tools of a server with known tools."""

_log = logging.getLogger("understage")

Tools = dict[str, ToolsetTool[Any]]


@dataclass(kw_only=True)
class _ServerTool(ToolsetTool[Any]):
    """A tool and its server."""

    server: McpServer
    own: ToolsetTool[Any]
    """The tool under the name that the server gives it."""


class McpTools(AbstractToolset[Any]):
    """Lists and calls the tools of servers through their actors.

    A run does not wait for a server that is down: it sees the last known tools, and only a call waits. `held` opens and
    closes the servers, not the toolset, which pydantic_ai enters and leaves with every run.
    """

    def __init__(self, servers: Sequence[McpServer], *, timeout: float | None = None) -> None:
        self.servers = tuple(servers)
        self._prefixes = _prefixes(self.servers)
        self._timeout = math.inf if timeout is None else timeout
        self._known: dict[int, Tools] = {}

    @property
    def id(self) -> str | None:
        """None: its tools identify the toolset."""
        return None

    @property
    def label(self) -> str:
        """Name of the toolset in errors."""
        return f"MCP servers {', '.join(server.name for server in self.servers)}"

    def held(self, system: System | None) -> list[AbstractAsyncContextManager[Any]]:
        """Return what a node enters while it is open: each server, in an actor system or in that of the loop."""
        return [server.link.held(system) for server in self.servers]

    async def let_go(self) -> None:
        """Stop the servers without holders, which runs of a closed agent have started."""
        for server in self.servers:
            await server.link.let_go()

    # -- list -----------------------------------------------------------------------------------------------------

    async def get_tools(self, ctx: RunContext[Any]) -> Tools:
        """Return the tools that may be used. The name of the server precedes names that two servers share.

        Raises:
            ToolServerError: a server could not be started, or is lost and has no known tools.
        """
        found = await asyncio.gather(*(self._tools(server, ctx) for server in self.servers), return_exceptions=True)
        listed: list[Tools] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            listed.append(one)
        counts = Counter(name for tools in listed for name in {tool_name(name) for name in tools})
        made: Tools = {}
        for server, prefix, tools in zip(self.servers, self._prefixes, listed, strict=True):
            for name, tool in tools.items():
                wanted = f"{prefix}_{name}" if counts[tool_name(name)] > 1 else name
                shown = free_name(tool_name(wanted), made)
                made[shown] = _ServerTool(
                    toolset=self,
                    tool_def=replace(tool.tool_def, name=shown),
                    max_retries=tool.max_retries,
                    args_validator=tool.args_validator,
                    server=server,
                    own=tool,
                )
        return made

    async def _tools(self, server: McpServer, ctx: RunContext[Any]) -> Tools:
        """Return the allowed tools of one server under its own names."""
        known = self._known.get(id(server))
        if known is not None and server.link.is_down:
            return known
        try:
            tools: Tools = await server.link.call(
                lambda toolset: toolset.get_tools(ctx), "the list of tools", math.inf if known is None else _PATIENCE
            )
        except ToolServerError:
            if known is None:
                raise
            return known
        allowed = {name: tool for name, tool in tools.items() if server.tools is None or name in server.tools}
        if known is None and (missing := sorted((server.tools or frozenset()) - tools.keys())):
            _log.warning("MCP server %s has no tool %s; it has %s", server.name, ", ".join(missing), ", ".join(tools))
        if len(allowed) > _MOST_TOOLS:
            raise server.link.source.error(f" has {len(allowed)} tools, and at most {_MOST_TOOLS} are shown; name some")
        self._known[id(server)] = allowed
        return allowed

    # -- call -----------------------------------------------------------------------------------------------------

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool. Cancelling this cancels the call on the server.

        Raises:
            ModelRetry: the tool failed, or did not answer in time; the model may try again.
            ToolServerError: the server is down, or was lost during the call, which it may or may not have done.
        """
        assert isinstance(tool, _ServerTool)
        own = tool.own
        return await tool.server.link.call(
            lambda toolset: toolset.call_tool(own.tool_def.name, tool_args, ctx, own), f"tool {name!r}", self._timeout
        )


def _prefixes(servers: Sequence[McpServer]) -> list[str]:
    """Return the prefix of each server. Servers of one name are numbered."""
    seen: Counter[str] = Counter()
    prefixes: list[str] = []
    for server in servers:
        name = re.sub(r"\W", "_", server.name)
        seen[name] += 1
        prefixes.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return prefixes
