"""The runs of durable nodes keep their trace over the death of a process, and on their way through connections."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from actors import Agent, AgentPool
from actors.app.journal_service import JournalService
from actors.app.tracing_service import TracingService
from actors.pool.services import ServiceFactory
from actors.runtime.mailbox import MailboxConfig
from actors.telemetry import Tracing, conventions
from actors.testing.settle import settle
from protocols.journal import Commit, JournalFullError
from protocols.mailbox import MailboxFullError, Overflow
from tests.durable.life import memory_journal
from tests.durable.test_journal_service import Lasting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Lives:
    """Pools on one journal, one after the other, and the spans of all of them."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("user")

    def pool(self) -> tuple[AgentPool[None], Lasting]:
        """Return a pool, and its view of the journal, which is of no use after its death."""
        view = Lasting(self.journal)

        def made(_: object) -> Any:
            return view

        services: list[ServiceFactory] = [TracingService, partial(JournalService, make=made)]
        return AgentPool(services=services, exit_timeout=0.01, tracing=Tracing(self.provider)), view

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans of this name, in the order of their ends."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def path(self, span: ReadableSpan | None) -> list[str]:
        """Return the names of a span and of those around it."""
        if span is None:
            return []
        spans = {one.context.span_id: one for one in self.exporter.get_finished_spans() if one.context is not None}
        return [span.name, *self.path(None if span.parent is None else spans[span.parent.span_id])]


@pytest.fixture
async def lives() -> AsyncIterator[Lives]:
    journal = await memory_journal()
    yield Lives(journal)
    await journal.close()


@pytest.mark.parametrize(("has_caller", "root"), [(True, "caller"), (False, "accept clerk")])
async def test_a_run_that_is_delivered_again_after_a_death_is_in_the_trace_of_its_acceptance(
    lives: Lives, has_caller: bool, root: str
) -> None:
    gate = asyncio.Event()

    async def work(prompt: str) -> str:
        await gate.wait()
        return prompt

    def clerk() -> Agent[Any, str]:
        return Agent.from_callback(work, name="clerk", durable=True)

    pool, view = lives.pool()
    await pool.add_node(clerk())
    async with pool:
        with lives.tracer.start_as_current_span("caller") if has_caller else nullcontext():
            ticket = await pool["clerk"].submit("go", request_id="one")
        await settle()
        view.is_dead = True
    gate.set()
    pool, _ = lives.pool()
    await pool.add_node(clerk())
    async with pool:
        await pool.ticket("one").answer()

    first, second = lives.named("invoke_agent clerk")
    assert lives.path(first) == lives.path(second) == ["invoke_agent clerk", root]
    facts = [span.attributes or {} for span in (first, second)]
    assert [one[conventions.RUN_ID] for one in facts] == [ticket.run_id] * 2
    assert [one.get(conventions.ATTEMPT) for one in facts] == [None, 1]


async def test_what_the_connections_of_durable_nodes_cause_belongs_to_the_run_that_they_pass_on(lives: Lives) -> None:
    pool, _ = lives.pool()
    for name, is_durable in (("a", True), ("b", True), ("c", False)):
        await pool.add_node(Agent.from_callback(str.lower, name=name, durable=is_durable))
    pool["a"].connect_to(pool["b"])
    pool["a"].connect_to(pool["c"])

    async def call(name: str) -> None:
        with lives.tracer.start_as_current_span(name):
            await pool["a"].run(name, wait_for_connections=True)

    callers = ["x", "y", "z"]
    async with pool:
        with lives.tracer.start_as_current_span("all"):  # one trace, and one commit
            await asyncio.gather(*map(call, callers))
        await pool["b"].complete_tasks()

    for target in ("b", "c"):
        paths = sorted(lives.path(span) for span in lives.named(f"invoke_agent {target}"))
        assert paths == [[f"invoke_agent {target}", "invoke_agent a", caller, "all"] for caller in callers]


