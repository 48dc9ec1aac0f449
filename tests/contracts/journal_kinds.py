"""Every kind of journal, for the suite that all of them must pass: a new kind is one entry of the table."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, cast

from actors.storage.cluster_memory import MemoryClusterStore, MemoryDatabase
from actors.storage.cluster_postgres import PostgresClusterStore
from actors.storage.journal_memory import MemoryJournal
from actors.storage.journal_postgres import PostgresJournal
from actors.storage.journal_sqlite import SqliteJournal
from protocols.cluster import HostRecord
from protocols.journal import Acknowledgement, Entry, JournalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from protocols.cluster import ClusterStore
    from protocols.journal import MailboxJournal
    from tests.storage.postgres_server import PostgresServer

    Now = Callable[[], float]
    Factory = Callable[[], MailboxJournal]
    """Makes a journal, not yet open, that finds what the one before it has left."""

CLERK = "pool/clerk"
START = 1_000.0
BAD = "\ud800"
"""Text that nothing can keep."""


class WallTime:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


def _memory(_: pytest.FixtureRequest, now: Now) -> Factory:
    journal = MemoryJournal(now=now)
    return lambda: journal


def _sqlite(sync: Literal["process", "full"]) -> Callable[[pytest.FixtureRequest, Now], Factory]:
    def factory(request: pytest.FixtureRequest, now: Now) -> Factory:
        folder: Path = request.getfixturevalue("tmp_path")
        return lambda: SqliteJournal(folder / "pool.journal", pool="pool", sync=sync, reserve=0, now=now)

    return factory


def _cluster_memory(_: pytest.FixtureRequest, now: Now) -> Factory:
    database = MemoryDatabase(now=now)
    return lambda: lone_host(MemoryClusterStore(database, shards=1))


def _postgres(request: pytest.FixtureRequest, now: Now) -> Factory:
    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda: PostgresJournal(server.url, pool="pool", now=now)


def _cluster_postgres(request: pytest.FixtureRequest, now: Now) -> Factory:
    server: PostgresServer = request.getfixturevalue("postgres")

    class Store(PostgresClusterStore):
        def wall(self) -> float:
            return now()

    return lambda: lone_host(Store(server.url, pool="pool", shards=1))


KINDS: dict[str, Callable[[pytest.FixtureRequest, Now], Factory]] = {
    "memory": _memory,
    "sqlite process": _sqlite("process"),
    "sqlite full": _sqlite("full"),
    "postgres": _postgres,
    "cluster memory": _cluster_memory,
    "cluster postgres": _cluster_postgres,
}


class LoneHost:
    """A host that has the only shard of its cluster while it is open: what it delivers is its whole journal."""

    def __init__(self, store: ClusterStore) -> None:
        self.store = store
        self.used: Any = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.used, name)

    async def open(self) -> None:
        await self.store.open()
        await self.store.renew(HostRecord(id=self.store.host, cluster="pool"), 60.0)
        for lease in await self.store.claim(1, 60.0):
            self.used = self.store.leased(lease)

    async def close(self) -> None:
        with suppress(JournalError):  # it is closed
            await self.store.leave()
        await self.store.close()


def lone_host(store: ClusterStore) -> MailboxJournal:
    return cast("MailboxJournal", LoneHost(store))


def entry(number: int, mailbox: str = CLERK, **fields: Any) -> Entry:
    """Return a message whose id says its number."""
    values: dict[str, Any] = {"sender": "web", "kind": "run1", "payload": f"message {number}".encode()}
    values |= {"accepted": START + number, **fields}
    return Entry(id_of(number), mailbox, **values)


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def numbers(entries: list[Entry]) -> list[int]:
    return [int.from_bytes(one.id, "big") for one in entries]


def handled(number: int, **fields: Any) -> Acknowledgement:
    return Acknowledgement(id_of(number), "handled", **fields)


def dead(number: int, **fields: Any) -> Acknowledgement:
    outcome = fields.pop("outcome", "failed")
    return Acknowledgement(id_of(number), outcome, is_dead=True, **fields)


async def waiting(journal: MailboxJournal, mailbox: str = CLERK) -> list[int]:
    return numbers(await journal.waiting(mailbox, 0, 1_000))


async def accept(journal: MailboxJournal, *wanted: int) -> list[int]:
    """Accept messages and return their places."""
    places = [place for place in await journal.accept([entry(n) for n in wanted]) if place is not None]
    assert len(places) == len(wanted)
    return places
