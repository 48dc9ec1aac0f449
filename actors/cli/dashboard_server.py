"""`understage watch --dashboard PORT`: a page of the pool on this machine only, behind a token that is printed once."""

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from typing import Any, Final

from actors.cli.exit_code import fail
from actors.cli.metrics_server import Serve
from actors.cli.redaction import RedactedStream
from actors.pool.pool import AgentPool

_HOST: Final = "127.0.0.1"
_GRACE: Final = 1
"""Seconds that open requests have at the end. Streams end at once, unless their browser does not read."""


@contextmanager
def dashboard_server(port: int | None) -> Generator[Serve]:
    """Take a port before the pool opens, until the end of the block; None for no dashboard."""
    if port is None:
        yield lambda _: nullcontext()
        return
    try:
        from actors.dashboard import dashboard
        from actors.http import bind, running_server
    except ImportError as error:
        fail(f"--dashboard needs {error.name}, which is not installed: pip install 'understage[web]'")
    try:
        opened = bind(_HOST, port)
    except OSError as error:
        fail(f"--dashboard {port}: the port cannot be used: {error}")

    @asynccontextmanager
    async def serve(pool: AgentPool[Any]) -> AsyncGenerator[None]:
        app = dashboard(pool)
        async with running_server(app, opened, grace=_GRACE):
            _tell(f"understage: dashboard on http://{_HOST}:{opened.getsockname()[1]}/?token={app.state.token}\n")
            yield

    with opened:
        yield serve


def _tell(line: str) -> None:
    """Write a line with a token to standard error. A closed one is not an error."""
    stream: Any = sys.stderr
    with suppress(OSError, ValueError):
        (stream.write_secret if isinstance(stream, RedactedStream) else stream.write)(line)
        stream.flush()
