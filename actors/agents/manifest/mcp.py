"""From the servers of a manifest to `McpServer`: equal servers become one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.config.mcp_server import McpServerSpec
from actors.mcp.server import McpServer
from protocols.errors import MissingExtraError


class ServerBuilder:
    """Makes the servers of one manifest. Agents with the same server share it, each with its own allowed tools."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: dict[str, McpServer] = {}

    def build(self, specs: Sequence[McpServerSpec], agent: str) -> list[McpServer]:
        """Return the enabled servers of one agent.

        Raises:
            MissingExtraError: the library is not installed.
        """
        try:
            return [self._server(spec).only(spec.tools) for spec in specs if spec.enabled]
        except MissingExtraError as error:
            raise MissingExtraError(f"agent {agent!r}: {error}", node=agent) from error.__cause__

    def _server(self, spec: McpServerSpec) -> McpServer:
        env = {name: secret.get_secret_value() for name, secret in spec.env.items()}
        headers = {name: secret.get_secret_value() for name, secret in spec.headers.items()}
        key = repr((spec.model_dump(exclude={"tools", "enabled", "env", "headers"}), env, headers))
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._made_of(spec, env, headers)
        return made

    def _made_of(self, spec: McpServerSpec, env: dict[str, str], headers: dict[str, str]) -> McpServer:
        options: dict[str, Any] = {"name": spec.name, "timeout": spec.timeout, "env": env, "headers": headers}
        if spec.url is not None:
            return McpServer(spec.url, kind="sse" if spec.type == "sse" else "http", **options)
        cwd = self._root if spec.cwd is None else self._root / spec.cwd
        return McpServer([spec.command or "", *spec.args], cwd=str(cwd.absolute()), **options)
