"""A server for an application with a pool that ends in order when it is asked to."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from actors.http.head_timeout import PatientProtocol

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import ASGIApp

GRACE: Final = 30
"""Seconds that requests in hand have to end."""
MOST_REQUESTS: Final = 1_000
"""Requests in hand at the same time; further ones are answered with 503."""
HEADER_BYTES: Final = 16_384
"""Most bytes of request line and headers together."""


def serve(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 8000, grace: int = GRACE, **options: Any) -> None:
    """Serve an application until SIGTERM or Ctrl+C, then end in order; blocks.

    A connection is closed when the head of its next request has not come within 10 seconds.

    On a signal no connection is taken any more, requests in hand have `grace` seconds to end and are cancelled then,
    and the pool of the application's `lifespan` ends within its own ``exit_timeout``. SIGTERM returns from here, so
    that the process can end with exit code 0; uvicorn alone would be killed by the signal in the end.

    Args:
        app: with `actors.web.lifespan`.
        host: address to listen on; the default is reached from this machine only.
        port: 0 takes any free one.
        grace: seconds.
        **options: anything else that ``uvicorn.Config`` takes.

    Raises:
        SystemExit: the port cannot be used (code 1), or the application could not start (code 3).
        KeyboardInterrupt: it was ended with Ctrl+C.
    """
    settings: dict[str, Any] = {
        "http": PatientProtocol,
        "access_log": False,  # its lines hold the address that was asked for, and that may hold a prompt
        "limit_concurrency": MOST_REQUESTS,
        "h11_max_incomplete_event_size": HEADER_BYTES,
        "server_header": False,
        **options,
    }
    config = uvicorn.Config(app, host=host, port=port, timeout_graceful_shutdown=grace, **settings)
    server = uvicorn.Server(config)
    with _sigterm_is_handled():
        server.run()
    if not server.started:
        raise SystemExit(3)


@contextmanager
def _sigterm_is_handled() -> Generator[None]:
    """Let a SIGTERM that the server has acted on, and raises once more when it is done, end nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
