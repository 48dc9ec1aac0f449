"""A real PostgreSQL server on loopback, in a directory of its own: one for all tests of a session."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

REQUIRED = "UNDERSTAGE_REQUIRE_SERVERS"
DEBIAN = Path("/usr/lib/postgresql")
SETTINGS = "-c fsync=off -c shared_buffers=16MB -c max_connections=30 -c listen_addresses=127.0.0.1"


class PostgresServer:
    """One server; `stop` and `start` are a database that goes down and comes back."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self.port = _free_port()
        self.password = secrets.token_urlsafe(16)
        self._programs = programs
        self._data = directory / "data"
        self._log = directory / "server.log"
        self._socket_directory = directory
        self._user = _server_user()
        if self._user is not None:
            shutil.chown(directory, self._user)
        self._initialise(directory / "password")

    @property
    def url(self) -> str:
        """Where it listens, with the password."""
        return f"postgresql://tester:{self.password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start and wait until it takes connections."""
        options = f"{SETTINGS} -c port={self.port} -c unix_socket_directories={self._socket_directory}"
        self._run("pg_ctl", "start", "-w", "-t", "60", "-D", str(self._data), "-l", str(self._log), "-o", options)

    def stop(self) -> None:
        """Stop at once, breaking all connections as a crash would."""
        self._run("pg_ctl", "stop", "-w", "-t", "60", "-D", str(self._data), "-m", "immediate")

    async def execute(self, *statements: str) -> None:
        """Run SQL from outside of any store."""
        driver: Any = import_module("asyncpg")  # here, for this file is imported before all tests
        connection = await driver.connect(self.url)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def value(self, query: str) -> Any:
        """Return the one value of a query, from outside of any store."""
        driver: Any = import_module("asyncpg")
        connection = await driver.connect(self.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def empty(self) -> None:
        """Remove all tables."""
        found = "SELECT nspname FROM pg_namespace WHERE nspname = 'public' OR nspname LIKE 'understage%'"
        drop = f"FOR name IN {found} LOOP EXECUTE 'DROP SCHEMA ' || name || ' CASCADE'; END LOOP"
        await self.execute(f"DO $$ DECLARE name text; BEGIN {drop}; END $$", "CREATE SCHEMA public")

    def _initialise(self, password_file: Path) -> None:
        password_file.write_text(self.password)
        password_file.chmod(0o600)
        if self._user is not None:
            shutil.chown(password_file, self._user)
        self._run(
            "initdb", "-D", str(self._data), "-U", "tester", "-A", "scram-sha-256", f"--pwfile={password_file}",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        # Output goes to a file: the server that pg_ctl leaves behind would keep a pipe open.
        with tempfile.TemporaryFile("w+") as output:
            command: Sequence[str] = [str(self._programs / program), *arguments]
            done = subprocess.run(
                command, check=False, stdout=output, stderr=output, stdin=subprocess.DEVNULL, user=self._user, cwd="/"
            )
            if done.returncode != 0:
                output.seek(0)
                log = self._log.read_text() if self._log.exists() else ""
                pytest.fail(f"{program} failed: {output.read()}{log}")


@contextmanager
def running_server() -> Generator[PostgresServer]:
    """Run a server; skip the test where PostgreSQL is not installed, unless servers are required."""
    programs = _programs()
    if programs is None:
        reason = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{reason}, and {REQUIRED}=1 requires it")
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="understage-postgres-") as directory:
        server = PostgresServer(programs, Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Generator[PostgresServer]:
    """One server for all tests of a session. It is a daemon, so it is no child of the process that runs the tests."""
    with running_server() as server:
        yield server


@pytest.fixture
async def postgres(postgres_server: PostgresServer) -> PostgresServer:
    """Return the server without tables."""
    await postgres_server.empty()
    return postgres_server


def is_installed() -> bool:
    """Return True if a server can be started here."""
    return _programs() is not None


def _programs() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


def _server_user() -> str | None:
    """Return the account to run under: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
