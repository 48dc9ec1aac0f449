"""The triggers of a manifest live and die with the pool, and their events become runs."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from actors import AgentPool
from actors.app import TriggerAnswer, TriggerService
from actors.config.load import parse_manifest
from actors.runtime.system import ActorSystem
from actors.triggers import sign
from actors.triggers.trigger import QueuedEvent
from protocols.control import DeadLetterReason
from protocols.triggers import FunctionReturned, TriggerConfigError, TriggerStoppedError
from tests.app import manifest_functions
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from actors.triggers.trigger import Trigger

PATIENCE = 20.0
FILES = """
agents:
  reviewer:
    model: offline
    triggers:
      - {type: file, name: docs, paths: ["docs/**/*.md"], extensions: [".md"], debounce: 20}
"""
WEBHOOK = """
allow_imports: [tests.app]
agents:
  clerk:
    type: callback
    callback: tests.app.manifest_functions:echo
    triggers:
      - {type: webhook, name: orders, port: 0, path: /orders, secret: secret, include_timestamp: false}
"""
TIMERS = """
allow_imports: [tests.app]
agents:
  slow:
    type: callback
    callback: tests.app.manifest_functions:held
    triggers: [{type: interval, name: tick, every: 3600, prompt: slow}]
  quick:
    type: callback
    callback: tests.app.manifest_functions:echo
    triggers: [{type: interval, name: tock, every: 3600, prompt: quick}]
