"""SQLite files: private, shared by processes, and clear about what is wrong with them."""

# ruff: noqa: ASYNC240 - nothing else runs on the loop while a test prepares a file

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from actors.storage import HistoryWriter, open_store, sqlite
from actors.storage.cluster_memory import MemoryDatabase
from actors.storage.journal_memory import MemoryJournal
from actors.storage.location import DEFAULT_TIMEOUT
from protocols.history import HistoryQuery, Retention
from protocols.stores import (
    StorageError,
    StoreCorruptError,
    StoreMissingError,
    StoreUnavailableError,
    StoreVersionError,
)
from tests.storage.messages import ids, message

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def fill(path: Path, count: int = 3) -> None:
    async with open_store(path) as store:
        await store.append([message(n) for n in range(count)])


async def content(path: Path) -> list[str]:
    async with open_store(path) as store:
        return ids(await store.query(HistoryQuery(newest_first=False)))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
async def test_files_are_private_under_every_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "made" / "history.db"
    path.parent.mkdir()
    old = os.umask(umask)
    try:
        async with open_store(path) as store:
            await store.append([message(1)])
            files = sorted(path.parent.iterdir())
            assert [file.name for file in files] == ["history.db", "history.db-shm", "history.db-wal"]
            assert {mode(file) for file in files} == {0o600}
    finally:
        os.umask(old)


async def test_missing_directories_are_made_private(tmp_path: Path) -> None:
    await fill(tmp_path / "a" / "b" / "history.db")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


async def test_existing_file_that_others_may_read_becomes_private(path: Path) -> None:
    await fill(path)
    path.chmod(0o644)
    await fill(path)
    assert mode(path) == 0o600


