"""Both exporters say the same of one snapshot, in any thread, and hold nothing up."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from actors import Agent, Budget
from actors.runtime.system import ActorSystem
from actors.stats.event_totals import BOUNDS
from actors.stats.stats_actor import ReadStats, StatsActor
from actors.telemetry import PoolMetrics, otel_metrics, snapshot
from actors.telemetry.prometheus import PrometheusCollector, exposition
from actors.testing.models import failing_model
from actors.testing.settle import settle
from protocols.brief_events import RunAnswered
from tests.telemetry.pools import Exporter, Numbers, counted_pool, in_prometheus, told

if TYPE_CHECKING:
    from actors.testing.clock import ManualClock

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


@pytest.fixture
def exporter() -> Any:
    made = Exporter()
    yield made
    made.provider.shutdown()


def ran(numbers: Numbers) -> Numbers:
    """Leave out histograms without a run, which OpenTelemetry does not export."""
    runs = numbers["understage.run.duration count"]
    is_duration = "understage.run.duration"
    return {
        name: {label: number for label, number in by_label.items() if not name.startswith(is_duration) or runs[label]}
        for name, by_label in numbers.items()
    }


async def test_both_exporters_say_the_same_of_one_snapshot(actor_system: ActorSystem, exporter: Exporter) -> None:
    async with counted_pool(actor_system, budget=Budget(tokens=10_000)) as pool:
        await pool.add_agent("a", model="offline")
        await pool.add_agent("bad", model=failing_model(ValueError("no")))
        metrics = otel_metrics(pool, exporter.provider)
        for name, runs in (("a", 3), ("bad", 2), ("a", 1)):
            await asyncio.gather(*(pool[name].run("The cat sleeps.") for _ in range(runs)), return_exceptions=True)
            numbers = await exporter.collected()
            expected = ran(told(metrics.last))
            sums = [found.pop("understage.run.duration sum") for found in (numbers, expected)]

            assert numbers == expected
            assert sums[0] == pytest.approx(sums[1])

    assert numbers["understage.run.completed"] == {"a": 4, "bad": 0}
    assert numbers["understage.run.duration count"] == {"a": 4, "bad": 2}


async def test_the_classes_of_duration_are_exact_in_both(actor_system: ActorSystem, exporter: Exporter) -> None:
    edges = [*BOUNDS, *(bound * 1.000_000_000_1 for bound in BOUNDS), 0.0, 1e-9, 5_000.0, float("nan"), float("inf")]
    async with counted_pool(actor_system) as pool:
        metrics = otel_metrics(pool, exporter.provider)
        for seconds in edges:
            count = actor_system.events.count
            assert count is not None
            count(RunAnswered("a", "r", 1, seconds, is_whole=True))
            await exporter.collected()
        numbers, expected = await exporter.collected(), told(metrics.last)

    classes = [name for name in expected if " bucket " in name]
    assert len(classes) == len(BOUNDS) + 1
    assert {name: numbers[name] for name in classes} == {name: expected[name] for name in classes}
    assert expected["understage.run.duration count"] == {"a": len(edges) - 2}
    assert numbers["understage.run.duration sum"]["a"] == pytest.approx(expected["understage.run.duration sum"]["a"])


async def test_a_registry_of_the_user_collects_in_a_thread(actor_system: ActorSystem) -> None:
    async with counted_pool(actor_system) as pool:
        await pool.add_node(Agent.from_callback(str.upper, name="a"))
        registry = CollectorRegistry()
        registry.register(PrometheusCollector(PoolMetrics(pool).current))
        await pool["a"].run("x")
        text = (await asyncio.to_thread(generate_latest, registry)).decode()

    assert in_prometheus(text)["understage.run.completed"] == {"a": 1}


async def test_on_the_event_loop_the_last_snapshot_is_told_and_a_new_one_is_read(actor_system: ActorSystem) -> None:
    async with counted_pool(actor_system) as pool:
        await pool.add_node(Agent.from_callback(str.upper, name="a"))
        metrics = PoolMetrics(pool)
        await pool["a"].run("x")
        first = metrics.current()
        await settle()
        second = metrics.current()
        await settle()

    assert first.values == {}
    assert second.values["understage.run.completed"] == {"a": 1}


async def test_a_thread_does_not_wait_for_a_blocked_event_loop(
    actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PATIENCE", 0.0)
    async with counted_pool(actor_system) as pool:
        metrics = PoolMetrics(pool)
        known = await metrics.read()
        with ThreadPoolExecutor(1) as threads:
            got = threads.submit(metrics.current).result()  # blocks the loop until the thread has given up
        await settle()

    assert got is known


class Busy(StatsActor):
    """Answers no question while `release` is not set."""

    release: asyncio.Event

    async def on_receive(self, message: Any) -> Any:  # type: ignore[override]
        if isinstance(message, ReadStats):
            await self.release.wait()
        return super().on_receive(message)


async def test_stats_that_do_not_answer_keep_their_last_numbers(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    Busy.release = asyncio.Event()
    Busy.release.set()
    await actor_system.start(Busy, name="stats").ready()
    async with counted_pool(actor_system, counts=False) as pool:
        await pool.add_node(Agent.from_callback(str.upper, name="a"))
        metrics = PoolMetrics(pool)
        await pool["a"].run("x")
        await metrics.read()
        Busy.release.clear()
        await pool["a"].run("x")
        reading = asyncio.ensure_future(metrics.read())
        await settle()
        assert not reading.done()
        await manual_clock.advance(1.0)
        values = (await reading).values
        Busy.release.set()

    assert values["understage.run.completed"] == {"a": 1}
    assert values["understage.actor.handled"]["a"] == 2


async def test_without_stats_there_are_no_numbers_of_runs_and_nothing_is_subscribed(actor_system: ActorSystem) -> None:
    async with counted_pool(actor_system, counts=False) as pool:
        await pool.add_node(Agent.from_callback(str.upper, name="a"))
        await pool["a"].run("x")
        values = (await PoolMetrics(pool).read()).values
        assert actor_system.events.count is None
        assert not actor_system.events.is_heard

    assert "understage.run.completed" not in values
    assert values["understage.actor.handled"]["a"] == 1


async def test_those_who_ask_at_the_same_time_get_the_same(actor_system: ActorSystem) -> None:
    async with counted_pool(actor_system) as pool:
        metrics = PoolMetrics(pool)
        first, second, third = await asyncio.gather(metrics.read(), metrics.read(), metrics.read())
        later = await metrics.read()

    assert first is second is third
    assert later is not first


async def test_an_export_after_the_end_of_the_pool_tells_the_last_numbers(exporter: Exporter) -> None:
    async with ActorSystem("other") as system, counted_pool(system) as pool:
        await pool.add_node(Agent.from_callback(str.upper, name="a"))
        otel_metrics(pool, exporter.provider)
        await pool["a"].run("x")
        before = await exporter.collected()
    after = await exporter.collected()

    assert after == before


@pytest.mark.parametrize("accept", ["", "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"])
async def test_text_is_in_the_format_that_is_asked_for(actor_system: ActorSystem, accept: str) -> None:
    async with counted_pool(actor_system) as pool:
        text, kind = exposition(await PoolMetrics(pool).read(), accept)

    assert kind.startswith(accept.partition(";")[0] or "text/plain")
    assert text.decode().endswith("# EOF\n") == ("openmetrics" in accept)
