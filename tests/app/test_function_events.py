"""Functions of the user as triggers of a running pool: `events.track` and `events.poll`."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from actors.config.load import parse_manifest
from actors.config.value import QueueSpec
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.errors import NodeNotFoundError
from protocols.triggers import TriggerConfigError
from tests.app.test_trigger_service import TIMERS, Answers, gate, triggers_of

if TYPE_CHECKING:
    from actors.app import TriggerService
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock

__all__ = ["gate"]


def pool_of(system: ActorSystem | None = None) -> AgentPool[Any]:
    return AgentPool[None](parse_manifest(TIMERS), system=system)


async def test_what_a_tracked_function_returns_is_a_run_of_the_node(no_leaked_actors: None) -> None:
    async with pool_of() as pool:
        answers = Answers(pool)
        events = await triggers_of(pool).events("quick", include_timestamp=False)

        @events.track("saved", kind="note")
        def save(text: str) -> str:
            return f"saved {text}"

        @events.track("loaded")
        async def load(text: str) -> dict[str, str]:
            return {"text": text}

        assert save("a") == "saved a"
        first = await answers.next()
        assert await load("b") == {"text": "b"}
        second = await answers.next()

    assert (first.node, first.trigger) == ("quick", "events")
    assert first.answer.text == "Metadata: function=saved, kind=note\nsaved a"
    assert second.answer.text == "Metadata: function=loaded\n{'text': 'b'}"


async def test_a_tracked_function_may_be_called_in_threads_and_on_other_event_loops(no_leaked_actors: None) -> None:
    async with pool_of() as pool:
        answers = Answers(pool)
        events = await triggers_of(pool).events("quick", include_timestamp=False, include_metadata=False)

        @events.track("f")
        def function(text: str) -> str:
            return f"{text} in {threading.current_thread().name}"

        async def elsewhere() -> str:
            return function("loop")

        def work() -> list[str]:
            return [function("thread"), asyncio.run(elsewhere())]

        returned = await asyncio.get_running_loop().run_in_executor(None, work)
        told = [(await answers.next()).answer.text for _ in returned]

    assert told == returned


async def test_polled_functions_start_runs_until_the_pool_is_left(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    calls: list[str] = []
    async with pool_of(actor_system) as pool:
        answers = Answers(pool)
        events = await triggers_of(pool).events("quick", include_timestamp=False, include_metadata=False)

        @events.poll(60.0)
        async def look() -> str | None:
            calls.append("look")
            return None if len(calls) == 1 else f"news {len(calls)}"

        await manual_clock.advance(120)
        told = (await answers.next()).answer.text
    await manual_clock.advance(600)

    assert (told, calls) == ("news 2", ["look", "look"])
    assert await look() == "news 3"


async def test_a_full_queue_is_no_business_of_the_function_and_its_event_is_a_dead_letter(
    actor_system: ActorSystem, gate: asyncio.Event
) -> None:
    async with pool_of(actor_system) as pool:
        events = await triggers_of(pool).events("slow", queue=QueueSpec(capacity=1))

        @events.track("f")
        def function(number: int) -> int:
            return number

        assert [function(number) for number in range(2)] == [0, 1]
        await settle()
        assert [function(number) for number in range(2, 5)] == [2, 3, 4]
        numbers = next(each for each in triggers_of(pool).statistics() if each.name == "slow/events")
        gate.set()

    # one runs, and there is room for one more
    lost = actor_system.dead_letters.counts[DeadLetterReason.OVERFLOW]
    assert (numbers.accepted, numbers.dead_lettered, numbers.refused) == (5, lost, 0)
    assert lost >= 2


async def test_tracked_functions_work_on_when_the_pool_and_its_loop_are_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    functions: list[Any] = []

    async def live() -> None:
        async with pool_of() as pool:
            events = await triggers_of(pool).events("quick")
            functions.append(events.track("f")(lambda: "still here"))
        assert functions[0]() == "still here"

    await asyncio.to_thread(asyncio.run, live())

    assert functions[0]() == "still here"
    assert "trigger 'quick/events': an event is lost" in caplog.text


async def test_a_node_that_is_not_there_and_a_name_that_is_taken_are_refused(no_leaked_actors: None) -> None:
    async with pool_of() as pool:
        triggers: TriggerService = triggers_of(pool)
        with pytest.raises(NodeNotFoundError, match="'quikc'"):
            await triggers.events("quikc")
        with pytest.raises(TriggerConfigError, match="'quick' has a trigger 'tock' already"):
            await triggers.events("quick", name="tock")
        await triggers.events("quick", name="mine")
        with pytest.raises(TriggerConfigError, match="already"):
            await triggers.events("quick", name="mine")
        with pytest.raises(TriggerConfigError, match="quick/mine"):
            triggers.prepare(parse_manifest(TIMERS.replace("name: tock", "name: mine")))
