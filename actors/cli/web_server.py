"""`understage watch --metrics PORT` and `--dashboard PORT`: servers of this machine only."""

import sys
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext, suppress
from functools import partial
from importlib import import_module
from socket import socket
from typing import Any, Final, Literal

from actors.cli.exit_code import fail
from actors.cli.redaction import RedactedStream
from actors.pool.pool import AgentPool

Option = Literal["metrics", "dashboard"]
Serve = Callable[[AgentPool[Any]], AbstractAsyncContextManager[object]]
"""Serves something of a pool until the end of a block."""
_HOST: Final = "127.0.0.1"
_NEEDED: Final = {
    "metrics": ("actors.telemetry.prometheus", "prometheus,web"),
    "dashboard": ("actors.dashboard", "web"),
}
"""The room that an option needs, and the extras of the room."""


@contextmanager
def web_server(option: Option, port: int | None) -> Generator[Serve]:
    """Take a port before the pool opens, until the end of the block; None for no server."""
    if port is None:
        yield lambda _: nullcontext()
        return
    room, extra = _NEEDED[option]
    try:
        from actors.http import bind

        import_module(room)
    except ImportError as error:
        fail(f"--{option} needs {error.name}, which is not installed: pip install 'understage[{extra}]'")
    try:
        opened = bind(_HOST, port)
    except OSError as error:
        fail(f"--{option} {port}: the port cannot be used: {error}")
    address = f"http://{_HOST}:{opened.getsockname()[1]}"
    with opened:
        if option == "metrics":
            _tell(f"understage: metrics on {address}/metrics\n")
        yield partial(_serve, option, opened, address)


def _serve(option: Option, opened: socket, address: str, pool: AgentPool[Any]) -> AbstractAsyncContextManager[object]:
    from actors.http import running_server

    if option == "metrics":
        from actors.web import metrics_routes

        return running_server(metrics_routes(pool)[0], opened, grace=0)
    from actors.dashboard import dashboard

    app = dashboard(pool)
    _tell(f"understage: dashboard on {address}/?token={app.state.token}\n")
    return running_server(app, opened, grace=1)


def _tell(line: str) -> None:
    """Write a line with a token to standard error. A closed one is not an error."""
    stream: Any = sys.stderr
    with suppress(OSError, ValueError):
        (stream.write_secret if isinstance(stream, RedactedStream) else stream.write)(line)
        stream.flush()
