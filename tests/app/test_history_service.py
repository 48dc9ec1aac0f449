"""What the nodes of a pool say is kept, and agents go on where they stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors import AgentPool
from actors.config.load import load_manifest, parse_manifest
from protocols.history import HistoryQuery
from protocols.stores import StorageError
from tests.app.pool_history import history_of, kept, remembered

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
storage: {{type: sqlite, path: history.db}}
agents:
  keen: {{model: test, session: true}}
  named: {{model: test, session: support}}
  fresh: {{model: test}}
  mute: {{model: test, session: false}}
teams:
  both: {{mode: parallel, members: [keen, fresh]}}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT.format(), encoding="utf-8")
    return file


async def test_question_and_answer_are_kept_with_run_and_tokens(manifest: Path, no_leaked_actors: None) -> None:
    async with AgentPool[None](manifest) as pool:
        answer = await pool["keen"].run("What is this?")
        asked, answered = (await (await kept(pool)).query(HistoryQuery(agent="keen")))[::-1]

    assert (asked.role, asked.content) == ("user", "What is this?")
    assert (answered.role, answered.content, answered.id) == ("assistant", answer.text, answer.message_id)
    assert asked.run_id == answered.run_id
    assert answered.tokens == answer.usage.total_tokens > 0
    assert answered.metadata["flow"] == answer.conversation_id


async def test_agents_go_on_after_a_restart_when_their_session_asks_for_it(
    manifest: Path, no_leaked_actors: None
) -> None:
    for _ in range(2):
        async with AgentPool[None](load_manifest(manifest)) as pool:
            for name in ("keen", "named", "fresh", "mute"):
                await pool[name].run("First.")
                await pool[name].run("Second.")

    async with AgentPool[None](load_manifest(manifest)) as pool:
        counts = {name: remembered(pool, name) for name in pool.agents}
        support = await (await kept(pool)).conversation("support")

    assert counts == {"keen": 8, "named": 8, "fresh": 0, "mute": 0}
    assert len(support) == 8


async def test_what_is_said_last_is_kept_though_nobody_waits_for_it(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool["both"].run("Go.")

    async with AgentPool[None](manifest) as pool:
        store = await kept(pool)
        by_node = {one.key: one.messages for one in await store.stats(HistoryQuery(), group_by="agent")}

    assert by_node == {"keen": 2, "fresh": 2, "both": 2}


async def test_a_run_that_is_not_remembered_is_kept_in_a_conversation_of_its_own(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool["named"].run("Secret.", store_history=False)
        store = await kept(pool)
        assert await store.conversation("support") == []
        assert await store.count() == 2


async def test_without_storage_nothing_is_kept() -> None:
    async with AgentPool[None](parse_manifest("agents: {a: {model: test}}")) as pool:
        await pool["a"].run("Go.")
        assert history_of(pool).store is None


async def test_a_store_that_cannot_be_opened_is_a_clear_error_and_leaves_nothing(
    manifest: Path, no_leaked_actors: None
) -> None:
    (manifest.parent / "history.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match=r"history\.db"):
        await AgentPool[None](manifest).__aenter__()
