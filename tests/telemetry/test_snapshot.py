"""Every metric says what happened in a real pool."""

from __future__ import annotations

import asyncio
import gc
import weakref
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.usage import RequestUsage

from actors import Agent, Budget, ModelPolicy
from actors.app import TriggerService
from actors.config.load import parse_manifest
from actors.runtime.actor import AsyncioActor
from actors.runtime.mailbox import MailboxConfig
from actors.stats.projection import OTHERS
from actors.telemetry import PoolMetrics, snapshot
from actors.telemetry.metrics import METRICS
from actors.testing.models import failing_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import UnderstageError
from protocols.mailbox import MailboxFullError
from tests.support.policy import BUSY, NO_WAIT, ended
from tests.telemetry.pools import counted_pool, told

if TYPE_CHECKING:
    from pathlib import Path

    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


async def read(pool: Any) -> dict[str, dict[str, float]]:
    return (await PoolMetrics(pool).read()).values


def fails(text: str) -> str:
    raise ValueError(f"no luck with {text}")


class Stuck(AsyncioActor):
    """Handles its first message until it is told to go on."""

    def __init__(self, release: asyncio.Event) -> None:
        super().__init__()
        self.release = release

    async def on_receive(self, message: Any) -> None:
        await self.release.wait()


async def test_runs_are_counted_by_how_they_end(actor_system: ActorSystem) -> None:
    release = asyncio.Event()
    async with counted_pool(actor_system) as pool:
        slow = slow_model(release, "yes")
        agent = await pool.add_agent("a", model=slow)
        await pool.add_node(Agent.from_callback(fails, name="broken"))
        await pool.add_agent("idle", model="offline")
        with pytest.raises(ValueError, match="no luck"):
            await pool["broken"].run("x")
        cancelled = asyncio.ensure_future(agent.run("x", session="1"))
        await slow.started.wait()
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        running = asyncio.ensure_future(agent.run("x", session="2"))
        await settle()
        flying = await read(pool)
        release.set()
        await running
        done = await PoolMetrics(pool).read()

    names = ("started", "active", "completed", "failed", "cancelled")
    table = {node: [done.values[f"understage.run.{name}"][node] for name in names] for node in ("a", "broken", "idle")}
    assert table == {"a": [2, 0, 1, 0, 1], "broken": [1, 0, 0, 1, 0], "idle": [0, 0, 0, 0, 0]}
    assert flying["understage.run.active"] == {"a": 1, "broken": 0, "idle": 0}
    assert {node: sum(totals.counts) for node, totals in done.durations.items()} == {"a": 2, "broken": 1, "idle": 0}


async def test_tokens_and_money_are_those_of_the_answers(actor_system: ActorSystem) -> None:
    usage = RequestUsage(input_tokens=30, output_tokens=4)
    usage.cost = Decimal("0.25")
    priced = ModelResponse([TextPart("yes")], usage=usage)
    async with counted_pool(actor_system) as pool:
        agent = await pool.add_agent("a", model=scripted_model([priced, priced], name="big"))
        await agent.run("x")
        await agent.run("x")
        values = await read(pool)

    assert values["understage.run.input_tokens"]["a"] == 60
    assert values["understage.run.output_tokens"]["a"] == 8
    assert values["understage.run.cost"]["a"] == 0.5
    assert values["understage.model.requests"] == {"big": 2}
    assert values["understage.model.input_tokens"] == {"big": 60}
    assert values["understage.model.output_tokens"] == {"big": 8}