"""
EVENT = FunctionReturned(source="test", time=0.0, function="f", text="Something happened.")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """What the agent `slow` waits for; an event belongs to the loop of one test."""
    made = asyncio.Event()
    monkeypatch.setattr(manifest_functions, "GATE", made)
    return made


class Answers:
    """Waits for the answers to events."""

    def __init__(self, pool: AgentPool[Any]) -> None:
        self._queue: asyncio.Queue[TriggerAnswer] = asyncio.Queue()
        triggers_of(pool).answered.connect(self._queue.put_nowait)

    async def next(self) -> TriggerAnswer:
        async with asyncio.timeout(PATIENCE):
            return await self._queue.get()


def triggers_of(pool: AgentPool[Any]) -> TriggerService:
    found = pool.service(TriggerService)
    assert found is not None
    return found


def trigger_of(pool: AgentPool[Any], name: str) -> Trigger:
    return next(one for one in triggers_of(pool).plan.triggers if one.full_name == name)


async def until_ready(triggers: TriggerService) -> None:
    """Wait for a source that fails until its next attempt."""
    is_ready = False
    async with asyncio.timeout(PATIENCE):
        while not is_ready:
            with suppress(Exception):
                await triggers.ready()
                is_ready = True
            await asyncio.sleep(0)


def file_manifest(folder: Path) -> Path:
    (folder / "docs" / "deep").mkdir(parents=True)
    manifest = folder / "agents.yml"
    manifest.write_text(FILES, encoding="utf-8")
    return manifest


async def test_a_changed_file_in_a_subfolder_is_a_run_with_the_path_in_the_prompt(
    tmp_path: Path, no_leaked_actors: None
) -> None:
    async with AgentPool[None](file_manifest(tmp_path)) as pool:
        asked: list[str] = []
        pool["reviewer"].message_received.connect(lambda message: asked.append(message.text))
        answers = Answers(pool)
        await triggers_of(pool).ready()
        (tmp_path / "docs" / "deep" / "note.txt").write_text("Not this.", encoding="utf-8")
        (tmp_path / "outside.md").write_text("Nor this.", encoding="utf-8")
        (tmp_path / "docs" / "deep" / "note.md").write_text("This.", encoding="utf-8")
        answer = await answers.next()

    assert (answer.node, answer.trigger) == ("reviewer", "docs")
    assert len(asked) == 1
    assert "docs/deep/note.md" in asked[0]
    assert "note.txt" not in asked[0]
    assert "outside.md" not in asked[0]


async def test_a_post_is_a_run_with_the_payload_in_the_prompt_and_its_id_in_the_answer(no_leaked_actors: None) -> None:
    async with AgentPool[None](parse_manifest(WEBHOOK)) as pool:
        answers = Answers(pool)
        await triggers_of(pool).ready()
        body = b'{"order": 7}'
        headers = {
            **sign("secret", body, event_id="e1", timestamp=int(time.time())),
            "content-type": "application/json",
        }
        async with httpx2.AsyncClient(base_url=triggers_of(pool).plan.sites[0].url, trust_env=False) as client:
            response = await client.post("/orders", content=body, headers=headers)
        answer = await answers.next()

    assert response.status_code == 202
    assert json.loads(response.content)["run_id"] == answer.run_id
    assert '"order": 7' in answer.answer.text or '"order":7' in answer.answer.text


@pytest.mark.seed("S102")
async def test_events_of_different_triggers_and_calls_of_the_user_run_side_by_side(
    gate: asyncio.Event, no_leaked_actors: None
) -> None:
    async with AgentPool[None](parse_manifest(TIMERS)) as pool:
        answers = Answers(pool)
        held = (await trigger_of(pool, "slow/tick").accept(EVENT)).run_id
        await trigger_of(pool, "quick/tock").accept(EVENT)
        first = await answers.next()
        by_hand = await pool["quick"].run("By hand.")
        gate.set()
        second = await answers.next()

    assert (first.node, by_hand.text) == ("quick", "By hand.")
    assert (second.node, second.run_id) == ("slow", held)


@pytest.mark.seed("S100")
async def test_leaving_the_pool_stops_its_triggers_and_entering_it_again_starts_new_ones() -> None:
    pool = AgentPool[None](parse_manifest(TIMERS))
    async with pool:
        old = trigger_of(pool, "quick/tock")
    assert pool.service(TriggerService) is None
    with pytest.raises(TriggerStoppedError, match="'quick/tock'"):
        await old.accept(EVENT)

    async with pool:
        answers = Answers(pool)
        await trigger_of(pool, "quick/tock").accept(EVENT)
        assert (await answers.next()).node == "quick"


async def test_events_that_were_accepted_are_still_answered_when_the_pool_is_left(
    gate: asyncio.Event, no_leaked_actors: None
) -> None:
    async with AgentPool[None](parse_manifest(TIMERS)) as pool:
        trigger = trigger_of(pool, "slow/tick")
        await trigger.accept(EVENT)
        await trigger.accept(EVENT)
        await wait_until(lambda: trigger.running == 1)
        asyncio.get_running_loop().call_soon(gate.set)

    assert (trigger.completed, trigger.failed, trigger.statistics().dead_lettered) == (2, 0, 0)


async def test_a_trigger_that_is_switched_off_is_not_started() -> None:
    text = "agents: {a: {triggers: [{type: interval, name: t, every: 1, prompt: go, enabled: false}]}}"
    async with AgentPool[None](parse_manifest(text)) as pool:
        assert triggers_of(pool).plan.triggers == ()
        names = {actor.name for actor in ActorSystem.of(asyncio.get_running_loop()).tree()}

    assert "triggers" not in names


async def test_a_failed_run_is_counted_and_the_trigger_goes_on(no_leaked_actors: None) -> None:
    text = TIMERS.replace("manifest_functions:held", "manifest_functions:fail")
    async with AgentPool[None](parse_manifest(text)) as pool:
        answers = Answers(pool)
        trigger = trigger_of(pool, "slow/tick")
        await trigger.accept(EVENT)
        await trigger_of(pool, "quick/tock").accept(EVENT)
        await answers.next()
        await wait_until(lambda: trigger.failed == 1)
        numbers = {each.name: each for each in triggers_of(pool).statistics()}

    assert (numbers["slow/tick"].accepted, numbers["slow/tick"].failed) == (1, 1)
    assert (numbers["quick/tock"].accepted, numbers["quick/tock"].completed) == (1, 1)


async def test_an_event_for_a_node_that_was_removed_is_dead_lettered(no_leaked_actors: None) -> None:
    async with AgentPool[None](parse_manifest(TIMERS)) as pool:
        trigger = trigger_of(pool, "quick/tock")
        await pool.remove_node("quick")
        await trigger.accept(EVENT)
        await wait_until(lambda: trigger.statistics().dead_lettered == 1)

        assert trigger.statistics().failed == 0


async def test_a_port_that_is_taken_holds_nobody_up_and_is_tried_again(no_leaked_actors: None) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    async with AgentPool[None](parse_manifest(WEBHOOK.replace("port: 0", f"port: {port}"))) as pool:
        assert (await pool["clerk"].run("Served.")).text == "Served."
        trigger = trigger_of(pool, "clerk/orders")
        await wait_until(lambda: trigger.restarts > 0)
        assert "stop what uses it" in trigger.last_error
        taken.close()
        await until_ready(triggers_of(pool))


async def test_a_pool_whose_trigger_can_never_work_does_not_start_and_leaves_nothing(no_leaked_actors: None) -> None:
    text = "agents: {a: {triggers: [{type: time, name: c, schedule: '0 0 30 2 *', prompt: go}]}}"
    pool = AgentPool[None](parse_manifest(text))
    with pytest.raises(TriggerConfigError, match=r"trigger 'a/c': cron line '0 0 30 2 \*' never comes due"):
        await pool.__aenter__()

    assert not pool.is_running


async def test_cancelling_whoever_waits_inside_the_pool_ends_it_in_order(no_leaked_actors: None) -> None:
    entered = asyncio.Event()

    async def live() -> None:
        async with AgentPool[None](parse_manifest(TIMERS)):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(live())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_waits_when_the_pool_is_left_in_a_hurry_is_a_dead_letter_each(
    gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch, no_leaked_actors: None
) -> None:
    monkeypatch.setattr("actors.app.trigger_service.EXIT_TIMEOUT", 0.01)
    async with AgentPool[None](parse_manifest(TIMERS), exit_timeout=0.01) as pool:
        trigger = trigger_of(pool, "slow/tick")
        events = [FunctionReturned(source="test", time=0.0, function="f", text=f"{number}") for number in range(5)]
        for event in events:
            await trigger.accept(event)
        await wait_until(lambda: trigger.running == 1)
    letters = {
        letter.message.event.to_prompt(): letter
        for letter in ActorSystem.of(asyncio.get_running_loop()).dead_letters
        if isinstance(letter.message, QueuedEvent)
    }

    assert not gate.is_set()
    numbers = trigger.statistics()
    assert (numbers.accepted, numbers.failed, numbers.dead_lettered) == (5, 1, 4)
    assert (numbers.running, numbers.queued, numbers.completed) == (0, 0, 0)
    assert sorted(letters) == ["0", "1", "2", "3", "4"]
    assert letters["0"].reason is DeadLetterReason.FAILED
    assert {letters[text].reason for text in "1234"} == {DeadLetterReason.STOPPED}