async def test_what_waits_in_a_queued_connection_keeps_its_trace_over_a_death(lives: Lives) -> None:
    def nodes() -> list[Agent[Any, str]]:
        return [Agent.from_callback(str.lower, name=name, durable=True) for name in ("a", "b")]

    for life in (1, 2):
        pool, view = lives.pool()
        for node in nodes():
            await pool.add_node(node)
        talk = pool["a"].connect_to(pool["b"], queued=True, queue_strategy="buffer", name="talk")
        async with pool:
            if life == 1:
                with lives.tracer.start_as_current_span("caller"):
                    await pool["a"].run("go")
            else:
                with lives.tracer.start_as_current_span("trigger"):
                    await talk.trigger()
                await pool["b"].complete_tasks()
            await settle()
            view.is_dead = life == 1

    (span,) = lives.named("invoke_agent b")
    assert lives.path(span) == ["invoke_agent b", "invoke_agent a", "caller"]


def failed(lives: Lives) -> list[tuple[list[str], Any]]:
    """Return path and type of the error of each run that has failed."""
    spans = [span for span in lives.exporter.get_finished_spans() if span.status.status_code is StatusCode.ERROR]
    return [(lives.path(span), (span.attributes or {}).get(conventions.ERROR_TYPE)) for span in spans]


class Gated:
    """A node with room for one message, which waits until the test lets it work."""

    def __init__(self, **options: Any) -> None:
        self.gate = asyncio.Event()
        self.node: Agent[Any, str] = Agent.from_callback(self.work, name="b", max_concurrency=1, **options)

    async def work(self, prompt: str) -> str:
        await self.gate.wait()
        return prompt


@pytest.mark.parametrize("is_durable", [False, True])
async def test_a_run_that_a_full_mailbox_refuses_is_an_error_under_its_sender(lives: Lives, is_durable: bool) -> None:
    pool, _ = lives.pool()
    gated = Gated(durable=is_durable)
    await pool.add_node(gated.node)
    async with pool:
        mailbox = gated.node.ref().actor_inbox
        mailbox.overflow, mailbox.capacity = Overflow.REJECT, 1
        runs: list[asyncio.Future[Any]] = []
        for _ in range(1 if is_durable else 2):  # what works takes room of a durable mailbox only
            runs.append(asyncio.ensure_future(pool["b"].run("go")))
            await settle()
        with lives.tracer.start_as_current_span("caller"), pytest.raises(MailboxFullError):
            await pool["b"].run("one too many")
        gated.gate.set()
        await asyncio.gather(*runs)

    assert failed(lives) == [(["invoke_agent b", "caller"], "MailboxFullError")]


async def test_a_kept_run_that_has_to_wait_for_runs_in_memory_is_no_error(lives: Lives) -> None:
    pool, _ = lives.pool()
    gated = Gated(durable=True)
    await pool.add_node(gated.node)
    async with pool:
        mailbox = gated.node.ref().actor_inbox
        runs: list[asyncio.Future[Any]] = []
        for _number in range(2):
            runs.append(asyncio.ensure_future(pool["b"].run("in memory", durable=False)))
            await settle()
        mailbox.overflow, mailbox.capacity = Overflow.REJECT, 1
        await pool["b"].submit("kept")
        await settle()
        gated.gate.set()
        await asyncio.gather(*runs)

    assert failed(lives) == []


async def test_a_member_that_is_refused_is_an_error_under_its_team(lives: Lives) -> None:
    pool, _ = lives.pool()
    gated = Gated()
    full = MailboxConfig(1, Overflow.REJECT)
    team = pool.create_team_run([gated.node], name="team", member_specs={"b": {"mailbox": full}})
    async with pool:
        runs = [asyncio.ensure_future(team.run("go")) for _ in range(3)]
        await settle()
        gated.gate.set()
        await asyncio.gather(*runs, return_exceptions=True)

    assert (["invoke_agent b", "invoke_workflow team"], "MailboxFullError") in failed(lives)


async def test_a_run_that_a_full_journal_refuses_is_an_error_under_its_sender(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> Commit[Any]:
        refused: Commit[Any] = Commit()
        refused.finish(JournalFullError("the disk is full", location="memory"))
        return refused

    pool, _ = lives.pool()
    await pool.add_node(Agent.from_callback(str.lower, name="b", durable=True))
    async with pool:
        monkeypatch.setattr(lives.journal, "accept", full)
        with lives.tracer.start_as_current_span("caller"), pytest.raises(JournalFullError):
            await pool["b"].run("go")

    assert (["invoke_agent b", "caller"], "JournalFullError") in failed(lives)
