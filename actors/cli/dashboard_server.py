"""The dashboard of `understage watch`: on this machine only, behind a token that is printed once."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any, Final

from actors.cli.exit_code import ExitCode, fail
from actors.cli.redaction import RedactedStream
from actors.pool.pool import AgentPool

HOST: Final = "127.0.0.1"
GRACE: Final = 1
"""Seconds that open requests have at the end. Streams end at once, unless their browser does not read."""


def require_dashboard() -> None:
    """Import what the dashboard needs.

    Raises:
        CommandError: a library is missing.
    """
    try:
        import_module("actors.dashboard")
    except ImportError as error:
        fail(f"--dashboard: {error}")


@asynccontextmanager
async def serve_dashboard(pool: AgentPool[Any], port: int | None) -> AsyncGenerator[None]:
    """Serve the dashboard of a pool until the end of the block; None as port serves none.

    Raises:
        CommandError: the port cannot be used.
    """
    if port is None:
        yield
        return
    from actors.dashboard import dashboard
    from actors.http.server import bind, running_server

    app = dashboard(pool)
    try:
        opened = bind(HOST, port)
    except OSError as error:
        fail(f"--dashboard: port {port} cannot be used: {error.strerror or error}; choose another one", ExitCode.FAILED)
    url = f"http://{HOST}:{opened.getsockname()[1]}/?token={app.state.token}"
    async with running_server(app, opened, grace=GRACE):
        _tell(f"understage: dashboard on {url}")
        yield


def _tell(line: str) -> None:
    """Write a line with a token to standard error. A closed one is not an error."""
    with suppress(OSError, ValueError):
        stream: Any = sys.stderr
        write = stream.write_secret if isinstance(stream, RedactedStream) else stream.write
        write(f"{line}\n")
        stream.flush()
