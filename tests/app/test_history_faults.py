"""What goes wrong with a store never reaches a run, and nothing that was accepted is lost without being counted."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors import Agent, AgentPool
from actors.config.load import load_manifest
from actors.storage import MemoryHistoryStore, open_store
from protocols.stores import StoreCorruptError, StoreUnavailableError
from tests.app.pool_history import contents, history_of, kept, use

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[2]
TEXT = """
storage: {type: sqlite, path: history.db}
agents:
  keen: {model: test, session: true}
"""
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("CREATE TABLE IF NOT EXISTS other (x)")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    return file


@contextmanager
def locked_by_another_process(database: Path) -> Generator[None]:
    command = [sys.executable, "-c", HOLDER, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.communicate("", timeout=60)


def quick(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lock count as one after 50 ms."""
    use(monkeypatch, open_store(manifest.parent / "history.db", timeout=0.05))


async def test_a_database_that_another_process_holds_is_named_at_the_start(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, no_leaked_actors: None
) -> None:
    database = manifest.parent / "history.db"
    quick(manifest, monkeypatch)
    with (
        locked_by_another_process(database),
        pytest.raises(StoreUnavailableError, match=r"history\.db.*is locked by another program; close it, or wait"),
    ):
        await AgentPool[None](manifest).__aenter__()


async def test_runs_go_on_while_another_process_holds_the_database_and_all_is_written_afterwards(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(manifest, monkeypatch)
    async with AgentPool[None](manifest) as pool:
        # In WAL mode nobody gets the whole database while it is in use, but the right to write is enough.
        with closing(sqlite3.connect(manifest.parent / "history.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(20):
                await pool["keen"].run(f"Run {number}.")
            (writer,) = history_of(pool).writers
            with pytest.raises(TimeoutError):
                await history_of(pool).flush(timeout=0.3)
            assert writer.statistics().failures > 0
            assert writer.statistics().waiting == 40
            other.execute("ROLLBACK")
        assert len(await contents(await kept(pool))) == 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs limits of POSIX")
def test_a_full_disk_stops_no_run_and_loses_nothing_when_there_is_room_again(manifest: Path) -> None:
    command = [sys.executable, "-m", "tests.app.disk_program", str(manifest)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)
    said = json.loads(done.stdout)
    assert (said["answers"], said["stored"]) == (300, 600)
    assert "history.db" in said["error"]
    assert any(words in said["error"] for words in ("free some disk space", "check the disk"))


class Hung(MemoryHistoryStore):
    """Never answers a write, until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    async def append(self, batch: Any) -> None:
        await self.released.wait()
        await super().append(batch)


def upper() -> Agent[object, str]:
    return Agent.from_callback(str.upper, name="upper")


async def test_a_store_that_hangs_slows_no_run_and_what_finds_no_room_is_counted(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store, runs = Hung(), 11_000
    use(monkeypatch, store)
    async with AgentPool[None](manifest) as pool:
        await pool.add_node(upper())
        for _ in range(runs):
            await pool["upper"].run("x")
        (writer,) = history_of(pool).writers
        with pytest.raises(TimeoutError):
            await history_of(pool).flush(timeout=0.05)
        numbers = writer.statistics()
        assert numbers.accepted == 2 * runs == numbers.waiting + numbers.dropped
        assert numbers.dropped >= 2 * runs - 10_000 - writer.batch
        assert numbers.waiting <= 10_000 + writer.batch
        store.released.set()
        await writer.flush()
        assert writer.statistics().stored == numbers.waiting == await store.count()
    assert "history store 'memory': no room for more than 10000 messages; the oldest are lost" in caplog.text


@pytest.mark.parametrize("junk", [b"no database" * 1_000, b"SQLite format 3\0" + b"\xff" * 20_000])
async def test_a_corrupt_file_is_named_with_what_to_do_and_left_as_it_is(
    manifest: Path, junk: bytes, no_leaked_actors: None
) -> None:
    database = manifest.parent / "history.db"
    spoil(database, junk)
    with pytest.raises(StoreCorruptError, match=r"history\.db.*(move it away|move the file away)"):
        await AgentPool[None](manifest).__aenter__()
    assert content(database) == junk


def spoil(path: Path, junk: bytes) -> None:
    path.write_bytes(junk)


def content(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("place", ["/proc/history.db", "/dev/null/history.db", "agents.yml/history.db"])
async def test_a_place_that_cannot_be_written_is_named(manifest: Path, place: str, no_leaked_actors: None) -> None:
    manifest.write_text(TEXT.replace("path: history.db", f"path: {place}"), encoding="utf-8")  # noqa: ASYNC240
    with pytest.raises(StoreUnavailableError, match=r"cannot be used: .*; choose a place that this user may write to"):
        await AgentPool[None](manifest).__aenter__()


async def test_the_files_of_a_running_pool_belong_to_its_user_alone(manifest: Path) -> None:
    before = os.umask(0)
    try:
        async with AgentPool[None](manifest) as pool:
            await pool["keen"].run("Hello.")
            await kept(pool)
            modes = modes_of(manifest.parent)
    finally:
        os.umask(before)
    assert modes == {"history.db": 0o600, "history.db-shm": 0o600, "history.db-wal": 0o600}


def modes_of(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("history.db*")}


@pytest.mark.parametrize(
    "storage",
    [
        "{type: postgres, url: 'postgresql://me:canary@127.0.0.1:1/d?password=canary'}",
        "{type: postgres, url: 'postgresql://me:canary@127.0.0.1:1/d?colour=canary'}",
        "{type: postgres, url: 'postgresql://me:canary@127.0.0.1:x/d'}",
        "{type: sql, url: 'mysql://me:canary@h/d'}",
        "{type: sql, url: 'me:canary@h/d'}",
        "{type: sqlite, url: 'postgresql://me:canary@h/d'}",
    ],
)
async def test_a_password_is_never_shown(
    manifest: Path, storage: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    text = f"storage: {storage}\nagents:\n  keen: {{model: test}}\n"
    manifest.write_text(text, encoding="utf-8")  # noqa: ASYNC240
    shown: list[str] = []
    try:
        read = load_manifest(manifest)
        shown += [repr(read), repr(read.storage), str(read.storage)]
        await AgentPool[None](read).__aenter__()
    except Exception as error:
        chain: BaseException | None = error
        while chain is not None:
            shown += [str(chain), repr(chain), *getattr(chain, "__notes__", ())]
            chain = chain.__cause__ or chain.__context__
    else:
        pytest.fail("it was opened")
    captured = capsys.readouterr()
    shown += [caplog.text, captured.out, captured.err]
    assert "canary" not in " ".join(shown)
