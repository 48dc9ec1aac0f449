"""Where the history of a manifest is kept: in every store that it names."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from actors.app import history_stores, retention_of
from actors.config.load import load_manifest, parse_manifest
from actors.config.yaml.problem import InvalidManifestError
from actors.storage import MemoryHistoryStore, open_store
from protocols.history import Retention
from protocols.stores import StorageError, StoreUnavailableError
from tests.app.pool_history import contents, history_of, kept, remembered, use

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a manifest with some storage."""

    def written(storage: str) -> Path:
        file = tmp_path / "agents.yml"
        file.write_text(f"storage: {storage}\nagents:\n  keen: {{model: test, session: true}}\n", encoding="utf-8")
        return file

    return written


async def said(path: Path) -> list[str]:
    async with open_store(path) as store:
        return await contents(store)


async def test_every_store_gets_every_message(write: Callable[[str], Path], tmp_path: Path) -> None:
    file = write("{providers: [{type: sqlite, path: one.db}, {type: sql, url: 'sqlite:///two.db'}, memory]}")
    async with AgentPool[None](file) as pool:
        await pool["keen"].run("Hello.")
        first = await kept(pool)
        everywhere = [await contents(store) for store in history_of(pool).stores]
        assert first is history_of(pool).stores[0]

    assert everywhere == [["Hello.", "success (no tool calls)"]] * 3
    assert await said(tmp_path / "one.db") == await said(tmp_path / "two.db") == everywhere[0]


class Troubled(MemoryHistoryStore):
    """Fails in every way, until it is told to work."""

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = location
        self.is_down = True

    async def append(self, batch: Any) -> None:
        self._check()
        await super().append(batch)

    async def query(self, query: Any) -> Any:
        self._check()
        return await super().query(query)

    async def conversations(self, *args: Any, **options: Any) -> Any:
        self._check()
        return await super().conversations(*args, **options)

    def _check(self) -> None:
        if self.is_down:
            text = "is down"
            raise StoreUnavailableError(text, location=self.location)


