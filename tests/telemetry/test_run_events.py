"""What hits a run is an event on the span of that run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors import Agent, Backoff, Retry
from actors.runtime.mailbox import MailboxConfig
from actors.telemetry import conventions
from actors.testing.models import slow_model
from actors.testing.settle import settle
from protocols.errors import NodeStoppedError
from protocols.mailbox import Overflow
from tests.support.nodes import echo_agent

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from actors.testing.clock import ManualClock
    from tests.telemetry.conftest import Traced


def events(span: ReadableSpan) -> list[str]:
    return [event.name for event in span.events]


class FlawError(Exception):
    """What crashes an actor in these tests."""


def broken_once(name: str, **settings: Any) -> Agent[Any, Any]:
    calls: list[str] = []

    async def work(text: str) -> str:
        calls.append(text)
        if len(calls) == 1:
            raise FlawError("broken")
        return text

    return Agent.from_callback(work, name=name, **settings)


async def test_a_crash_and_the_restart_are_events_of_the_run_and_the_next_life_has_its_number(
    traced: Callable[..., Traced], manual_clock: ManualClock
) -> None:
    here = traced()
    async with here.pool as pool:
        await pool.add_node(broken_once("a", crash_on=(FlawError,), redeliver=True))
        run = asyncio.ensure_future(pool["a"].run("go"))
        await settle()
        await manual_clock.advance(60)
        assert (await run).text == "go"

    first, second = here.of_runs()
    assert events(first) == ["exception", "crash", "restart"]
    assert events(second) == []
    lives = [(one.attributes or {})[conventions.INCARNATION] for one in (first, second)]
    assert lives == [1, 2]
    assert first.end_time is not None
    assert first.end_time <= first.events[-1].timestamp


async def test_a_run_whose_actor_stays_down_ends_with_the_pool(
    traced: Callable[..., Traced], manual_clock: ManualClock
) -> None:
    here = traced()
    async with here.pool as pool:
        await pool.add_node(broken_once("a", crash_on=(FlawError,)))
        with pytest.raises(FlawError):
            await pool["a"].run("go")

    (span,) = here.of_runs()
    assert events(span)[:2] == ["exception", "crash"]


async def test_a_retry_is_an_event(traced: Callable[..., Traced], manual_clock: ManualClock) -> None:
    here = traced()
    async with here.pool as pool:
        await pool.add_node(broken_once("a", retry=Retry(attempts=2, on=(FlawError,), backoff=Backoff(min=1.0))))
        run = asyncio.ensure_future(pool["a"].run("go"))
        await manual_clock.advance(60)
        await run

    (span,) = here.of_runs()
    assert events(span) == ["retry"]
    assert span.status.is_unset


async def test_a_run_that_never_began_has_a_span_with_its_dead_letter_in_the_trace_of_its_sender(
    traced: Callable[..., Traced],
) -> None:
    here, release = traced(), asyncio.Event()
    tracer = here.provider.get_tracer("user")
    async with here.pool as pool:
        await pool.add_agent("a", model=slow_model(release), session=False, max_concurrency=1)
        first = asyncio.ensure_future(pool["a"].run("one"))
        await settle()
        with tracer.start_as_current_span("request"):
            second = asyncio.ensure_future(pool["a"].run("two"))
        await settle()
        second.cancel()
        await settle()
        release.set()
        await first

    lost = next(span for span in here.of_runs() if "dead letter" in events(span))
    user = here.named("request")
    assert lost.parent is not None
    assert user.context is not None
    assert lost.parent.span_id == user.context.span_id
    assert not lost.status.is_ok
    assert (lost.events[0].attributes or {})[conventions.REASON] == "cancelled"


async def test_an_overflow_is_an_event_of_the_run_that_sends(traced: Callable[..., Traced]) -> None:
    here, release = traced(), asyncio.Event()
    async with here.pool as pool:
        await pool.add_node(echo_agent("a"))
        full = MailboxConfig(1, Overflow.REJECT)
        slow = Agent("b", model=slow_model(release), session=False, max_concurrency=1)
        team = pool.create_team([slow], member_specs={"b": {"mailbox": full}})
        runs = [asyncio.ensure_future(team.run(str(number))) for number in range(4)]
        await settle()
        release.set()
        await asyncio.gather(*runs, return_exceptions=True)

    hit = [span for span in here.of_runs() if "mailbox overflow" in events(span)]
    assert hit
    assert {span.name.split(" ")[0] for span in hit} == {"invoke_workflow"}


async def test_a_cancelled_run_is_no_error(traced: Callable[..., Traced]) -> None:
    here, release = traced(), asyncio.Event()
    async with here.pool as pool:
        await pool.add_agent("a", model=slow_model(release))
        run = asyncio.ensure_future(pool["a"].run("go"))
        await settle()
        run.cancel()
        await settle()

    (span,) = here.of_runs()
    assert (events(span), span.status.is_unset) == (["cancelled"], True)


async def test_a_stopped_pool_leaves_no_open_span(traced: Callable[..., Traced]) -> None:
    here = traced()
    async with here.pool as pool:
        node = echo_agent("a")
        await pool.add_node(node)
        await node.run("go")
    with pytest.raises(NodeStoppedError):
        await node.run("again")

    assert len(here.of_runs()) == 1
    assert node.tracing is None
