"""The local socket on which a running pool shows its supervision tree and its statistics.

A client gets one line of JSON when it connects, and one for each line that it sends: the next snapshot for an empty
one, else the answer to what it asks about tool calls that wait for approval. A pool without clients does no
work for it. The socket belongs to the user alone (mode 0600).
"""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from actors.app import App
from actors.cli.approval_request import ApprovalAnswer, answer_ask
from actors.cli.exit_code import ExitCode, fail
from actors.cli.monitor_snapshot import Snapshot, take_snapshot

MOST_CLIENTS: Final = 16
"""Clients at the same time; further ones are closed at once."""
_LINE: Final = 1024
"""Most bytes of a line that a client sends."""


@asynccontextmanager
async def serve_monitor(app: App, path: Path) -> AsyncGenerator[None]:
    """Let `understage top` look at a running pool until the end of the block.

    Args:
        app: the running pool.
        path: of the socket; a socket left by a killed process is replaced.

    Raises:
        CommandError: the socket cannot be made there, or another process uses it.
    """
    began = app.system.clock.now()
    clients: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        try:
            if len(clients) >= MOST_CLIENTS:
                return
            clients.add(task)
            line = b"\n"
            while line.endswith(b"\n"):
                writer.write(msgspec.json.encode(await _answer(app, line.strip(), began)) + b"\n")
                await writer.drain()
                line = await reader.readline()
        except (OSError, ValueError, asyncio.CancelledError):  # gone; a line that is too long; the pool ends
            pass
        finally:
            clients.discard(task)
            writer.close()

    opened, inode = _bind(path)
    server = await asyncio.start_unix_server(serve, sock=opened, limit=_LINE)
    try:
        yield
    finally:
        server.close()
        left = [client for client in clients if client is not None]
        for client in left:
            client.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        _remove(path, inode)


async def _answer(app: App, ask: bytes, began: float) -> Snapshot | ApprovalAnswer:
    return answer_ask(app.pool, ask) if ask else await take_snapshot(app, began)


def _bind(path: Path) -> tuple[socket.socket, int]:
    """Open the socket; return it and its inode."""
    _make_room(path)
    opened = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # the file is private from its first moment
    try:
        opened.bind(str(path))
        opened.listen(MOST_CLIENTS)
        inode = path.stat().st_ino
    except OSError as error:
        opened.close()
        fail(
            f"the socket {str(path)!r} cannot be made: {error.strerror or error}; choose another path", ExitCode.FAILED
        )
    finally:
        os.umask(before)
    return opened, inode


def _remove(path: Path, inode: int) -> None:
    """Remove the socket, unless another process has replaced it."""
    with suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def _make_room(path: Path) -> None:
    """Remove a socket without a listener. Anything else at the path stays, and is an error."""
    try:
        mode = path.lstat().st_mode
    except OSError:  # nothing is there, or binding says why it cannot be
        return
    if not stat.S_ISSOCK(mode):
        fail(f"{str(path)!r} exists and is no socket; choose another path for the socket", ExitCode.FAILED)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            fail(f"the socket {str(path)!r} cannot be used: {error.strerror or error}", ExitCode.FAILED)
    fail(f"another process shows its pool on {str(path)!r}; end it, or choose another path", ExitCode.FAILED)
