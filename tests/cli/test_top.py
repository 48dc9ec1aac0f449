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

import msgspec
import pytest

from actors.app import open_app
from actors.cli.exit_code import CommandError, ExitCode
from actors.cli.monitor import MOST_CLIENTS, serve_monitor
from actors.cli.monitor_client import monitor_path
from actors.cli.monitor_snapshot import Snapshot, flat, view
from actors.config.load import load_manifest
from actors.runtime.tree import ActorNode
from protocols.plain_text import visible
from tests.cli.conftest import ROOT, environment

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
    async with open_app(load_manifest(file)) as app, serve_monitor(app, path):
        yield app, path


@asynccontextmanager
async def looking(path: Path) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def moment(reader: asyncio.StreamReader) -> Snapshot:
    return msgspec.json.decode(await asyncio.wait_for(reader.readline(), 20), type=Snapshot)


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
async def test_the_tree_and_the_counters_are_shown_once_for_each_line(folder: Path) -> None:
    async with shown(folder) as (app, path), looking(path) as (reader, writer):
        first = await moment(reader)
        await app.pool["chain"].run("Cats sleep for many hours of every day.")
        writer.write(b"\n")
        second = await moment(reader)

    assert (first.pool, first.pid, first.dropped_events) == ("crew", os.getpid(), 0)
    assert {actor.name for actor, _ in flat(first.tree)} >= {"crew", "writer", "critic", "chain", "stats"}
    assert [(node.name, node.messages) for node in first.nodes] == [("writer", 0), ("critic", 0), ("chain", 0)]
    assert {node.name: node.messages for node in second.nodes}["writer"] == 1


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
async def test_a_client_that_never_reads_or_says_too_much_disturbs_nobody(folder: Path) -> None:
    async with shown(folder) as (_, path), looking(path) as (_, silent), looking(path) as (loud, writer):
        silent.write(b"\n")
        writer.write(b"x" * 100_000)
        await loud.read()
        async with looking(path) as (reader, _):
            assert (await moment(reader)).pool == "crew"


@pytest.mark.usefixtures("no_leaked_actors")
async def test_there_are_so_many_clients_and_no_more(folder: Path) -> None:
    async with shown(folder) as (_, path):
        ends = [await asyncio.open_unix_connection(str(path)) for _ in range(MOST_CLIENTS)]
        for reader, _ in ends:
            await moment(reader)
        async with looking(path) as (reader, _):
            assert await reader.read() == b""
        for _, writer in ends:
            writer.close()
            await writer.wait_closed()


@pytest.mark.usefixtures("no_leaked_actors")
async def test_a_socket_that_was_left_behind_is_replaced(folder: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / "pool.sock"))
    left.close()
    async with shown(folder) as (_, path), looking(path) as (reader, _):
        assert (await moment(reader)).pool == "crew"


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
        with pytest.raises(CommandError, match=text):
            async with serve_monitor(app, path):
                pass
    server.close()

    assert path.exists() == (kind != "folder")


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
    assert json.loads(out)["pool"] == "crew"


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


async def test_a_pool_is_found_by_its_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    file = folder / "agents.yml"
    file.write_text(MANIFEST, encoding="utf-8")
    path = monitor_path(file)
    async with open_app(load_manifest(file)) as app, serve_monitor(app, path):
        code, out, _ = await top("--config", file, "--once")

    assert (code, out.split(":")[0]) == (ExitCode.OK, "crew")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_others_may_use_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    (folder / "understage").mkdir()
    (folder / "understage").chmod(0o777)

    with pytest.raises(CommandError, match="is not private"):
        monitor_path(folder / "agents.yml")


def test_manifests_of_the_same_name_have_sockets_of_their_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))

    assert monitor_path(folder / "a" / "agents.yml") != monitor_path(folder / "b" / "agents.yml")


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        ([], "say which pool", ExitCode.USAGE),
        (["a.sock", "--config", "agents.yml"], "say which pool", ExitCode.USAGE),
        (["a.sock", "--interval", "0"], "--interval must be a number of seconds > 0", ExitCode.USAGE),
        (["no-such.sock"], "no running pool at 'no-such.sock': No such file", ExitCode.FAILED),
    ],
)
def test_what_cannot_be_looked_at_is_one_message(cli: Call, arguments: list[str], text: str, code: ExitCode) -> None:
    done = cli("top", *arguments)

    assert (done.code, done.out) == (code, "")
    assert text in done.err
    assert len(done.err.splitlines()) == 1


# -- the picture ----------------------------------------------------------------------------------------------------


def actor(name: str, *children: ActorNode) -> ActorNode:
    return ActorNode("", "", name, "A", "running", 1, 0, 0, 0.0, 0, 0, 0, 0, 0, 0, "", children)


def test_a_deep_tree_is_drawn_without_recursion() -> None:
    tree = actor("leaf")
    for number in range(5_000):
        tree = actor(f"a{number}", tree)

    assert [depth for _, depth in flat((tree,))] == list(range(5_001))


def test_names_cannot_write_over_the_picture() -> None:
    text = view(Snapshot("crew\x1b[2J", 1, 0.0, (actor("evil\n\x1b[31mname\u202e"),), (), 3))

    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "evil [31mname" in text
    assert text.splitlines()[-1] == "(3 events were lost, so some numbers are too small)"


@pytest.mark.parametrize(
    ("text", "seen"),
    [("plain\ttext\nü 🙂", "plain\ttext\nü 🙂"), ("\x1b]0;title\x07", "]0;title"), ("a\rb", "ab"), ("\x9b31m", "31m")],
)
def test_a_terminal_shows_text_and_obeys_none(text: str, seen: str) -> None:
    assert visible(text) == seen
