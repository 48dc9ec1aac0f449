"""PostgreSQL through asyncpg as a backend of history."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import exc, make_url, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import create_async_engine

from actors.storage.schema import history
from protocols.stores import StorageError

if TYPE_CHECKING:
    from sqlalchemy import TextClause
    from sqlalchemy.ext.asyncio import AsyncEngine

CONNECTIONS = 5
COMMAND_TIMEOUT = 60.0
"""Seconds after which a statement on a silent connection counts as failed."""
LOCK_CLASS = 0x48_49_53_54
"""First key of our advisory locks, so that they meet no other program's."""


class PostgresBackend:
    """How `SqlHistoryStore` talks to one PostgreSQL database."""

    # Positions are given before commit; without the lock a reader that pages forward could pass one still to come.
    append_lock: "TextClause | None" = text(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, 1)")
    migration_lock: "TextClause | None" = text(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, 2)")

    def __init__(self, url: str, *, timeout: float) -> None:
        try:
            self._url = make_url(url)
        except (exc.ArgumentError, ValueError) as error:
            message = (
                "the PostgreSQL URL cannot be read; write postgresql://user:password@host:port/database (with %XX)"
            )
            raise StorageError(message) from error
        mode = self._url.query.get("sslmode")
        if mode is not None:  # libpq's word for what asyncpg calls ssl
            self._url = self._url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
        shown = self._url.set(drivername="postgresql", query={})
        self.location = shown.render_as_string(hide_password=True)
        self.timeout = timeout

    async def prepare(self) -> None:
        """Do nothing: the database is made by its administrator."""

    def engine(self) -> "AsyncEngine":
        """Return a new engine, which finds out by itself that a connection has died."""
        return create_async_engine(
            self._url,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=self.timeout * 2,
            pool_pre_ping=True,
            connect_args={
                "timeout": self.timeout,
                "command_timeout": COMMAND_TIMEOUT,
                "server_settings": {
                    "application_name": "understage",
                    "lock_timeout": str(int(self.timeout * 1000)),
                    "idle_in_transaction_session_timeout": str(int(COMMAND_TIMEOUT * 1000)),
                },
            },
        )

    def insert(self) -> Any:
        """Return the insert that leaves an existing id alone."""
        return insert(history).on_conflict_do_nothing(index_elements=["id"])

    async def tidy(self) -> None:
        """Do nothing: autovacuum is PostgreSQL's own."""
