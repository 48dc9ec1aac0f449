"""What lives beside the nodes of a pool follows when the manifest is reloaded: triggers, history."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from actors.app import TriggerAnswer, TriggerService
from actors.config.load import load_manifest, parse_manifest
from protocols.history import HistoryQuery
from protocols.triggers import FunctionReturned, TriggerConfigError, TriggerStoppedError
from tests.app import manifest_functions
from tests.app.pool_history import kept, remembered

if TYPE_CHECKING:
    from pathlib import Path

    from actors.config.manifest import Manifest
    from actors.triggers.trigger import Trigger

EVENT = FunctionReturned(source="test", time=0.0, function="f", text="Something happened.")
TICK = "{type: interval, name: tick, every: 3600, prompt: go}"


def timers(**triggers: str) -> Manifest:
    """Return a manifest of agents that say everything again, each with the triggers that are given."""
    agents = "\n".join(
        f"  {name}: {{type: callback, callback: 'tests.app.manifest_functions:{function(name)}', triggers: [{text}]}}"
        for name, text in triggers.items()
    )
    return parse_manifest(f"allow_imports: [tests.app]\nagents:\n{agents}\n")


def function(name: str) -> str:
    return "held" if name == "slow" else "echo"


def trigger_of(pool: AgentPool[Any], name: str) -> Trigger:
    found = pool.service(TriggerService)
    assert found is not None
    return next(one for one in found.plan.triggers if one.full_name == name)


async def test_a_trigger_starts_with_the_manifest_that_has_it_and_ends_with_the_one_that_has_it_not(
    no_leaked_actors: None,
) -> None:
    async with AgentPool[None](timers(a=TICK, b="")) as pool:
        ref, old = pool["b"].ref(), trigger_of(pool, "a/tick")
        triggers = pool.service(TriggerService)
        assert triggers is not None
        answers: asyncio.Queue[TriggerAnswer] = asyncio.Queue()
        triggers.answered.connect(answers.put_nowait)

        assert (await pool.reload(timers(a=TICK, b=TICK))).changed == ()
        assert trigger_of(pool, "a/tick") is old
        await trigger_of(pool, "b/tick").accept(EVENT)
        assert (await answers.get()).node == "b"

        await pool.reload(timers(a="", b=TICK))
        with pytest.raises(TriggerStoppedError):
            await old.accept(EVENT)
        assert pool["b"].ref() == ref


async def test_events_that_wait_for_a_removed_node_are_answered_or_accounted_for(
    monkeypatch: pytest.MonkeyPatch, no_leaked_actors: None
) -> None:
    gate = asyncio.Event()
    monkeypatch.setattr(manifest_functions, "GATE", gate)
    async with AgentPool[None](timers(slow=TICK, b="")) as pool:
        trigger = trigger_of(pool, "slow/tick")
        for _ in range(3):
            await trigger.accept(EVENT)

        reload = asyncio.ensure_future(pool.reload(timers(b="")))
        await asyncio.sleep(0)
        gate.set()
        await reload

        numbers = trigger.statistics()
        assert numbers.completed + numbers.failed + numbers.dead_lettered == numbers.accepted == 3


async def test_a_trigger_that_can_never_work_changes_nothing(no_leaked_actors: None) -> None:
    async with AgentPool[None](timers(a=TICK)) as pool:
        before = trigger_of(pool, "a/tick")

        with pytest.raises(TriggerConfigError, match="never comes due"):
            await pool.reload(timers(a="{type: time, name: t, schedule: 0 0 30 2 *, prompt: x}", new=TICK))

        assert trigger_of(pool, "a/tick") is before
        assert list(pool) == ["a"]


async def test_history_is_kept_of_nodes_that_came_later_and_a_changed_agent_goes_on_where_it_stopped(
    tmp_path: Path, no_leaked_actors: None
) -> None:
    path = tmp_path / "agents.yml"
    text = "storage: {type: sqlite, path: h.db}\nagents:\n  a: {model: test, session: true}\n"
    path.write_text(text, encoding="utf-8")
    async with AgentPool[None](path) as pool:
        await pool["a"].run("First.")

        path.write_text(text.replace("true}", "true, description: New}\n  b: {model: test}"), encoding="utf-8")
        done = await pool.reload()
        await pool["b"].run("Hello.")
        await pool["a"].run("Second.")

        assert (done.changed, done.added) == (("a",), ("b",))
        assert remembered(pool, "a") == 4
        store = await kept(pool)
        assert [one.content for one in await store.query(HistoryQuery(agent="b", role="user"))] == ["Hello."]
    async with AgentPool[None](load_manifest(path)) as pool:
        assert remembered(pool, "a") == 4
