"""The spans of runs form the tree of the runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from actors import Agent, AgentPool
from actors.telemetry import Tracing, conventions
from actors.testing.models import scripted_model, tool_call
from actors.testing.settle import settle
from tests.support.nodes import echo_agent, echo_model_agent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from actors.testing.clock import ManualClock
    from tests.telemetry.conftest import Traced

Pool = AgentPool[Any]


async def tool(pool: Pool, _: ManualClock) -> None:
    await pool.add_node(echo_model_agent("inner"))

    async def ask(text: str) -> str:
        return (await pool["inner"].run(text)).text

    await pool.add_agent("outer", model=scripted_model([tool_call("ask", text="x"), "done"]), tools=[ask])
    await pool["outer"].run("go")


async def team(pool: Pool, _: ManualClock) -> None:
    for name in ("a", "b", "c"):
        await pool.add_node(echo_model_agent(name))
    await pool.create_team(["a", "b", "c"], name="team").run("go")


async def chain(pool: Pool, _: ManualClock) -> None:
    for name in ("a", "b", "c"):
        await pool.add_node(echo_agent(name))
    await pool.create_team_run(["a", "b", "c"]).run("go")


def joined(text: str) -> str:
    return f"joined {text}"


async def nested(pool: Pool, _: ManualClock) -> None:
    for name in ("a", "b", "c"):
        await pool.add_node(echo_agent(name))
    await (pool["a"] | (pool["b"] & pool["c"]) | joined).run("go")


async def connection(pool: Pool, _: ManualClock) -> None:
    for name in ("a", "b", "c"):
        await pool.add_node(echo_agent(name))
    _ = pool["a"] >> pool["b"] >> pool["c"]
    await pool["a"].run("go", wait_for_connections=True)


async def delayed(pool: Pool, clock: ManualClock) -> None:
    for name in ("a", "b", "c"):
        await pool.add_node(echo_agent(name))
    pool["a"].connect_to(pool["b"], delay=5)
    pool["b"].connect_to(pool["c"], delay=5)
    await pool["a"].run("go")
    await clock.advance(10)


async def queued(pool: Pool, _: ManualClock) -> None:
    for name in ("a", "b"):
        await pool.add_node(echo_agent(name))
    talk = pool["a"].connect_to(pool["b"], queued=True, queue_strategy="buffer")
    await pool["a"].run("one")
    await pool["a"].run("two")
    await talk.trigger()


async def prior(pool: Pool, _: ManualClock) -> None:
    async def slow(text: str) -> str:
        await asyncio.sleep(0)
        return text

    await pool.add_node(Agent.from_callback(slow, name="c", max_concurrency=1))
    for name in ("a", "b"):
        await pool.add_node(echo_agent(name))
        pool[name].connect_to(pool["c"], priority=1)
    await pool.create_team(["a", "b"]).run("go", wait_for_connections=True)


async def background(pool: Pool, clock: ManualClock) -> None:
    await pool.add_node(echo_agent("inner"))

    async def work(text: str) -> str:
        return (await pool["inner"].run(text)).text

    await pool.add_node(Agent.from_callback(work, name="outer"))
    await pool["outer"].run_in_background("go", max_count=3, interval=5)
    await clock.advance(10)
    await pool["outer"].wait()


Case = tuple["Callable[[Pool, ManualClock], Awaitable[None]]", int, int]
CASES: list[Case] = [
    (tool, 2, 1), (team, 4, 1), (chain, 4, 1), (nested, 6, 1), (connection, 3, 1), (delayed, 3, 1), (queued, 4, 2),
    (prior, 5, 1), (background, 6, 3),
]  # fmt: skip
"""What happens, how many runs that are, and how many traces."""


@pytest.mark.parametrize(("case", "runs", "traces"), CASES, ids=[case[0].__name__ for case in CASES])
async def test_the_spans_form_the_tree_of_the_runs(
    case: Any, runs: int, traces: int, traced: Callable[..., Traced], manual_clock: ManualClock
) -> None:
    here = traced()
    async with here.pool as pool:
        await case(pool, manual_clock)
        await settle()

    assert len(here.of_runs()) == len(here.span_tree()) == runs
    assert here.span_tree() == here.run_tree()
    assert len(here.traces()) == traces
    for span in here.of_runs():
        facts = span.attributes or {}
        parent = next(edge[1] for edge in here.span_tree() if edge[0] == facts[conventions.RUN_ID])
        assert facts.get(conventions.PARENT_RUN_ID, "") == parent


async def test_the_run_of_a_durable_node_belongs_to_the_trace_of_its_caller(tmp_path: Path) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with AgentPool[None](journal=tmp_path / "journal", tracing=Tracing(provider)) as pool:
        await pool.add_node(echo_agent("a"))
        await pool.add_node(Agent.from_callback(str.upper, name="b", durable=True))
        pool["a"].connect_to(pool["b"])
        await pool["a"].run("go", wait_for_connections=True)

    a, b = sorted(exporter.get_finished_spans(), key=lambda span: span.name)
    assert a.context is not None
    assert b.parent is not None
    assert b.parent.span_id == a.context.span_id
