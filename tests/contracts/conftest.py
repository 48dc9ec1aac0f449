"""Every implementation of a protocol, for the suites that all of them must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.storage import MemoryHistoryStore, open_store
from tests.contracts.journal_kinds import KINDS, WallTime
from tests.storage.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from protocols.journal import MailboxJournal
    from protocols.stores import HistoryStore
    from tests.contracts.journal_kinds import Factory


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def closed_store(request: pytest.FixtureRequest, tmp_path: Path) -> HistoryStore:
    """Return a new, empty store of each kind, not yet open."""
    if request.param == "memory":
        return MemoryHistoryStore()
    if request.param == "sqlite":
        return open_store(tmp_path / "history.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    return open_store(server.url)


@pytest.fixture
async def store(closed_store: HistoryStore) -> AsyncGenerator[HistoryStore]:
    """Return a new, empty, open store of each kind."""
    async with closed_store:
        yield closed_store


@pytest.fixture
def wall_time() -> WallTime:
    """Return the clock of the journals."""
    return WallTime()


@pytest.fixture(params=KINDS)
def new_journal(request: pytest.FixtureRequest, wall_time: WallTime) -> Factory:
    """Return what makes journals of each kind, all in the same place, which is empty."""
    return KINDS[request.param](request, wall_time)


@pytest.fixture
async def journal(new_journal: Factory) -> AsyncGenerator[MailboxJournal]:
    """Return a new, empty, open journal of each kind."""
    opened = new_journal()
    await opened.open()
    yield opened
    await opened.close()