async def test_a_model_that_fails_shows_retries_failures_and_its_breaker(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    policy = ModelPolicy(attempts=2, min_wait=0, breaker_after=3, probe_after=30)
    async with counted_pool(actor_system) as pool:
        agent = await pool.add_agent("a", model=failing_model(BUSY, times=3, name="shaky"), policy=policy)
        shown: list[list[float]] = []
        for _ in range(2):
            with pytest.raises(UnderstageError):
                await ended(agent.run("x"), manual_clock)
            values = await read(pool)
            shown.append(
                [values[f"understage.model.{name}"]["shaky"] for name in ("requests", "failed", "retries", "breaker")]
            )
        await manual_clock.advance(30)
        await agent.run("x")
        values = await read(pool)

    assert shown == [[1, 1, 1, 0], [2, 2, 1, 1]]
    assert values["understage.model.breaker"] == {"shaky": 0}


async def test_budgets_say_what_is_left(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    usage = RequestUsage(input_tokens=90, output_tokens=10)
    usage.cost = Decimal("0.25")
    answer = ModelResponse([TextPart("yes")], usage=usage)
    async with counted_pool(actor_system, budget=Budget(requests=5, seconds=60)) as pool:
        model = scripted_model([answer])
        agent = await pool.add_agent("a", model=model, budget=Budget(tokens=1_000, cost=1))
        await pool.add_agent("free", model="offline")
        before = await read(pool)
        await agent.run("x")
        await manual_clock.advance(15)
        after = await read(pool)

    names = ("tokens", "cost", "requests", "seconds")
    assert [before[f"understage.budget.{name}"] for name in names] == [
        {"a": 1_000},
        {"a": 1},
        {"(pool)": 5},
        {"(pool)": 60},
    ]
    assert [after[f"understage.budget.{name}"] for name in names] == [
        {"a": 900},
        {"a": 0.75},
        {"(pool)": 4},
        {"(pool)": 45},
    ]


async def test_mailboxes_show_what_waits_and_what_they_refuse(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    release = asyncio.Event()
    async with counted_pool(actor_system) as pool:
        ref = actor_system.start(Stuck, (release,), name="stuck")
        ref.actor_inbox.limit(MailboxConfig(capacity=2))
        ref.tell("handled")
        await settle()
        ref.tell("waits")
        await manual_clock.advance(3)
        ref.tell("waits")
        with pytest.raises(MailboxFullError):
            ref.tell("refused")
        waiting = await read(pool)
        release.set()
        await settle()
        after = await read(pool)

    assert (waiting["understage.mailbox.depth"]["stuck"], waiting["understage.mailbox.age"]["stuck"]) == (2, 3)
    assert waiting["understage.mailbox.overflow"]["stuck"] == 1
    assert (after["understage.mailbox.depth"]["stuck"], after["understage.mailbox.age"]["stuck"]) == (0, 0)
    assert after["understage.actor.handled"]["stuck"] == 3


async def test_restarts_failures_and_dead_letters_are_counted(actor_system: ActorSystem) -> None:
    async with counted_pool(actor_system) as pool:
        agent = await pool.add_agent("a", model=failing_model(ValueError("no"), times=1))
        agent.crash_on = (ValueError,)
        with pytest.raises(ValueError, match="no"):
            await agent.run("x")
        await settle()
        await agent.run("x")
        gone = await actor_system.start(Stuck, (asyncio.Event(),), name="gone").ready()
        await gone.stop(block=False)
        with pytest.raises(UnderstageError):
            gone.tell("x")
        values = await read(pool)

    assert values["understage.actor.restarts"]["a"] == 1
    assert values["understage.actor.failed"]["a"] == 1
    assert values["understage.actor.handled"]["a"] == 1
    assert values["understage.dead_letters"]["dead"] == 1


async def test_what_an_actor_has_counted_stays_after_its_end(actor_system: ActorSystem) -> None:
    release = asyncio.Event()
    release.set()
    counts: list[float] = []
    async with counted_pool(actor_system) as pool:
        metrics = PoolMetrics(pool)
        for _ in range(3):  # actors of one name, one after the other
            ref = actor_system.start(Stuck, (release,), name="short")
            await metrics.read()
            ref.tell("x")
            await ref.stop(block=False)
            counts.append((await metrics.read()).values["understage.actor.handled"]["short"])

    assert counts == [1, 2, 3]


async def test_the_event_loop_turns_while_many_actors_and_nodes_are_looked_at(
    actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_SLICE", 0.0)
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        actor_system.loop.call_soon(turn)

    async with counted_pool(actor_system) as pool:
        for number in range(20):
            await pool.add_node(Agent.from_callback(str.upper, name=f"n{number}"))
            await pool[f"n{number}"].run("x")
        metrics = PoolMetrics(pool)
        turn()
        before = turns
        await metrics.read()
        assert turns - before > 4 * 20  # the actors, the nodes twice, and their models
        monkeypatch.setattr(snapshot, "_SLICE", 1e9)
        before = turns
        await metrics.read()
        assert turns - before < 20


async def test_a_reader_holds_no_actor_that_has_ended(actor_system: ActorSystem) -> None:
    release = asyncio.Event()
    async with counted_pool(actor_system) as pool:
        metrics = PoolMetrics(pool)
        ref = actor_system.start(Stuck, (release,), name="short")
        cell = next(cell for cell in actor_system.cells if cell.name == "short")
        actor, given = weakref.ref(cell.actor), weakref.ref(release)
        release.set()
        await ref.ask("x")
        await metrics.read()
        await ref.stop()
        del release, cell, ref
        await settle()
        gc.collect()
        assert (actor(), given()) == (None, None)
        assert (await metrics.read()).values["understage.actor.handled"]["short"] == 1


async def test_triggers_count_events_and_runs(actor_system: ActorSystem) -> None:
    async with counted_pool(actor_system) as pool:
        triggers = pool.service(TriggerService)
        assert triggers is not None
        for name, function in (("good", str.upper), ("bad", fails)):
            await pool.add_node(Agent.from_callback(function, name=name))
            for trigger in ("one", "two"):
                events = await triggers.events(name, name=trigger)
                events.track("saved")(str)(5)
        await settle()
        values = await read(pool)

    assert values["understage.trigger.accepted"] == {"good": 2, "bad": 2}
    assert values["understage.trigger.completed"] == {"good": 2, "bad": 0}
    assert values["understage.trigger.failed"] == {"good": 0, "bad": 2}


async def test_durable_nodes_show_what_they_have_not_handled(actor_system: ActorSystem, tmp_path: Path) -> None:
    release = asyncio.Event()

    async def wait(text: str) -> str:
        await release.wait()
        return text

    async with counted_pool(actor_system, parse_manifest("agents: {}"), journal=tmp_path / "x.journal") as pool:
        await pool.add_node(Agent.from_callback(wait, name="clerk", durable=True))
        tickets = [await pool["clerk"].submit(text) for text in "ab"]
        before = await read(pool)
        release.set()
        await asyncio.gather(*(ticket.answer() for ticket in tickets))
        after = await read(pool)

    assert before["understage.durable.open"] == {"clerk": 2}
    assert after["understage.durable.open"] == {"clerk": 0}


# -- what is never told, and how much at most -------------------------------------------------------------------------

CANARY = "canary-0123456789"


async def test_no_text_of_a_run_is_told(actor_system: ActorSystem) -> None:
    def tool(text: str) -> str:
        raise ValueError(f"tool {CANARY} {text}")

    async with counted_pool(actor_system) as pool:
        await pool.add_agent("a", model="offline", system_prompt=CANARY, tools=[tool])
        await pool.add_agent("bad", model=failing_model(RuntimeError(CANARY)), policy=NO_WAIT)
        with pytest.raises(ValueError, match=CANARY):
            await pool["a"].run(f"Call tool with {CANARY}.", session=CANARY, conversation_id=CANARY)
        with pytest.raises(RuntimeError):
            await pool["bad"].run(CANARY)
        answer = await pool["a"].run(CANARY, session=CANARY)
        text = str(await PoolMetrics(pool).read())

    assert CANARY not in text
    assert str(answer.message_id) not in text
    assert str(answer.conversation_id) not in text


async def test_labels_are_limited_and_the_rest_is_counted_together(
    actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "MOST_VALUES", 4)
    async with counted_pool(actor_system) as pool:
        for number in range(10):
            agent = await pool.add_agent(f"n{number}", model=scripted_model(["yes"] * 2, name=f"m{number}"))
            await agent.run("x")
        metrics = PoolMetrics(pool)
        values = (await metrics.read()).values
        await pool["n9"].run("x")
        later = await metrics.read()

    assert all(len(by_label) <= 5 for by_label in values.values())
    assert values["understage.run.started"] == {"n0": 1, "n1": 1, "n2": 1, "n3": 1, OTHERS: 6}
    assert values["understage.model.requests"] == {"m0": 1, "m1": 1, "m2": 1, "m3": 1, OTHERS: 6}
    assert sum(values["understage.actor.handled"].values()) >= 10
    assert later.values["understage.run.started"] == {"n0": 1, "n1": 1, "n2": 1, "n3": 1, OTHERS: 7}
    assert sum(later.durations[OTHERS].counts) == 7
    assert told(later)["understage.run.started"] == later.values["understage.run.started"]


async def test_odd_names_can_be_told(actor_system: ActorSystem) -> None:
    names = ['"quoted"', "two\nlines", "back\\slash", "half \ud800", "x" * 1_000, "rtl \u202e"]
    async with counted_pool(actor_system) as pool:
        for name in names:
            await pool.add_node(Agent.from_callback(str.upper, name=name))
            await pool[name].run("x")
        numbers = told(await PoolMetrics(pool).read())["understage.run.completed"]

    assert len(numbers) == len(names)
    assert set(numbers.values()) == {1}
    assert all(len(name) <= 100 for name in numbers)


async def test_a_snapshot_names_only_known_metrics_and_is_empty_without_a_running_pool(
    actor_system: ActorSystem,
) -> None:
    async with counted_pool(actor_system) as pool:
        metrics = PoolMetrics(pool)
        running = await metrics.read()
    assert set(running.values) <= set(METRICS)
    assert await metrics.read() is running
    assert (await PoolMetrics(pool).read()).values == {}