@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
async def test_file_of_another_user_is_refused(path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(path)
    planted = path.with_name(path.name + suffix)
    planted.touch()
    if os.geteuid() == 0:
        os.chown(planted, 65_534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65_534)
    with pytest.raises(StorageError, match="belongs to user"):
        await fill(path)


async def test_symbolic_link_is_refused(tmp_path: Path, path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(StorageError, match="is a symbolic link"):
        await fill(path)
    assert not (tmp_path / "elsewhere.db").exists()


async def test_directory_and_fifo_are_refused(tmp_path: Path, path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(StorageError, match="is no regular file"):
        await fill(path)
    with pytest.raises(StorageError, match="is no regular file"):
        await fill(tmp_path)


async def test_unusable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "history.db", Path("/proc/nowhere/history.db")):
        with pytest.raises(StoreUnavailableError, match="choose a place that this user may write to") as caught:
            await fill(place)
        assert str(place) in str(caught.value)
        assert caught.value.location == str(place)


def test_directory_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    script = (
        "import asyncio, os, sys\n"
        "from actors.storage import open_store\n"
        "async def main():\n"
        "    store = open_store(sys.argv[1])\n"
        "    await asyncio.to_thread(int)\n"  # imports what the thread needs while it can be read
        "    if os.geteuid() == 0: os.seteuid(65534)\n"  # root may write everywhere
        "    await store.open()\n"
        "asyncio.run(main())\n"
    )
    done = run(script, tmp_path / "history.db")
    assert "StoreUnavailableError" in done.stderr
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_file_that_is_removed_while_open_is_noticed(path: Path, is_replaced: bool) -> None:
    async with open_store(path) as store:
        await store.append([message(1)])
        path.rename(path.with_name("away.db"))
        if is_replaced:
            await fill(path)
        with pytest.raises(StoreUnavailableError, match="was removed or replaced"):
            await store.append([message(2)])
        with pytest.raises(StoreUnavailableError, match="was removed or replaced"):
            await store.count()


async def test_reading_makes_and_changes_nothing(path: Path) -> None:
    with pytest.raises(StoreMissingError, match="nothing was kept"):
        await open_store(path.parent / "new" / "history.db", read_only=True).open()
    await fill(path)
    path.chmod(0o444)
    before = path.read_bytes()

    async with open_store(path, read_only=True) as store:
        assert await store.count() == 3
        with pytest.raises(StoreUnavailableError, match="is read-only"):
            await store.append([message(4)])

    assert not (path.parent / "new").exists()
    assert (path.read_bytes(), mode(path)) == (before, 0o444)


@pytest.mark.parametrize("junk", [b"x" * 5_000, b"SQLite format 3\0" + b"\xff" * 5_000])
async def test_file_that_is_no_database_is_named_and_left_alone(path: Path, junk: bytes) -> None:
    path.write_bytes(junk)
    with pytest.raises(StoreCorruptError, match=r"is no SQLite database|is damaged") as caught:
        await fill(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == junk


async def test_damaged_database_is_found_when_opened(path: Path) -> None:
    await fill(path, 500)
    intact = path.read_bytes()
    path.write_bytes(intact[:8_192] + b"\xa5" * 8_192 + intact[16_384:])
    with pytest.raises(StoreCorruptError, match="is damaged; move it away"):
        await content(path)


async def test_damage_while_open_is_an_error_of_the_store(path: Path) -> None:
    async with open_store(path) as store:
        await store.append([message(n, content="x" * 5_000) for n in range(200)])
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.seek(4_096)
            file.write(os.urandom(size - 4_096))
        with pytest.raises(StorageError, match="is damaged"):
            await store.query(HistoryQuery(text="zzz"))


async def test_truncated_database_is_never_wrong_data(path: Path, tmp_path: Path) -> None:
    await fill(path, 200)
    whole = path.read_bytes()
    expected = [f"m{n}" for n in range(200)]
    for size in range(0, len(whole), 4_096 * 3):
        cut = tmp_path / f"cut-{size}.db"
        cut.write_bytes(whole[:size])
        try:
            found = await content(cut)
        except StorageError:
            continue
        assert found == ([] if size == 0 else expected[:100])


async def test_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    await fill(path)
    assert await content(path) == ["m0", "m1", "m2"]


async def test_locked_database_is_unavailable_and_works_again_when_free(path: Path) -> None:
    await fill(path)
    async with open_store(path, timeout=0.01) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailableError, match="is locked by another program"):
                await store.append([message(7)])
            assert await store.count() == 3  # WAL: readers do not mind
            other.execute("ROLLBACK")
        await store.append([message(7)])
        assert await store.count() == 4


async def test_writer_waits_for_a_locked_database(path: Path) -> None:
    async with open_store(path, timeout=0.01) as store, HistoryWriter(store) as writer:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writer.offer(message(1))
            flush = asyncio.create_task(writer.flush())
            async with asyncio.timeout(5):
                while not writer.statistics().failures:  # noqa: ASYNC110 - a counter tells it
                    await asyncio.sleep(0)
            assert "is locked" in (writer.statistics().last_error or "")
            other.execute("ROLLBACK")
        await flush
        assert await store.count() == 1


async def test_full_disk_is_unavailable_and_keeps_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(path)
    configure = sqlite._configure  # pyright: ignore[reportPrivateUsage]

    def small(connection: sqlite3.Connection, record: object) -> None:
        configure(connection, record)
        connection.execute("PRAGMA max_page_count = 30")

    monkeypatch.setattr(sqlite, "_configure", small)
    async with open_store(path) as store:
        with pytest.raises(StoreUnavailableError, match="has no room to grow"):
            await store.append([message(9, content="x" * 500_000)])
        assert await store.count() == 3
        await store.append([message(8)])
        assert await store.count() == 4


async def test_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    await fill(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE understage_history_version SET version_num = '9999'")
    with pytest.raises(StoreVersionError, match=r"has schema '9999'.*upgrade understage"):
        await fill(path)


async def test_two_stores_may_write_the_same_file(path: Path) -> None:
    async with open_store(path) as one, open_store(path) as two:
        await asyncio.gather(
            *(
                store.append([message(n, id=f"{name}-{n}-{k}") for k in range(5)])
                for n in range(20)
                for name, store in (("one", one), ("two", two))
            )
        )
        assert await one.count() == await two.count() == 200


def test_processes_may_open_and_write_a_new_file_at_the_same_time(path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from actors.storage import open_store\n"
        "from tests.storage.messages import message\n"
        "async def main():\n"
        "    async with open_store(sys.argv[1], timeout=30) as store:\n"
        "        for n in range(20):\n"
        "            await store.append([message(n, id=f'{sys.argv[2]}-{n}'), message(n, id=f'shared-{n}')])\n"
        "asyncio.run(main())\n"
    )
    running = [start(script, path, str(number)) for number in range(4)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(asyncio.run(content(path))) == 100


async def test_cancellation_at_any_point_leaks_nothing_and_keeps_batches_whole(path: Path) -> None:
    await fill(path, 0)
    for steps in range(25):
        async with open_store(path) as store:
            batch = [message(n, id=f"{steps}-{n}") for n in range(10)]
            tasks = [asyncio.create_task(work) for work in (store.append(batch), store.count(), store.conversations())]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await store.count() % 10 == 0
    gc.collect()  # a connection that was left behind warns now, and warnings are errors


@pytest.mark.parametrize("kind", [MemoryJournal, MemoryDatabase])
def test_a_database_in_memory_closes_itself_also_as_part_of_a_circle(
    kind: type[MemoryJournal | MemoryDatabase],
) -> None:
    circle: list[object] = [kind()]
    connection = next(value for value in vars(circle[0]).values() if isinstance(value, sqlite3.Connection))
    circle.append(circle)
    gc.collect()  # puts what is found last, here the owner, behind the connection
    del circle, connection
    gc.collect()  # SQLite of Python 3.13 warns of an open connection


async def test_prune_gives_space_back(path: Path) -> None:
    async with open_store(path) as store:
        await store.append([message(n, content="x" * 2_000) for n in range(3_000)])
        await store.prune(Retention(max_messages=10))
    assert path.stat().st_size < 500_000


async def test_messages_survive_a_killed_process(path: Path) -> None:
    script = (
        "import asyncio, os, signal, sys\n"
        "from actors.storage import open_store\n"
        "from tests.storage.messages import message\n"
        "async def main():\n"
        "    store = open_store(sys.argv[1])\n"
        "    await store.open()\n"
        "    await store.append([message(n) for n in range(50)])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.to_thread(run, script, path)
    assert process.returncode == -9
    assert len(await content(path)) == 50


def test_program_that_forgets_to_close_still_ends(path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from actors.storage import open_store\n"
        "async def main():\n"
        "    global store\n"
        "    store = open_store(sys.argv[1])\n"
        "    await store.open()\n"
        "    print(await store.count())\n"
        "asyncio.run(main())\n"
    )
    done = run(script, path)
    assert (done.stdout.strip(), done.returncode) == ("0", 0)


def test_store_of_another_loop_says_so(path: Path) -> None:
    store = open_store(path)
    with asyncio.Runner() as first:
        first.run(store.open())
        with asyncio.Runner() as second, pytest.raises(StorageError, match="was opened on another event loop"):
            second.run(store.count())
        first.run(store.close())


def test_default_timeout_is_finite() -> None:
    assert 0 < DEFAULT_TIMEOUT <= 30


def start(script: str, *arguments: Path | str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    process = start(script, *arguments)
    output, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
