"""`understage top` and the socket behind it: who may look, what is seen, and what happens to those who misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx2
import pytest

from actors.app import AgentPool, open_app
from actors.cli.exit_code import CommandError, ExitCode
from actors.cli.feed_client import Tables, follow, socket_path
from actors.cli.tree_view import flat, view
from actors.cli.watch import monitored
from actors.config.load import load_manifest
from actors.dashboard import app as apps
from actors.dashboard import feed as feeds
from actors.dashboard import serve_monitor
from tests.cli.conftest import ROOT, environment
from tests.support.waiting import TIMEOUT, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from actors.app import App
    from tests.cli.conftest import Call

MANIFEST = """
name: crew
agents:
  writer: {model: offline, system_prompt: One sentence.}
  critic: {model: offline}
teams:
  chain: {mode: sequential, members: [writer, critic]}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: paths of sockets may have 107 bytes."""
    with TemporaryDirectory() as name:
        yield Path(name)


@asynccontextmanager
async def shown(folder: Path) -> AsyncGenerator[tuple[App, Path]]:
    """A running pool, and the socket on which it shows itself."""
    file = folder / "agents.yml"
    file.write_text(MANIFEST, encoding="utf-8")
    path = folder / "pool.sock"
    async with open_app(load_manifest(file)) as app, serve_monitor(app.pool, path):
        yield app, path


@asynccontextmanager
async def looking(path: Path, **headers: str) -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.AsyncHTTPTransport(uds=str(path))
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://localhost", headers=headers, timeout=TIMEOUT, trust_env=False
    ) as http:
        yield http


class Moments:
    """Follows a pool, and holds what is shown."""

    def __init__(self, path: Path, *, interval: float = 0.01) -> None:
        self.tables: Tables = {}
        self.shown = 0
        self.work = asyncio.ensure_future(follow(path, self._show, interval=interval))

    def _show(self, tables: Tables) -> None:
        self.tables = tables
        self.shown += 1


async def top(*arguments: object) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "actors.cli", "top", *map(str, arguments)),
        cwd=ROOT,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


# -- the socket -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_leaked_actors")
async def test_the_tree_and_the_counters_are_shown_until_the_pool_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PERIOD", 0.0)
    async with shown(folder) as (app, path):
        moments = Moments(path)
        await wait_until(lambda: moments.shown)
        tables = moments.tables
        idle = {name: row["messages"] for name, row in tables["nodes"].items()}
        await app.pool["chain"].run("Cats sleep for many hours of every day.")
        await wait_until(lambda: tables["nodes"]["writer"]["messages"])
        pool, names = tables["pool"]["pool"], {actor["name"] for _, actor, _ in flat(tables)}

    assert await moments.work == "the pool has ended"
    assert idle == {"writer": 0, "critic": 0, "chain": 0}
    assert (pool["name"], pool["pid"], pool["dropped_events"]) == ("crew", os.getpid(), 0)
    assert names >= {"crew", "writer", "critic", "chain", "stats"}


@pytest.mark.parametrize(
    ("reason", "shown"), [("", ""), ("terminated", ": terminated"), ("gave\n\nup \x1b[2Jü", ": gave up [2Jü")]
)
async def test_the_reason_of_the_end_is_told(folder: Path, reason: str, shown: str) -> None:
    file = folder / "agents.yml"
    file.write_text(MANIFEST, encoding="utf-8")
    async with open_app(load_manifest(file)) as app:
        async with serve_monitor(app.pool, folder / "pool.sock", reason=lambda: reason):
            moments = Moments(folder / "pool.sock")
            await wait_until(lambda: moments.shown)

        assert await moments.work == f"the pool has ended{shown}"


@pytest.mark.usefixtures("no_leaked_actors")
async def test_the_socket_belongs_to_the_user_alone_and_goes_with_the_pool(folder: Path) -> None:
    before = os.umask(0)
    try:
        async with shown(folder) as (_, path):
            mode = stat.S_IMODE(path.stat().st_mode)
    finally:
        os.umask(before)

    assert mode == 0o600
    assert not path.exists()


@pytest.mark.usefixtures("no_leaked_actors")
async def test_a_pool_without_a_reader_does_no_work_for_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PERIOD", 0.0)

    def at_work() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("dashboard")]

    async with shown(folder) as (_, path):
        assert at_work() == []
        moments = Moments(path)
        await wait_until(lambda: moments.shown)
        assert "dashboard feed" in at_work()
        moments.work.cancel()
        await wait_until(lambda: not at_work())


@pytest.mark.usefixtures("no_leaked_actors")
async def test_a_client_that_never_reads_or_speaks_otherwise_disturbs_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "PERIOD", 0.0)
    async with shown(folder) as (app, path):
        ends = [await asyncio.open_unix_connection(str(path)) for _ in range(4)]
        said = [b"GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n", b'{"action":"list"}\n', b"x" * 100_000, b"\n"]
        for (_, writer), words in zip(ends, said, strict=True):
            writer.write(words)
        refused = await asyncio.wait_for(ends[2][0].readline(), TIMEOUT)
        moments = Moments(path)
        await app.pool.add_agent("\u2028\x85\n\nevil" + "x" * 1_000_000)
        await wait_until(lambda: [row for row in moments.tables.get("actors", {}).values() if "evil" in row["name"]])
        lines = [len(line) for line in view(moments.tables).splitlines()]
        for _, writer in ends:
            writer.close()
    ended = await moments.work

    assert (refused, ended) == (b"HTTP/1.1 400 Bad Request\r\n", "the pool has ended")
    assert max(lines) < 400


@pytest.mark.usefixtures("no_leaked_actors")
async def test_there_are_so_many_readers_and_no_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "MOST_STREAMS", 1)
    async with shown(folder) as (_, path):
        first = Moments(path)
        await wait_until(lambda: first.shown)
        with pytest.raises(CommandError, match="1 viewers look already"):
            await follow(path, print)
    await first.work


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"host": "evil.example", "origin": "http://evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": ""}, 403),
    ],
)
async def test_names_and_origins_are_checked_there_as_well(folder: Path, headers: dict[str, str], status: int) -> None:
    headers = {"origin": "http://localhost", **headers}
    async with shown(folder) as (_, path), looking(path, **headers) as http:
        answer = await http.post("/api/runs/r1/cancel")

    assert answer.status_code == status


@pytest.mark.usefixtures("no_leaked_actors")
async def test_a_socket_that_was_left_behind_is_replaced(folder: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / "pool.sock"))
    left.close()
    async with shown(folder) as (_, path), looking(path) as http:
        assert (await http.get("/")).status_code == 200


@pytest.mark.parametrize(
    ("kind", "text"),
    [("file", "exists and is no socket"), ("used", "another process shows its pool"), ("folder", "cannot be made")],
)
async def test_what_is_in_the_way_stays_and_is_an_error(folder: Path, kind: str, text: str) -> None:
    path = folder / "nowhere" / "pool.sock" if kind == "folder" else folder / "pool.sock"
    server = socket.socket(socket.AF_UNIX)
    if kind == "file":
        path.write_text("mine", encoding="utf-8")
    if kind == "used":
        server.bind(str(path))
        server.listen(1)
    file = folder / "agents.yml"
    file.write_text(MANIFEST, encoding="utf-8")
    async with open_app(load_manifest(file)) as app:
        with pytest.raises(OSError, match=text):
            async with serve_monitor(app.pool, path):
                pass
    server.close()

    assert path.exists() == (kind != "folder")


async def test_without_the_web_framework_one_line_says_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    for name in [name for name in sys.modules if name.startswith("actors.dashboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    async with monitored(AgentPool[None](), folder / "agents.yml"):
        pass

    needed = "starlette, which is not installed: pip install 'understage[web]'"
    assert capsys.readouterr().err == f"understage: 'top' and 'approvals' need {needed}\n"


# -- the command ----------------------------------------------------------------------------------------------------


async def test_one_moment_as_a_table(folder: Path) -> None:
    async with shown(folder) as (_, path):
        code, out, err = await top(path, "--once")
    lines = out.splitlines()

    assert (code, err) == (ExitCode.OK, "")
    assert lines[0].startswith("crew: ")
    assert [line.split()[:2] for line in lines if line.startswith("  ")] == [
        ["writer", "running"],
        ["critic", "running"],
        ["chain", "running"],
    ]


async def test_one_moment_for_programs(folder: Path) -> None:
    async with shown(folder) as (_, path):
        code, out, _ = await top(path, "--once", "--json")

    assert code == ExitCode.OK
    assert len(out.splitlines()) == 1
    moment = json.loads(out)
    assert (moment["pool"], moment["actors"][0]["name"], moment["nodes"][0]["name"]) == ("crew", "stats", "writer")
    assert 0 <= moment["uptime"] < TIMEOUT


async def test_the_end_of_the_pool_ends_it(folder: Path) -> None:
    async with shown(folder) as (_, path):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "actors.cli", "top", str(path), "--json", "--interval", "0.01"),
            cwd=ROOT,
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(3):
            assert await asyncio.wait_for(process.stdout.readline(), 60)
    _, err = await asyncio.wait_for(process.communicate(), 60)

    assert (process.returncode, err) == (ExitCode.OK, b"understage: the pool has ended\n")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b'{"pool":"crew"}\n', "is no pool of this version"),
        (b"", "is no pool of this version"),
        (b"HTTP/1.1 200 OK\r\n\r\nevent: delta\ndata: {}\n\n", "is no pool of this version"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", "the pool answers with status 404"),
    ],
)
async def test_what_is_no_pool_of_this_version_is_one_message(folder: Path, said: bytes, words: str) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(answer, str(folder / "pool.sock")):
        with pytest.raises(CommandError, match=words) as raised:
            await follow(folder / "pool.sock", print)

    assert raised.value.code == ExitCode.FAILED


async def test_the_end_of_a_killed_pool_is_told(folder: Path) -> None:
    row = b'{"tables":{"pool":{"set":{"pool":{}},"gone":[]}},"part":0,"parts":1}'

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frame = b"event: snapshot\ndata: " + row + b"\n\n"
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(frame), frame))
        writer.close()

    async with await asyncio.start_unix_server(answer, str(folder / "pool.sock")):
        assert "was killed" in await follow(folder / "pool.sock", str)


async def test_a_pool_that_does_not_answer_is_one_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cli.feed_client.PATIENCE", 0.01)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(folder / "pool.sock"))
        deaf.listen(1)
        with pytest.raises(CommandError, match="its event loop is blocked"):
            await follow(folder / "pool.sock", print)


async def test_a_pool_is_found_by_its_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    file = folder / "agents.yml"
    file.write_text(MANIFEST, encoding="utf-8")
    path = socket_path(file)
    async with open_app(load_manifest(file)) as app, serve_monitor(app.pool, path):
        code, out, _ = await top("--config", file, "--once")

    assert (code, out.split(":")[0]) == (ExitCode.OK, "crew")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("is_foreign", [True, False])
def test_a_folder_that_others_have_or_may_use_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_foreign: bool
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    (folder / "understage").mkdir()
    (folder / "understage").chmod(0o700 if is_foreign else 0o777)
    if is_foreign:
        me = os.getuid()
        monkeypatch.setattr("os.getuid", lambda: me + 1)

    with pytest.raises(CommandError, match="is not private"):
        socket_path(folder / "agents.yml")


def test_manifests_of_the_same_name_have_sockets_of_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))

    assert socket_path(folder / "a" / "agents.yml") != socket_path(folder / "b" / "agents.yml")


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        ([], "say which pool", ExitCode.USAGE),
        (["a.sock", "--config", "agents.yml"], "say which pool", ExitCode.USAGE),
        (["a.sock", "--interval", "0"], "--interval must be a number of seconds > 0", ExitCode.USAGE),
        ([__file__], "no running pool at", ExitCode.FAILED),  # a file is a manifest
        (["no-such.sock"], "no running pool at 'no-such.sock': No such file", ExitCode.FAILED),
    ],
)
def test_what_cannot_be_looked_at_is_one_message(cli: Call, arguments: list[str], text: str, code: ExitCode) -> None:
    done = cli("top", *arguments)

    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert len(done.err.splitlines()) == 1
