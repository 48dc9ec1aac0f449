"""Every implementation of a protocol, for the suites that all of them must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.storage import MemoryHistoryStore, open_store
from tests.contracts.journal_kinds import KINDS, WallTime
from tests.storage.postgres_server import PostgresServer, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from protocols.journal import MailboxJournal
    from protocols.stores import HistoryStore
    from tests.contracts.journal_kinds import Factory


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """One server for all tests of a session."""
    with running_server() as server:
        yield server


@pytest.fixture
async def empty_postgres(postgres: PostgresServer) -> PostgresServer:
    """Return the server without tables."""
    await postgres.empty()
    return postgres


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def closed_store(request: pytest.FixtureRequest, tmp_path: Path) -> HistoryStore:
    """Return a new, empty store of each kind, not yet open."""
    if request.param == "memory":
        return MemoryHistoryStore()
    if request.param == "sqlite":
        return open_store(tmp_path / "history.db")
    server: PostgresServer = request.getfixturevalue("postgres")
    await server.empty()
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
