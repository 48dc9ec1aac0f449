"""Where the journal of a manifest is, and what keeps it."""

from __future__ import annotations

import asyncio
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest

from actors.app.journal_paths import journal_file, open_journal
from actors.config.load import load_manifest, manifest_of, parse_manifest
from actors.storage.journal_postgres import PostgresJournal
from actors.storage.journal_sqlite import SqliteJournal
from protocols.journal import JournalError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "understage"


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "agents.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_is_in_the_data_folder_and_belongs_to_one_manifest(tmp_path: Path, home: Path) -> None:
    texts = {"one": "name: my pool/x\njournal: true", "two": "name: my pool/x\njournal: true", "three": "journal: true"}
    paths = [journal_file(load_manifest(written(tmp_path / name, text))) for name, text in texts.items()]

    assert len({*paths}) == 3
    assert all(path is not None and path.parent == home for path in paths)
    assert [str(path.name).rpartition("-")[0] for path in paths if path] == ["my_pool_x", "my_pool_x", "pool"]
    assert paths[0] == journal_file(load_manifest(tmp_path / "one" / "agents.yml"))


def test_a_path_is_relative_to_the_manifest(tmp_path: Path) -> None:
    file = written(tmp_path, "journal: state/orders.journal\nagents: {}")

    assert journal_file(load_manifest(file)) == tmp_path / "state" / "orders.journal"
    assert journal_file(manifest_of(file, tmp_path / "x")) == tmp_path / "x"


@pytest.mark.parametrize("text", ["agents: {a: {}}", "journal: false"])
def test_a_manifest_without_journal_has_none(text: str) -> None:
    assert open_journal(parse_manifest(text)) is None
    assert journal_file(parse_manifest(text)) is None


def test_a_journal_on_a_database_server_is_that_of_the_pool_and_hides_the_password() -> None:
    manifest = parse_manifest("{name: orders, journal: 'postgresql://u:hidden@h/d', agents: {}}")
    journal = open_journal(manifest, as_guest=True)

    assert isinstance(journal, PostgresJournal)
    assert (journal.pool, journal.is_guest, journal.location) == ("orders", True, "postgresql://u:***@h/d")
    assert journal_file(manifest) is None


@pytest.mark.parametrize("missing", ["asyncpg", "sqlalchemy"])
def test_a_missing_library_names_the_extra(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(JournalError, match=rf"needs {missing}.*pip install 'understage\[postgres\]'") as caught:
        open_journal(parse_manifest("journal: 'postgresql://u:hidden@h/d'"))
    assert "hidden" not in str(caught.value)


def test_the_keys_of_the_journal_have_an_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def remember(path: Path, **keywords: Any) -> None:
        given.update(keywords, path=path)

    monkeypatch.setattr("actors.storage.journal_sqlite.SqliteJournal", remember)
    keys = "{path: x, sync: full, reserve: 1MiB, max_size: 3MiB}"
    open_journal(load_manifest(written(tmp_path, f"name: orders\njournal: {keys}\nagents: {{}}")), as_guest=True)

    assert given == {
        "path": tmp_path / "x",
        "pool": "orders",
        "sync": "full",
        "reserve": 1024**2,
        "max_size": 3 * 1024**2,
        "as_guest": True,
    }


def test_the_journal_is_made_with_its_folder_and_belongs_to_the_user(home: Path) -> None:
    manifest = parse_manifest("agents: {a: {durable: true}}")
    journal, path = open_journal(manifest), journal_file(manifest)

    async def open_and_close() -> None:
        assert isinstance(journal, SqliteJournal)
        await journal.open()
        await journal.close()

    asyncio.run(open_and_close())
    assert path is not None
    assert path.parent == home
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
