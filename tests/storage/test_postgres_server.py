"""The server of the tests: where it is not installed, a skip; where it is required, a failure."""

from __future__ import annotations

import pytest

from tests.storage import postgres_server


@pytest.fixture
def without_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_server, "_programs", lambda: None)


@pytest.mark.usefixtures("without_postgres")
def test_missing_server_skips_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(postgres_server.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="PostgreSQL is not installed"), postgres_server.running_server():
        pass


@pytest.mark.usefixtures("without_postgres")
def test_missing_server_fails_where_servers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres_server.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="requires it"), postgres_server.running_server():
        pass
