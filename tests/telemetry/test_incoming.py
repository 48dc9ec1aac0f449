"""A request that names its trace is continued by the runs that it starts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from actors import AgentPool
from actors.app import TriggerAnswer, TriggerService
from actors.config.load import parse_manifest
from actors.telemetry import Tracing
from actors.web import TraceContext
from tests.support.nodes import echo_agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.telemetry.conftest import Traced

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
WRONG = ["", "no trace", f"00-{TRACE}", f"00-{'0' * 32}-{SPAN}-01", "ü" * 9_000, f"00-{TRACE.upper()}-{'g' * 16}-01"]
WEBHOOK = """
allow_imports: [tests.app]
agents:
  clerk:
    type: callback
    callback: tests.app.manifest_functions:echo
    triggers: [{type: webhook, name: orders, port: 0, path: /orders, insecure: true}]
"""


def origin_of(here: Traced) -> tuple[str, str]:
    """Return trace and parent of the only run."""
    (span,) = here.of_runs()
    assert span.context is not None
    return f"{span.context.trace_id:032x}", "" if span.parent is None else f"{span.parent.span_id:016x}"


async def ask(here: Traced, parent: str, *, around: str = "") -> None:
    async def app(*_: Any) -> None:
        if around:
            with here.provider.get_tracer("framework").start_as_current_span(around):
                await inner({"type": "http", "headers": headers}, None, None)
        else:
            await here.pool["a"].run("go")

    async def endpoint(*_: Any) -> None:
        await here.pool["a"].run("go")

    inner: Any = TraceContext(endpoint, here.pool)
    headers = [(b"traceparent", parent.encode())] if parent else []
    async with here.pool as pool:
        await pool.add_node(echo_agent("a"))
        outer: Any = TraceContext(app, pool)
        await asyncio.create_task(outer({"type": "http", "headers": headers}, None, None))


async def test_a_request_of_a_web_service_is_continued(traced: Callable[..., Traced]) -> None:
    here = traced()
    await ask(here, PARENT)

    assert origin_of(here) == (TRACE, SPAN)


@pytest.mark.parametrize("parent", WRONG)
async def test_a_wrong_header_is_ignored(parent: str, traced: Callable[..., Traced]) -> None:
    here = traced()
    await ask(here, parent)

    trace, span = origin_of(here)
    assert trace != TRACE
    assert span == ""


async def test_the_span_of_the_web_framework_stays_the_parent(traced: Callable[..., Traced]) -> None:
    here = traced()
    await ask(here, PARENT, around="POST /ask")

    framework = here.named("POST /ask")
    assert framework.context is not None
    assert origin_of(here) == (TRACE, f"{framework.context.span_id:016x}")


@pytest.mark.parametrize("is_traced", [True, False])
async def test_a_webhook_is_continued_if_the_pool_is_traced(is_traced: bool, traced: Callable[..., Traced]) -> None:
    here, done = traced(), asyncio.Event()
    tracing = Tracing(here.provider) if is_traced else None
    pool: AgentPool[Any] = AgentPool(parse_manifest(WEBHOOK), system=here.system, tracing=tracing)

    def answered(_: TriggerAnswer) -> None:
        done.set()

    async with pool:
        triggers = pool.service(TriggerService)
        assert triggers is not None
        triggers.answered.connect(answered)
        await triggers.ready()
        async with httpx2.AsyncClient(base_url=triggers.plan.sites[0].url, trust_env=False) as client:
            sent = await client.post("/orders", json={"id": 1}, headers={"traceparent": PARENT})
        assert sent.status_code == 202
        await done.wait()

    if is_traced:
        assert origin_of(here) == (TRACE, SPAN)
    else:
        assert here.spans == ()
