"""A running pool as another process sees it: the feed of its dashboard, by a socket that only its user can open."""

import asyncio
import os
import stat
import tempfile
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

from actors.cli.exit_code import ExitCode, fail
from protocols.plain_text import visible

Tables = dict[str, dict[str, dict[str, Any]]]
"""The tables of a feed: rows by key. A table without rows may be missing."""
PATIENCE: Final = 20.0
"""Seconds that a pool has to say something; it does so every 15 s."""
_PRIVATE: Final = 0o700
_ORIGIN: Final = "http://localhost"


def socket_path(manifest_file: Path) -> Path:
    """Return the path of the socket of a manifest, in a private folder of the user.

    Raises:
        CommandError: the folder belongs to another user, or others may use it.
    """
    full = manifest_file.resolve()
    digest = sha256(os.fsencode(full)).hexdigest()[:16]
    return _folder() / f"{full.stem[:24]}-{digest}.sock"


def _folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime or os.sep) / "understage"
    try:
        if not runtime or not Path(runtime).is_dir():
            folder = Path(tempfile.gettempdir()) / f"understage-{os.getuid()}"
        folder.mkdir(mode=_PRIVATE, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        fail(f"the folder {str(folder)!r} for sockets cannot be used: {error.strerror or error}", ExitCode.FAILED)
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        fail(
            f"the folder {str(folder)!r} for sockets is not private; remove it, or set its mode to 0700",
            ExitCode.FAILED,
        )
    return folder


async def follow(path: Path, show: Callable[[Tables], object], *, interval: float = 1.0, once: bool = False) -> str:
    """Show the tables of a running pool every so many seconds, until it ends; return why it has stopped.

    Args:
        path: of the socket.
        show: is called with the tables, which change afterwards.
        interval: seconds.
        once: True to show them once; the reason is empty then.

    Raises:
        CommandError: no running pool listens at the path, or the pool does not answer.
    """
    tables: Tables = defaultdict(dict)
    is_read = asyncio.Event()
    reading = asyncio.ensure_future(_read(path, tables, is_read))
    reading.add_done_callback(lambda _: is_read.set())
    try:
        await is_read.wait()
        while tables:
            show(tables)
            if once:
                return ""
            if (await asyncio.wait([reading], timeout=interval))[0]:
                break
        return await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def act(path: Path, action: str, **body: str) -> None:
    """Have a running pool do something; see `actors.dashboard.actions`.

    Raises:
        CommandError: no running pool listens at the path, or it refuses.
    """
    async with _connected(path) as http:
        await _check(await http.post(f"/api/{action}", json=body))


class _TableDiff(msgspec.Struct):
    set: dict[str, dict[str, Any]]
    gone: list[str]


class _FeedMessage(msgspec.Struct):
    tables: dict[str, _TableDiff]
    part: int
    parts: int


async def _read(path: Path, tables: Tables, is_read: asyncio.Event) -> str:
    """Keep the tables up to date once all of them are there, until the pool ends; return what became of it."""
    coming: Tables = defaultdict(dict)
    ended = "the pool has ended"
    async with _connected(path) as http, http.stream("GET", "/api/stream") as answer:
        await _check(answer)
        try:
            async for event, data in _frames(answer):
                if event == b"event: end":
                    ended += f": {visible(data.decode())}"
                    continue
                frame = msgspec.json.decode(data, type=_FeedMessage)
                if event == b"event: snapshot" and not frame.part:
                    coming = defaultdict(dict)
                _apply(frame, coming)
                if frame.part == frame.parts - 1:
                    tables.clear()
                    tables.update(coming)
                    is_read.set()
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            if not tables:
                raise
            return "the pool is gone: its process was killed, or has crashed"
    return ended


def _apply(frame: _FeedMessage, tables: Tables) -> None:
    for name, change in frame.tables.items():
        tables[name].update(change.set)
        for key in change.gone:
            tables[name].pop(key, None)


async def _frames(answer: httpx2.Response) -> AsyncGenerator[tuple[bytes, bytes]]:
    """Yield event and data. Lines end with a line feed here, and with nothing else that a name may contain."""
    rest = b""
    async for piece in answer.aiter_bytes():
        *whole, rest = (rest + piece).split(b"\n\n")
        for frame in whole:
            event, _, field = frame.partition(b"\n")
            if data := field.partition(b": ")[2]:
                yield event, data


@asynccontextmanager
async def _connected(path: Path) -> AsyncGenerator[httpx2.AsyncClient]:
    """Yield a client of the pool; what goes wrong becomes one message."""
    transport = httpx2.AsyncHTTPTransport(uds=str(path))
    headers = {"origin": _ORIGIN}
    try:
        async with httpx2.AsyncClient(
            transport=transport, base_url=_ORIGIN, headers=headers, timeout=PATIENCE, trust_env=False
        ) as http:
            yield http
    except httpx2.ConnectError as error:
        why = str(error).rpartition("] ")[2]  # without the number of the error
        fail(f"no running pool at {str(path)!r}: {why}; start it with 'understage watch FILE'", ExitCode.FAILED)
    except httpx2.TimeoutException:
        why = f"has not answered within {PATIENCE:g} s; its event loop is blocked"
        fail(f"the pool at {str(path)!r} {why}", ExitCode.FAILED)
    except (httpx2.NetworkError, httpx2.RemoteProtocolError, msgspec.DecodeError) as error:
        fail(f"what answers at {str(path)!r} is no pool of this version: {error}", ExitCode.FAILED)


async def _check(answer: httpx2.Response) -> None:
    if answer.is_success:
        return
    try:
        why = str(msgspec.json.decode(await answer.aread(), type=dict[str, Any])["error"])
    except (msgspec.DecodeError, KeyError):
        why = f"the pool answers with status {answer.status_code}"
    fail(why, ExitCode.FAILED)
