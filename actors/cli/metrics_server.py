"""`understage watch --metrics PORT`: the metrics of the pool for Prometheus, on this machine only."""

from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

from actors.cli.exit_code import fail
from actors.cli.progress import to_stderr
from actors.pool.pool import AgentPool

Serve = Callable[[AgentPool[Any]], AbstractAsyncContextManager[object]]
"""Serves the metrics of a pool until the end of a block."""
_HOST = "127.0.0.1"


@contextmanager
def metrics_server(port: int | None) -> Generator[Serve]:
    """Take a port before the pool opens, until the end of the block; None for no metrics."""
    if port is None:
        yield lambda _: nullcontext()
        return
    try:
        from actors.http import bind, running_server

        import_module("actors.telemetry.prometheus")  # so that it is missed before the pool opens
        from actors.web import metrics_routes
    except ImportError as error:
        fail(f"--metrics needs {error.name}, which is not installed: pip install 'understage[prometheus,web]'")
    try:
        opened = bind(_HOST, port)
    except OSError as error:
        fail(f"--metrics {port}: the port cannot be used: {error}")
    with opened:
        to_stderr(f"understage: metrics on http://{_HOST}:{opened.getsockname()[1]}/metrics")
        yield lambda pool: running_server(metrics_routes(pool)[0], opened, grace=0)
