"""The process that forks, one for all tests here, and where its lives have their journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.durability.forks import Forks
from tests.durability.order import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storage.postgres_server import PostgresServer

STORES = ("process", "full", "postgres")


@pytest.fixture(scope="package")
def forks() -> Iterator[Forks]:
    with Forks() as made:
        yield made


@pytest.fixture(params=STORES)
def journal(request: pytest.FixtureRequest) -> str:
    """Return where lives have their journal: in a file, by each kind of `sync`, and in a server."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return f"url: '{server.url}'"
    return f"{JOURNAL}, sync: {request.param}"
