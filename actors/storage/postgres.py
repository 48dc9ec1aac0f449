"""PostgreSQL through asyncpg as a backend of history."""

import re
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import URL, TextClause, exc, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from actors.storage.sql import SqlBackend
from protocols.stores import StorageError

CONNECTIONS = 5
COMMAND_TIMEOUT = 60.0
"""Seconds after which a statement on a silent connection counts as failed."""
LOCK_CLASS = 0x48_49_53_54
"""First key of our advisory locks, so that they meet no other program's."""
_LIBPQ = re.compile(
    "application_name|gsslib|krbsrvname|options|passfile|service|ssl(cert|crl|key|mode|negotiation|password|rootcert)"
    "|ssl_(max|min)_protocol_version|target_session_attrs"
)
"""Options of libpq that asyncpg reads in an address only."""
_NEEDLESS = re.compile(
    "(client_encoding|connect_timeout|fallback_application_name|keepalives(_.*)?|tcp_user_timeout)=.*"
    "|(channel_binding|gssencmode)=(?!require).*"
)
"""Options of libpq that change nothing for asyncpg."""


class PostgresBackend(SqlBackend):
    """How `SqlHistoryStore` talks to one PostgreSQL database."""

    def __init__(self, url: str, *, timeout: float, read_only: bool = False) -> None:
        try:
            self._url = make_url(url)
        except (exc.ArgumentError, ValueError) as error:
            raise StorageError(
                "the PostgreSQL URL cannot be read; write postgresql://user:password@host:port/database (with %XX)"
            ) from error
        # Positions are given before commit; without the lock a reader that pages forward could pass one still to come.
        self.append_lock, self.migration_lock = (_lock(number, timeout) for number in (1, 2))
        self.read_only = read_only
        shown = self._url.set(drivername="postgresql", query={})
        self.location = shown.render_as_string(hide_password=True)
        self.timeout = timeout

    def engine(self) -> AsyncEngine:
        """Return a new engine, which finds out by itself that a connection has died.

        It works behind PgBouncer: no settings at the start of a connection, no prepared statement with a name.
        """
        url, arguments = self._connecting()
        return create_async_engine(
            url,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=self.timeout * 2,
            pool_pre_ping=True,
            connect_args=arguments | {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str},
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `asyncpg.connect` for one connection, as the engine gives them."""
        url, arguments = self._connecting()
        _, given = url.get_dialect()().create_connect_args(url)
        return {**given, **arguments}

    def _connecting(self) -> tuple[URL, dict[str, Any]]:
        """Return the URL for SQLAlchemy, and what it does not read out of it."""
        given = dict(self._url.query)
        libpq = {"application_name": "understage"} | {key: given.pop(key) for key in [*given] if _LIBPQ.fullmatch(key)}
        wait = str(given.get("connect_timeout", ""))
        query = {key: given[key] for key in given if not _NEEDLESS.fullmatch(f"{key}={given[key]}")}
        return self._url.set(query=query), {
            "dsn": f"postgresql://?{urlencode(libpq, doseq=True, quote_via=quote)}",
            "timeout": float(wait) if wait.isdecimal() and int(wait) else self.timeout,
            "command_timeout": COMMAND_TIMEOUT,
            "statement_cache_size": 0,
        }


def _lock(number: int, timeout: float) -> TextClause:
    """Return the statement that limits the waits of its transaction, then takes a lock until the end of it."""
    limits = {"lock_timeout": timeout, "idle_in_transaction_session_timeout": COMMAND_TIMEOUT}
    settings = "".join(f"set_config('{name}', '{int(limit * 1000)}', true), " for name, limit in limits.items())
    return text(f"SELECT {settings}pg_advisory_xact_lock({LOCK_CLASS}, {number})")
