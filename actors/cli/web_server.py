"""`understage watch --health`, `--metrics` and `--dashboard`: servers, of this machine only unless they name a host."""

import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from importlib import import_module
from ipaddress import ip_address
from socket import socket
from typing import Any, Final, Literal

from actors.cli.exit_code import fail
from actors.cli.redaction import RedactedStream
from actors.pool.pool import AgentPool

Option = Literal["health", "metrics", "dashboard"]
Serve = Callable[[AgentPool[Any]], AbstractAsyncContextManager[None]]
"""Serves something of a pool until the end of a block."""
HOST: Final = "127.0.0.1"
"""Where a server listens unless its option names a host."""
TOKEN_VARIABLE: Final = "UNDERSTAGE_DASHBOARD_TOKEN"
"""Environment variable with the token of the dashboard. Without it a new token is made, and written."""
_MOST: Final = 65_535
_NEEDED: Final[Mapping[Option, tuple[str, str]]] = {
    "health": ("actors.web", "web"),
    "metrics": ("actors.telemetry.prometheus", "prometheus,web"),
    "dashboard": ("actors.dashboard", "web"),
}
"""The room that an option needs, and the extras of the room."""


@contextmanager
def web_servers(addresses: Mapping[Option, str | None]) -> Generator[Serve]:
    """Take addresses before the pool opens, until the end of the block; options with the same one share a server.

    Raises:
        CommandError: an extra is not installed, or an address cannot be used.
    """
    endpoints: dict[str, _Endpoint] = {}
    with ExitStack() as stack:
        for option, address in addresses.items():
            if address is not None:
                _need(option)
                if address not in endpoints:
                    endpoints[address] = _Endpoint(option, address)
                    stack.enter_context(endpoints[address].opened)
                endpoints[address].add(option)
        yield partial(_served, list(endpoints.values()))


@asynccontextmanager
async def _served(endpoints: list["_Endpoint"], pool: AgentPool[Any]) -> AsyncGenerator[None]:
    async with AsyncExitStack() as stack:
        for endpoint in endpoints:
            await stack.enter_async_context(endpoint.served(pool))
        yield


def _need(option: Option) -> None:
    room, extra = _NEEDED[option]
    try:
        import_module("actors.http")
        import_module(room)
    except ImportError as error:
        fail(f"--{option} needs {error.name}, which is not installed: pip install 'understage[{extra}]'")


class _Endpoint:
    """A socket that listens, and the options that it serves."""

    def __init__(self, option: Option, address: str) -> None:
        from actors.http import bind

        host, separator, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if bool(separator) > bool(host) or not (port.isascii() and port.isdigit() and int(port) <= _MOST):
            example = f"--{option} 8080 or --{option} 0.0.0.0:8080"
            fail(f"--{option} {address}: that is no port from 0 to {_MOST}, alone or after a host, as in {example}")
        self._hosts = [host] if host and not _is_address(host) else []
        try:
            self.opened: socket = bind(host or HOST, int(port))
        except OSError as error:
            fail(f"--{option} {address}: the port cannot be used: {error}")
        shown = f"[{host}]" if ":" in host else host or HOST
        self._url = f"http://{shown}:{self.opened.getsockname()[1]}"
        self._token = os.environ.get(TOKEN_VARIABLE, "").strip() or None
        self._options: list[Option] = []

    def add(self, option: Option) -> None:
        """Serve an option as well."""
        self._options.append(option)
        if option == "dashboard":
            from actors.dashboard.guard import check_token

            try:
                self._token = self._token and check_token(self._token)
            except ValueError as error:
                fail(f"{TOKEN_VARIABLE}: {error}")
        else:
            _tell(f"understage: {option} on {self._url}/{'health/ready' if option == 'health' else option}\n")

    def served(self, pool: AgentPool[Any]) -> AbstractAsyncContextManager[object]:
        """Serve the options of a pool until the end of a block."""
        from actors.http import application, running_server

        routes: list[Any] = []
        rest: Any = None
        if "health" in self._options:
            from actors.web import health_routes

            routes += health_routes(pool, hosts=self._hosts)
        if "metrics" in self._options:
            from actors.web import metrics_routes

            routes += metrics_routes(pool, hosts=self._hosts)
        if "dashboard" in self._options:
            from actors.dashboard import dashboard

            rest = dashboard(pool, token=self._token, hosts=self._hosts)
            shown = f"${TOKEN_VARIABLE}" if self._token else rest.state.token
            _tell(f"understage: dashboard on {self._url}/?token={shown}\n")
        return running_server(application(routes, rest), self.opened, grace=1)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _tell(line: str) -> None:
    """Write a line with a token to standard error. A closed one is not an error."""
    stream: Any = sys.stderr
    with suppress(OSError, ValueError):
        (stream.write_secret if isinstance(stream, RedactedStream) else stream.write)(line)
        stream.flush()
