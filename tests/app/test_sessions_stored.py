"""With `storage` a session goes on after a restart and in another process, and can be deleted everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors import Agent, AgentPool, Team
from actors.app import TriggerAnswer, TriggerService
from actors.storage import open_store
from actors.testing.models import RecordingModel, echo_model
from protocols.history import HistoryQuery
from protocols.triggers import FunctionReturned
from tests.app.pool_history import history_of, kept
from tests.app.session_program import prompts
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
storage: {type: sqlite, path: history.db, batch_delay: 1h}
defaults: {sessions: {most: 1}}
agents:
  helper: {triggers: [{type: interval, name: tick, every: 3600, prompt: p, session: "{metadata[user]}"}]}
  other: {}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def rewritten(manifest: Path, before: str, after: str) -> Path:
    manifest.write_text(TEXT.replace(before, after), encoding="utf-8")
    return manifest


def asked(model: RecordingModel) -> list[str]:
    """Return the prompts in the last request."""
    return prompts(list(model.requests[-1].messages))


def agent_of(pool: AgentPool[Any]) -> Agent[Any, Any]:
    agent = pool["helper"]
    assert isinstance(agent, Agent)
    return agent


async def test_a_session_goes_on_after_a_restart_and_in_another_process(manifest: Path) -> None:
    model = echo_model()
    async with AgentPool[None](manifest, model=model) as pool:
        for name in ("alice", "bob"):
            await pool["helper"].run(f"{name} 1", session=name)
        await history_of(pool).flush()
        async with AgentPool[None](manifest, model=model) as elsewhere:
            await elsewhere["helper"].run("alice 2", session="alice")
            assert asked(model) == ["alice 1", "alice 2"]

    async with AgentPool[None](manifest, model=model) as pool:
        assert agent_of(pool).history == ()
        await pool["helper"].run("alice 3", session="alice")
        assert asked(model) == ["alice 1", "alice 2", "alice 3"]
        await pool["helper"].run("bob 2", session="bob")
        assert asked(model) == ["bob 1", "bob 2"]


async def test_a_session_that_had_to_leave_the_memory_is_read_again(manifest: Path) -> None:
    model = echo_model()
    async with AgentPool[None](manifest, model=model) as pool:
        for name in ("alice", "bob", "alice"):
            await pool["helper"].run(f"{name} again", session=name)

        assert asked(model) == ["alice again", "alice again"]
        assert agent_of(pool).sessions.names() == ("alice",)


async def test_a_reloaded_agent_still_reads_its_sessions(manifest: Path) -> None:
    model = echo_model()
    async with AgentPool[None](manifest, model=model) as pool:
        await pool["helper"].run("before", session="alice")
        await pool.reload(rewritten(manifest, "helper: {", "helper: {description: New, "))
        await pool["helper"].run("after", session="alice")

        assert asked(model) == ["before", "after"]


async def test_a_deleted_session_is_nowhere_any_more(manifest: Path) -> None:
    model = echo_model()
    async with AgentPool[None](manifest, model=model) as pool:
        team = Team([pool["helper"], pool["other"]], name="team")
        await pool.add_node(team)
        for name in ("alice", "bob"):
            await team.run(f"I am {name}.", session=name)
        pool["other"].add_context("about alice", session="alice")
        await pool["other"].complete_tasks()

        assert await pool.forget_session("alice") == 6
        assert await pool.forget_session("alice") == 0
        left = await (await kept(pool)).query(HistoryQuery())
        assert len(left) == 6
        assert "alice" not in str(left)
        await pool["other"].run("Who am I?", session="alice")
        assert "alice" not in str(model.requests[-1].messages)


async def test_a_session_is_not_read_after_its_time(manifest: Path) -> None:
    model = echo_model()
    rewritten(manifest, "most: 1", "most: 1, ttl: 1ms")
    for text in "xy":
        async with AgentPool[None](manifest, model=model) as pool:
            await pool["helper"].run(text, session="alice")

    assert asked(model) == ["y"]


async def test_a_trigger_names_the_session_of_its_runs(manifest: Path) -> None:
    async with AgentPool[None](manifest, model=echo_model()) as pool:
        triggers = pool.service(TriggerService)
        assert triggers is not None
        (trigger,) = triggers.plan.triggers
        answers: list[TriggerAnswer] = []
        triggers.answered.connect(answers.append)
        for user in ("alice", ""):
            await trigger.accept(
                FunctionReturned(source="s", time=0.0, function="f", text="x", metadata={"user": user})
            )
        await wait_until(lambda: answers and trigger.statistics().dead_lettered)

    assert len(answers) == 1
    assert trigger.statistics().dead_lettered == 1  # no session has an empty name
    async with open_store(manifest.parent / "history.db") as store:
        assert await store.count(HistoryQuery(session="alice", agent="helper")) == 2
