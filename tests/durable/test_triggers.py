"""What the triggers of a durable node say they have accepted is in the journal; webhooks over real connections."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from actors import Agent, AgentPool, Job
from actors.app import TriggerAnswer, TriggerService
from actors.app.journal_service import JournalService
from actors.config.load import parse_manifest
from actors.testing.settle import settle
from actors.triggers import sign
from protocols.journal import Commit, JournalFullError
from protocols.triggers import FunctionReturned, WebhookReceived
from tests.durable.life import GatedJournal
from tests.durable.test_journal_service import Lasting
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from actors.triggers.trigger import Trigger
    from protocols.journal import Entry

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

MANIFEST = """
allow_imports: [tests]
journal: true
agents:
  clerk:
    type: callback
    callback: tests.durable.test_triggers:work
    durable: true
    mailbox: {capacity: 3, overflow: wait}
    triggers:
      - {type: webhook, name: orders, port: 0, path: /orders, secret: secret, session: "{metadata[id]}"}
      - {type: connection, name: heard, event: message_forwarded, source: writer}
    connections: [{type: node, name: last}]
  writer: {model: offline, connections: [{type: node, name: last}]}
  last: {type: callback, callback: "tests.durable.test_triggers:work"}
jobs:
  look: {prompt: Look around}
"""
SEEN: list[str] = []
EVENT = FunctionReturned(source="test", time=0.0, function="f", text="Something happened.")


def work(prompt: str) -> str:
    """Note what was asked."""
    if "burn" in prompt:
        raise OSError("the desk burns")
    SEEN.append(prompt)
    return "done"


class Desk(GatedJournal):
    """A journal that can be full or slow."""

    is_full = False
    slow: Commit[Any] | None = None

    def accept(self, entries: Sequence[Entry]) -> Commit[list[int | None]]:
        if not self.is_full:
            return super().accept(entries)
        refused: Commit[list[int | None]] = Commit()
        refused.finish(JournalFullError("no room"))
        return refused

    def stalled(self) -> Commit[Any] | None:
        return self.slow


@pytest.fixture
async def journal() -> AsyncIterator[Desk]:
    SEEN.clear()
    made = Desk()
    await made.open()
    yield made
    await made.close()


class Open:
    """An open pool, and a client of its webhook."""

    def __init__(self, pool: AgentPool[None], http: httpx2.AsyncClient) -> None:
        self.pool, self.http = pool, http
        service = pool.service(TriggerService)
        assert service is not None
        self.triggers = service
        self.answers: list[TriggerAnswer] = []
        service.answered.connect(self.answers.append)

    @property
    def trigger(self) -> Trigger:
        return self.triggers.plan.triggers[0]

    async def post(self, event_id: str = "e1", body: bytes = b'{"order": 7}') -> httpx2.Response:
        signed = sign("secret", body, event_id=event_id, timestamp=int(time.time()))
        return await self.http.post("/orders", content=body, headers={**signed, "content-type": "application/json"})


def services_on(journal: Desk) -> list[Any]:
    def make(_: object) -> Any:
        return Lasting(journal)

    return [partial(JournalService, make=make), TriggerService]


@asynccontextmanager
async def opened(journal: Desk) -> AsyncGenerator[Open]:
    async with AgentPool[None](parse_manifest(MANIFEST), services=services_on(journal), exit_timeout=0.01) as pool:
        service = pool.service(TriggerService)
        assert service is not None
        await service.ready()
        async with httpx2.AsyncClient(base_url=service.plan.sites[0].url, trust_env=False) as http:
            yield Open(pool, http)


async def test_202_comes_after_the_commit(journal: Desk) -> None:
    async with opened(journal) as desk:
        journal.holds_accept = True
        posted = asyncio.ensure_future(desk.post())
        await wait_until(lambda: journal.held)
        await settle()
        before = (posted.done(), list(SEEN), desk.trigger.statistics().accepted)
        again = asyncio.ensure_future(desk.post())  # the sender is impatient
        await wait_until(lambda: len(journal.held) == 2)
        await journal.release()
        first, second = await posted, await again
        await wait_until(lambda: desk.trigger.completed)
        third = await desk.post()

    assert before == (False, [], 0)
    run_id = desk.trigger.kept_id("e1")
    assert (first.status_code, first.json()) == (202, {"run_id": run_id})
    duplicate = (200, {"status": "duplicate", "run_id": run_id})
    assert [(one.status_code, one.json()) for one in (second, third)] == [duplicate, duplicate]
    assert len(SEEN) == 2, "the run, and what its connection passes on"
    assert [(one.run_id, one.answer.text) for one in desk.answers] == [(run_id, "done")]


async def test_a_process_that_dies_before_the_202_loses_nothing(journal: Desk) -> None:
    event = WebhookReceived(source="orders", time=0.0, path="/orders", payload={"order": 7}, metadata={"id": "e1"})
    async with opened(journal) as desk:
        journal.holds_accept = True
        lost = asyncio.ensure_future(desk.trigger.accept(event, "e1"))
        await wait_until(lambda: journal.held)
        held, journal.held = journal.held, []
        lost.cancel()
    journal.holds_accept = False
    for write, given, _ in held:
        await write(given)  # it was on disk, and nobody heard of it
    async with opened(journal) as desk:
        retried = await desk.post()
        await wait_until(lambda: len(SEEN) == 2)
        assert (retried.status_code, retried.json()["run_id"]) == (200, desk.trigger.kept_id("e1"))
        assert await journal.counts() == {}


async def test_what_is_not_accepted_is_not_remembered(journal: Desk) -> None:
    answers: list[httpx2.Response] = []
    async with opened(journal) as desk:
        journal.is_full = True
        answers.append(await desk.post())
        journal.is_full = False
        journal.slow = Commit()
        answers.append(await desk.post())
        journal.slow = None
        journal.holds_settle = True
        accepted = [(await desk.post(f"other-{number}")).status_code for number in range(3)]
        answers.append(await desk.post())
        journal.holds_settle = False
        await journal.release()
        await wait_until(lambda: desk.trigger.completed == 3)
        taken = await desk.post()

    assert [(one.status_code, one.headers["retry-after"]) for one in answers] == [(503, "1")] * 3
    assert (accepted, taken.status_code) == ([202] * 3, 202)
    assert desk.trigger.refused == 3


async def test_a_payload_that_can_never_be_kept_is_answered_so(journal: Desk) -> None:
    async with opened(journal) as desk:
        desk.trigger.settings = desk.trigger.settings.model_copy(update={"template": "{prompt}{prompt}"})
        answer = await desk.post(body=b'"' + b"x" * 900_000 + b'"')
    assert (answer.status_code, answer.json()) == (422, {"error": "no run can be made of it"})
    assert desk.trigger.statistics().accepted == 0


async def test_a_run_that_fails_is_a_dead_letter_on_disk(journal: Desk) -> None:
    async with opened(journal) as desk:
        await desk.post(body=b'"burn"')
        await wait_until(lambda: desk.trigger.failed)
    assert [letter.reason for letter in await journal.dead()] == ["failed"]


async def test_functions_connections_jobs_and_sessions_work_on_durable_nodes(journal: Desk) -> None:
    async with opened(journal) as desk:
        events = await desk.triggers.events("clerk", name="calls")

        @events.track("saved")
        def save(text: str) -> str:
            return text

        save("by a function")
        await wait_until(lambda: any("by a function" in one for one in SEEN))
        await desk.pool["writer"].run("by a connection")
        await wait_until(lambda: desk.triggers.plan.triggers[1].completed)
        job = await desk.pool["clerk"].run_job(Job(name="look", prompt="by a job"))
        await desk.post("alice")
        await wait_until(lambda: desk.trigger.completed)
    assert job.content == "done"
    assert any("by a job" in one for one in SEEN)
    assert journal.statistics().accepted == 4
    assert journal.statistics().settled == 4


async def test_a_stop_keeps_what_a_trigger_has_accepted(journal: Desk) -> None:
    async with opened(journal) as desk:
        journal.holds_settle = True
        await desk.post()
        await settle()
    await settle()
    numbers = desk.trigger.statistics()
    assert (numbers.accepted, numbers.kept, numbers.failed, numbers.running) == (1, 1, 0, 0)


async def test_a_job_with_a_type_of_answer_runs_in_memory(journal: Desk) -> None:
    pool = AgentPool[None](services=services_on(journal))
    await pool.add_node(Agent("clerk", model="test", durable=True))
    async with pool:
        answer = await pool["clerk"].run_job(
            Job(name="count", prompt="How many?", required_return_type=int, tools=[work])
        )
    assert isinstance(answer.content, int)
    assert journal.statistics().accepted == 0
