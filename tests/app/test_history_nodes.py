"""Nodes that come to a running pool, and go, are kept in history like those of the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors import Agent, AgentPool
from actors.config.load import load_manifest, parse_manifest
from protocols.errors import NodeStartError
from protocols.history import HistoryQuery
from protocols.stores import StoreUnavailableError
from tests.app.pool_history import contents, history_of, kept, remembered

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
storage: {type: sqlite, path: history.db, batch_delay: 1h}
agents:
  first: {model: test}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def upper() -> Agent[object, str]:
    return Agent.from_callback(str.upper, name="upper")


async def test_added_agents_nodes_and_named_teams_are_kept(manifest: Path, no_leaked_actors: None) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool.add_agent("late", model="test")
        await pool.add_node(upper())
        both = pool.create_team(["late", "upper"], name="both")
        chain = pool.create_team_run(["upper", "first"], name="chain")
        await both.run("One.")
        await chain.run("Two.")
        store = await kept(pool)
        by_node = {one.key: one.messages for one in await store.stats(HistoryQuery(), group_by="agent")}

    assert by_node == {"late": 2, "upper": 4, "first": 2, "both": 2, "chain": 2}


async def test_a_team_without_a_name_leaves_what_its_members_say(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool.add_node(upper())
        await pool.create_team(["first", "upper"]).run("One.")
        by_node = {one.key for one in await (await kept(pool)).stats(HistoryQuery(), group_by="agent")}

    assert by_node == {"first", "upper"}


async def test_a_node_that_is_removed_is_kept_until_then(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool, AgentPool[None]() as other:
        node = upper()
        await pool.add_node(node)
        await node.run("kept")
        await pool.remove_node("upper")
        await other.add_node(node)
        await node.run("not kept")
        assert await contents(await kept(pool), agent="upper") == ["kept", "KEPT"]


async def test_a_replaced_node_goes_on_in_the_same_history(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool.add_node(upper())
        await pool["upper"].run("old")
        await pool.replace_node("upper", Agent.from_callback(str.title, name="upper"))
        await pool["upper"].run("new")
        assert await contents(await kept(pool), agent="upper") == ["old", "OLD", "new", "New"]


async def test_a_node_that_takes_a_place_under_another_name_is_kept(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool.replace_node("first", upper())
        await pool["upper"].run("new")
        assert await contents(await kept(pool), agent="upper") == ["new", "NEW"]


RELOADED = """
storage: {type: sqlite, path: history.db, batch_delay: 1h}
agents:
  first: {model: test, system_prompt: Changed., session: {session}}
  second: {model: test, connections: [{type: file, path: out.txt}]}
"""


def rewritten(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(("session", "remembers", "conversations"), [("null", 2, 2), ("true", 4, 1)])
async def test_history_goes_on_over_a_reload(manifest: Path, session: str, remembers: int, conversations: int) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool["first"].run("before")
        await pool.reload(rewritten(manifest, RELOADED.replace("{session}", session)))
        await pool["first"].run("after")
        await pool["second"].run("new")
        store = await kept(pool)
        assert await contents(store, role="user") == ["before", "after", "new"]
        assert remembered(pool, "first") == remembers
        assert len(await store.conversations("first")) == conversations


async def test_a_node_that_is_taken_out_and_put_back_is_kept_once(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        node = upper()
        for _ in range(3):
            await pool.add_node(node)
            await pool.remove_node("upper")
        await pool.add_node(node)
        await node.run("once")
        assert await contents(await kept(pool), agent="upper") == ["once", "ONCE"]


@pytest.mark.parametrize("session", [True, "support", 100_000])
async def test_an_agent_added_to_a_running_pool_goes_on_with_what_was_just_said(
    manifest: Path, session: bool | str | int
) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool.add_agent("late", model="test", session=session)
        await pool["late"].run("One.")  # is not written for an hour, unless somebody asks for it
        await pool.remove_node("late")
        late = await pool.add_agent("late", model="test", session=session)
        assert remembered(pool, "late") == 2
        await late.run("Two.")
        store = await kept(pool)
        conversations = await store.conversations("late")
        (name,) = {one.conversation_id for one in conversations}

    assert name == "support" or session != "support"
    assert conversations[0].messages == 4


async def test_an_agent_that_remembers_already_keeps_its_memory(manifest: Path) -> None:
    old, new = (Agent("late", model="test", session=True) for _ in range(2))
    for agent, expected in ((old, 2), (new, 4), (old, 4)):
        async with AgentPool[None](manifest) as pool:
            await pool.add_node(agent)
            await agent.run("One more.")
            assert remembered(pool, "late") == expected


async def test_without_a_session_an_added_agent_starts_anew_in_a_conversation_of_its_own(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        for _ in range(2):
            await pool.add_agent("late", model="test")
            await pool["late"].run("One.")
            await pool.remove_node("late")
        assert len(await (await kept(pool)).conversations("late")) == 2


async def test_an_agent_without_history_leaves_nothing_until_its_settings_change(manifest: Path) -> None:
    mute, heard = Agent("late", model="test", session=False), Agent("late", model="test")
    async with AgentPool[None](manifest) as pool:
        await pool.add_node(mute)
        await mute.run("secret")
        mute.reconfigure(heard)
        await mute.run("heard")
        assert "secret" not in await contents(await kept(pool))
        assert "heard" in await contents(await kept(pool))


async def test_an_agent_whose_conversation_cannot_be_read_is_not_added(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, no_leaked_actors: None
) -> None:
    async with AgentPool[None](manifest) as pool:
        store = history_of(pool).store

        async def fail(*_: object, **__: object) -> None:
            text = "is down"
            raise StoreUnavailableError(text, location="here")

        monkeypatch.setattr(store, "query", fail)
        with pytest.raises(NodeStartError, match=r"node 'late' could not be started: history store 'here': is down"):
            await pool.add_agent("late", model="test", session="support")
        assert "late" not in pool
        await pool.add_agent("late", model="test")
        await pool["late"].run("One.")


async def test_a_restored_conversation_is_the_remembered_one_not_a_run_beside_it(manifest: Path) -> None:
    for expected in (0, 2):
        async with AgentPool[None](load_manifest(manifest)) as pool:
            agent = await pool.add_agent("late", model="test", session=True)
            assert remembered(pool, "late") == expected
            await agent.run("One.")
            await agent.run("Beside.", store_history=False)


async def test_a_session_without_a_store_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with AgentPool[None](parse_manifest("agents: {a: {model: test, session: true}, b: {model: test}}")):
        pass

    (record,) = [one for one in caplog.records if "session" in one.getMessage()]
    assert "agent 'a': nothing is stored that its session could go on with; add `storage`" in record.getMessage()
