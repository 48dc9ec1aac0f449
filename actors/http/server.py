"""One hardened uvicorn server: in a running event loop with `running_server`, or as the program with `serve`."""

import asyncio
import os
import signal
import socket
import stat
import threading
from collections.abc import AsyncGenerator, Awaitable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.http.head_timeout import HEAD_PATIENCE, HEADER_BYTES, LimitedProtocol
from protocols.clock import Clock

GRACE: Final = 30
"""Seconds that open requests have to end."""
MOST_REQUESTS: Final = 1_000
"""Requests of `serve` at the same time; further ones are answered with 503."""
MOST_CONNECTIONS: Final = 1_000
"""Connections of `running_server` at the same time; further ones are closed at once."""
BACKLOG: Final = 1_024
"""Connections that wait for the server."""
SERVER_END: Final = "understage.server_end"
"""Extension of a scope: an `asyncio.Event` that is set when the server ends, for answers that last until then."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes any free one.

    Raises:
        OSError: the port is taken, not permitted, or no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches off the delay of small packets; else each answer takes 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened


def application(routes: Sequence[BaseRoute], rest: ASGIApp | None = None) -> ASGIApp:
    """Return an application of routes; `rest` takes all other requests."""
    return Starlette(routes=[*routes, *([] if rest is None else [Mount("/", rest)])])


@contextmanager
def private_socket(path: Path) -> Generator[socket.socket]:
    """Listen at a path that only the user of this process can open (mode 0600), until the end of the block.

    A socket that a killed process has left there is replaced. Anything else stays, and is an error.

    Raises:
        OSError: the socket cannot be made there, or another process uses it. The text says what to do.
    """
    _make_room(path)
    before = os.umask(0o177)  # the file is private from its first moment
    with socket.socket(socket.AF_UNIX) as opened:
        try:
            opened.bind(str(path))
            opened.listen(BACKLOG)
            inode = path.stat().st_ino
        except OSError as error:
            why = error.strerror or error
            raise OSError(f"the socket {str(path)!r} cannot be made: {why}; choose another path") from error
        finally:
            os.umask(before)
        try:
            yield opened
        finally:
            with suppress(OSError):
                if path.stat().st_ino == inode:  # else another process has replaced it
                    path.unlink()


def _make_room(path: Path) -> None:
    """Remove a socket without a listener."""
    try:
        mode = path.lstat().st_mode
    except OSError:  # nothing is there, or binding says why it cannot be
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"{str(path)!r} exists and is no socket; choose another path for the socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise OSError(f"the socket {str(path)!r} cannot be used: {error.strerror or error}") from error
    raise OSError(f"another process shows its pool on {str(path)!r}; end it, or choose another path")


@asynccontextmanager
async def running_server(
    app: ASGIApp,
    opened: socket.socket,
    *,
    clock: Clock | None = None,
    patience: float = HEAD_PATIENCE,
    grace: int = GRACE,
) -> AsyncGenerator[Awaitable[None]]:
    """Serve an application on the running event loop until the end of the block; then close the socket.

    The server leaves signals and loggers alone. It runs no lifespan and takes no websockets. At the end of the block
    open requests have `grace` seconds to end. `clock` measures the `patience` in seconds for the head of a request.

    Yields:
        The end of the server. A cancelled wait for it leaves the server running.

    Example:
        ```python
        async with running_server(app, bind("127.0.0.1", 8080)) as ended:
            await ended
        ```
    """
    limits = {"clock": clock, "patience": patience, "most_connections": MOST_CONNECTIONS}
    config = uvicorn.Config(
        app,
        http=type("_Connection", (LimitedProtocol,), limits),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_graceful_shutdown=grace,
    )
    config.access_log = False  # passed to the constructor, it would switch off the logger of the whole process
    server = _Server(config)
    with opened:
        serving = asyncio.ensure_future(server.serve(sockets=[opened]))
        serving.add_done_callback(lambda _: server.listening.set())
        try:
            await server.listening.wait()
            yield asyncio.shield(serving)
        finally:
            server.stop()
            await serving


class _StoppingServer(uvicorn.Server):
    """A server that tells the application when it ends; see `SERVER_END`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        application: Any = config.app
        ending = self._ending = asyncio.Event()

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), SERVER_END: ending}
            await application(scope, receive, send)

        config.app = told

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending.set()
        await super().shutdown(sockets)


class _Server(_StoppingServer):
    """A server that leaves the signals alone and sleeps until `stop`."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._exit = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._exit.set()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self.listening.set()
        await self._exit.wait()


def serve(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 8000, grace: int = GRACE, **options: Any) -> None:
    """Serve an application until SIGTERM or Ctrl+C, then end in order; blocks.

    A connection is closed when the head of its next request has not come within 10 seconds.

    On a signal the server accepts no more connections. Open requests have `grace` seconds to end and are cancelled
    then. The pool of the application's `lifespan` ends within its own ``exit_timeout``. SIGTERM returns from here, so
    that the process can end with exit code 0; uvicorn alone would be killed by the signal in the end.

    Args:
        app: with `actors.web.lifespan`.
        host: address to listen on; the default is reached from this machine only.
        port: 0 takes any free one.
        grace: seconds.
        **options: anything else that ``uvicorn.Config`` takes.

    Raises:
        SystemExit: the port cannot be used (code 1), or the application could not start (code 3).
        KeyboardInterrupt: Ctrl+C ended the server.
    """
    settings: dict[str, Any] = {
        "http": LimitedProtocol,
        "access_log": False,  # its lines hold the address of the request, which may hold a prompt
        "limit_concurrency": MOST_REQUESTS,
        "h11_max_incomplete_event_size": HEADER_BYTES,
        "server_header": False,
        **options,
    }
    config = uvicorn.Config(app, host=host, port=port, timeout_graceful_shutdown=grace, **settings)
    server = _StoppingServer(config)
    with _sigterm_is_handled():
        server.run()
    if not server.started:
        raise SystemExit(3)


@contextmanager
def _sigterm_is_handled() -> Generator[None]:
    """Ignore the SIGTERM that the server has acted on and raises once more at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