async def test_a_store_that_fails_keeps_nobody_from_writing_to_the_others(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    down, up = Troubled("down"), MemoryHistoryStore()
    use(monkeypatch, down, up)
    async with AgentPool[None](write("memory")) as pool:
        await pool["keen"].run("Hello.")
        await history_of(pool).writers[1].flush()
        assert len(await contents(up)) == 2
        assert history_of(pool).statistics()["down"].waiting == 2
        down.is_down = False
        await history_of(pool).flush()
        assert len(await contents(down)) == 2


async def test_the_first_store_that_can_be_read_and_knows_something_is_read(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    down, empty, full = Troubled("down"), MemoryHistoryStore(), MemoryHistoryStore()
    use(monkeypatch, full)
    async with AgentPool[None](write("memory")) as pool:
        await pool["keen"].run("Hello.")
    use(monkeypatch, down, empty, full)
    async with AgentPool[None](write("memory")) as pool:
        assert remembered(pool, "keen") == 2
        down.is_down = False


async def test_when_no_store_can_be_read_the_pool_does_not_start_without_its_memory(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, no_leaked_actors: None
) -> None:
    use(monkeypatch, Troubled("one"), Troubled("two"))
    with pytest.raises(Exception, match="history store 'one': is down"):
        await AgentPool[None](write("memory")).__aenter__()


async def test_a_second_store_that_cannot_be_opened_is_a_clear_error_and_leaves_nothing(
    write: Callable[[str], Path], tmp_path: Path, no_leaked_actors: None
) -> None:
    (tmp_path / "two.db").write_bytes(b"no database" * 1_000)
    file = write("{providers: [{type: sqlite, path: one.db}, {type: sqlite, path: two.db}]}")
    with pytest.raises(StorageError, match=r"two\.db.*is no SQLite database; choose another path, or move the file"):
        await AgentPool[None](file).__aenter__()
    assert (tmp_path / "two.db").read_bytes() == b"no database" * 1_000


def test_what_memory_keeps_is_said_by_its_capacity() -> None:
    (store,) = history_stores(parse_manifest("storage: {type: memory, capacity: 3}"))
    assert isinstance(store, MemoryHistoryStore)
    assert store.capacity == 3


@pytest.mark.parametrize(
    ("storage", "place"),
    [
        ("{type: sqlite, path: h.db}", "{root}/h.db"),
        ("{type: sqlite, path: sub/h.db}", "{root}/sub/h.db"),
        ("{type: sqlite, path: /var/h.db}", "/var/h.db"),
        ("{type: sqlite, path: ~/h.db}", "{home}/h.db"),
        ("{type: sqlite, url: 'sqlite:///h.db'}", "{root}/h.db"),
        ("{type: sqlite, url: 'sqlite:////var/h.db'}", "/var/h.db"),
        ("{type: sql, url: 'postgresql://me:canary@h/d'}", "postgresql://me:***@h/d"),
        ("sqlite", "{data}/understage/history.db"),
    ],
)
def test_the_place_of_a_store(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str, place: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (store,) = history_stores(load_manifest(write(storage)))
    assert store.location == place.format(root=tmp_path, home=Path.home(), data=tmp_path / "data")


@pytest.mark.parametrize(
    ("retention", "expected"),
    [
        ("{}", None),
        ("{max_age: 90d}", Retention(max_age=90 * 86_400.0)),
        ("{max_messages: 5}", Retention(max_messages=5)),
        ("{max_per_conversation: 5}", Retention(max_per_conversation=5)),
    ],
)
def test_retention_means_what_it_says(retention: str, expected: Retention | None) -> None:
    spec = parse_manifest(f"storage: {{type: memory, retention: {retention}}}").storage
    assert spec is not None
    assert retention_of(spec) == expected


async def test_retention_of_the_manifest_holds_for_every_store(write: Callable[[str], Path], tmp_path: Path) -> None:
    stores = "[{type: sqlite, path: one.db}, {type: sqlite, path: two.db}]"
    file = write(f"{{providers: {stores}, retention: {{max_messages: 3, max_per_conversation: 2}}}}")
    for name in ("one", "two"):
        async with AgentPool[None](file) as pool:
            await pool["keen"].run(f"Hello {name}.")
            await pool["keen"].run("Again.", store_history=False)
    async with AgentPool[None](file) as pool:
        await kept(pool)
    assert len(await said(tmp_path / "one.db")) == len(await said(tmp_path / "two.db")) == 3


async def test_nothing_is_kept_when_messages_are_not_logged(write: Callable[[str], Path], tmp_path: Path) -> None:
    async with AgentPool[None](write("{type: sqlite, path: h.db, log_messages: false}")) as pool:
        await pool["keen"].run("Hello.")
        assert history_of(pool).store is None
    assert not (tmp_path / "h.db").exists()


@pytest.mark.parametrize(("key", "value"), [("batch_size", 2), ("batch_delay", 0.001)])
async def test_a_batch_is_written_when_it_is_full_or_has_waited(
    write: Callable[[str], Path], tmp_path: Path, key: str, value: float
) -> None:
    other = "batch_delay: 0.001s" if key == "batch_size" else "batch_size: 10000"
    async with AgentPool[None](write(f"{{type: sqlite, path: h.db, {key}: {value}, {other}}}")) as pool:
        writer = history_of(pool).writers[0]
        assert {"batch_size": writer.batch, "batch_delay": writer.linger}[key] == value
        await pool["keen"].run("Hello.")
        await writer.flush()
    with closing(sqlite3.connect(tmp_path / "h.db")) as connection:
        assert connection.execute("SELECT count(*) FROM understage_history").fetchone() == (2,)


def test_a_manifest_with_one_store_twice_is_refused() -> None:
    with pytest.raises(InvalidManifestError, match="store 2 is the same as store 1"):
        parse_manifest("storage: {providers: [memory, memory]}")
