"""What the tests of a pool's history share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors import Agent, AgentPool
from actors.app import HistoryService
from protocols.history import HistoryQuery

if TYPE_CHECKING:
    import pytest

    from actors.config.manifest import Manifest
    from protocols.stores import HistoryStore


def use(monkeypatch: pytest.MonkeyPatch, *stores: HistoryStore) -> None:
    """Let pools whose manifest has `storage` use these stores."""

    def given(_: Manifest) -> tuple[HistoryStore, ...]:
        return stores

    monkeypatch.setattr("actors.app.history_service.history_stores", given)


def history_of(pool: AgentPool[Any]) -> HistoryService:
    """Return what keeps the history of a running pool."""
    history = pool.service(HistoryService)
    assert history is not None
    return history


async def kept(pool: AgentPool[Any]) -> HistoryStore:
    """Return the first store, with everything in it that has been said."""
    history = history_of(pool)
    await history.flush()
    assert history.store is not None
    return history.store


async def contents(store: HistoryStore, **conditions: Any) -> list[str]:
    """Return what was said, oldest first."""
    found = await store.query(HistoryQuery(newest_first=False, **conditions))
    return [one.content for one in found]


def remembered(pool: AgentPool[Any], name: str) -> int:
    """Return how many messages an agent has in its memory."""
    agent = pool[name]
    assert isinstance(agent, Agent)
    return len(agent.history)
