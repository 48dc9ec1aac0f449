from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.config.trigger import ConnectionTrigger
from actors.config.value import QueueSpec
from actors.runtime.errors import ActorStoppingError
from actors.runtime.system import ActorSystem
from actors.testing.settle import settle
from actors.triggers.source import Ready, TriggerSource
from actors.triggers.trigger import Trigger, TriggerStatistics, queue_class
from protocols.control import DeadLetterReason
from protocols.errors import NodeStoppedError
from protocols.triggers import FunctionReturned, TriggerFullError, TriggerStoppedError
from tests.triggers.started import RecordingNode

if TYPE_CHECKING:
    from actors.config.value import OverflowName
    from actors.runtime.ref import ActorRef


class Watching(TriggerSource):
    """Sees nothing."""

    async def observe(self) -> None:
        self.established()
        await asyncio.Event().wait()


def event(text: str = "x") -> FunctionReturned:
    return FunctionReturned(source="t", time=0.0, function="f", text=text)


def make(
    node: RecordingNode, *, capacity: int = 10, overflow: OverflowName = "reject", concurrency: int = 1
) -> Trigger:
    config = ConnectionTrigger(
        type="connection",
        name="t",
        event="queue_filled",
        include_timestamp=False,
        include_metadata=False,
        concurrency=concurrency,
        queue=QueueSpec(capacity=capacity, overflow=overflow),
    )
    return Trigger(config, node, node="n")


def start(system: ActorSystem, trigger: Trigger) -> ActorRef[Any]:
    from actors.runtime.options import StartOptions

    options = StartOptions("n/t queue", trigger.mailbox_config())
    return system.start(queue_class(trigger.settings.concurrency), (trigger,), options=options)


def balances(numbers: TriggerStatistics) -> bool:
    ended = numbers.completed + numbers.failed + numbers.dead_lettered + numbers.kept
    return numbers.accepted == ended + numbers.running + numbers.queued


async def test_an_event_becomes_a_run_with_the_id_that_accept_returned(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    trigger = make(node)
    start(actor_system, trigger)

    run_id = (await trigger.accept(event("hello"))).run_id
    await settle()

    assert (node.prompts, node.run_ids) == (["hello"], [run_id])
    assert trigger.statistics() == TriggerStatistics(name="n/t", accepted=1, completed=1)


@pytest.mark.parametrize("way", ["accept", "offer", "report", "discard"])
async def test_the_last_event_is_known_whichever_way_it_came(actor_system: ActorSystem, way: str) -> None:
    trigger = make(RecordingNode())
    start(actor_system, trigger)
    before = trigger.last_event
    for text in ("first", "last"):
        done = getattr(trigger, way)(event(text))
        if done is not None:
            await done
    await settle()

    assert (before, trigger.last_event) == (None, event("last"))


async def test_a_source_fails_until_it_watches_again(actor_system: ActorSystem) -> None:
    trigger = make(RecordingNode())
    trigger.note_failure(OSError("no route"))
    failing = trigger.is_failing
    source = actor_system.start(Watching, ((trigger,),))
    assert await source.ask(Ready())
    assert (failing, trigger.is_failing, trigger.statistics().last_error) == (True, False, "OSError: no route")


async def test_accept_returns_before_the_run_begins(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    trigger = make(node)
    start(actor_system, trigger)

    await trigger.accept(event())

    assert node.prompts == []
    await settle()


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_runs_go_on_at_once_than_the_trigger_allows(actor_system: ActorSystem, concurrency: int) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    trigger = make(node, concurrency=concurrency)
    start(actor_system, trigger)

    for _ in range(7):
        await trigger.accept(event())
    await settle()
    held = trigger.statistics()
    node.gate.set()
    await settle()

    assert (held.running, held.queued) == (concurrency, 7 - concurrency)
    assert (node.most_running, trigger.statistics().completed) == (concurrency, 7)


async def test_a_full_queue_refuses_and_says_so(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    trigger = make(node, capacity=1)
    start(actor_system, trigger)
    await trigger.accept(event())
    await settle()
    await trigger.accept(event())

    with pytest.raises(TriggerFullError, match=r"'n/t': the queue is full \(1 events\)"):
        await trigger.accept(event())

    assert (trigger.statistics().accepted, trigger.statistics().refused) == (2, 1)
    node.gate.set()
    await settle()


async def test_an_offer_that_a_full_queue_refuses_is_a_dead_letter(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    trigger = make(node, capacity=1)
    start(actor_system, trigger)
    await trigger.offer(event("running"))
    await settle()
    await trigger.offer(event("waiting"))

    lost = await trigger.offer(event("lost"))

    assert lost is None
    assert [letter.message.text for letter in actor_system.dead_letters] == ["lost"]
    assert actor_system.dead_letters.counts[DeadLetterReason.OVERFLOW] == 1
    assert balances(trigger.statistics())
    node.gate.set()
    await settle()


@pytest.mark.parametrize(
    ("overflow", "ran"), [("drop_oldest", ["1", "3"]), ("drop_newest", ["1", "2"])], ids=["oldest", "newest"]
)
async def test_a_queue_that_drops_counts_what_it_dropped(
    actor_system: ActorSystem, overflow: OverflowName, ran: list[str]
) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    trigger = make(node, capacity=1, overflow=overflow)
    start(actor_system, trigger)

    await trigger.accept(event("1"))
    await settle()
    await trigger.accept(event("2"))
    await trigger.accept(event("3"))
    node.gate.set()
    await settle()

    assert node.prompts == ran
    assert (trigger.statistics().dead_lettered, actor_system.dead_letters.total) == (1, 1)
    assert balances(trigger.statistics())


async def test_an_offer_waits_for_room_when_the_queue_says_so(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    trigger = make(node, capacity=1, overflow="wait")
    start(actor_system, trigger)
    await trigger.accept(event("1"))
    await settle()
    await trigger.accept(event("2"))

    offer = asyncio.ensure_future(trigger.offer(event("3")))
    await settle()
    waits = not offer.done()
    node.gate.set()

    assert waits
    assert await offer is not None
    await settle()
    assert node.prompts == ["1", "2", "3"]
    assert balances(trigger.statistics())


async def test_a_run_that_fails_is_counted_and_the_next_one_runs(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.error = ValueError("the model says no")
    trigger = make(node)
    ref = start(actor_system, trigger)

    await trigger.accept(event())
    await settle()
    node.error = None
    await trigger.accept(event())
    await settle()

    assert (trigger.statistics().failed, trigger.statistics().completed) == (1, 1)
    assert next(letter.cause for letter in actor_system.dead_letters).args == ("the model says no",)  # type: ignore[union-attr]
    assert ref.incarnation == 1


@pytest.mark.parametrize("error", [NodeStoppedError("gone"), ActorStoppingError("gone")])
async def test_an_event_for_a_node_that_is_gone_is_dead_lettered(actor_system: ActorSystem, error: Exception) -> None:
    node = RecordingNode()
    node.error = error
    trigger = make(node)
    start(actor_system, trigger)

    await trigger.accept(event())
    await settle()

    assert (trigger.statistics().dead_lettered, trigger.statistics().failed) == (1, 0)
    assert actor_system.dead_letters.total == 1
    assert balances(trigger.statistics())


async def test_a_stop_lets_the_run_in_hand_finish_and_dead_letters_the_rest(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    trigger = make(node)
    ref = start(actor_system, trigger)
    for _ in range(3):
        await trigger.accept(event())
    await settle()

    stopped = ref.stop(block=False, mode="now")
    await settle()
    node.gate.set()
    await stopped

    assert trigger.statistics() == TriggerStatistics(name="n/t", accepted=3, completed=1, dead_lettered=2)


async def test_a_kill_cancels_the_run_and_leaves_a_dead_letter(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    trigger = make(node)
    ref = start(actor_system, trigger)
    await trigger.accept(event())
    await settle()

    await ref.kill()

    assert (node.running, trigger.statistics().failed) == (0, 1)
    assert [str(letter.cause) for letter in actor_system.dead_letters] == [
        "actor n/t queue was stopped while it handled the message"
    ]
    assert balances(trigger.statistics())


async def test_a_trigger_that_does_not_run_says_so(actor_system: ActorSystem) -> None:
    trigger = make(RecordingNode())
    with pytest.raises(TriggerStoppedError, match="'n/t' has not started yet"):
        await trigger.accept(event())

    ref = start(actor_system, trigger)
    await ref.stop()

    with pytest.raises(TriggerStoppedError, match="has stopped or is stopping"):
        await trigger.accept(event())
    assert await trigger.offer(event()) is None
    assert actor_system.dead_letters.counts[DeadLetterReason.DEAD] == 2


async def test_an_event_may_come_from_a_thread(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    trigger = make(node)
    start(actor_system, trigger)

    await asyncio.to_thread(trigger.report, event("from a thread"))
    await settle()

    assert node.prompts == ["from a thread"]
    assert threading.current_thread() is threading.main_thread()


async def test_a_message_that_is_no_event_is_not_a_crash(actor_system: ActorSystem) -> None:
    trigger = make(RecordingNode())
    ref = start(actor_system, trigger)

    ref.tell("what?")
    await settle()

    assert ref.is_alive()
    assert actor_system.dead_letters.counts[DeadLetterReason.UNHANDLED] == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.sampled_from(["accept", "offer", "fail", "gone", "settle", "open", "close"]), max_size=40),
    overflow=st.sampled_from(["reject", "drop_oldest", "drop_newest"]),
    concurrency=st.integers(1, 3),
    end=st.sampled_from(["stop", "kill", "run"]),
)
def test_the_numbers_always_balance(steps: list[str], overflow: OverflowName, concurrency: int, end: str) -> None:
    async def scene() -> None:
        async with ActorSystem("law") as system:
            node = RecordingNode()
            node.gate = asyncio.Event()
            trigger = make(node, capacity=2, overflow=overflow, concurrency=concurrency)
            ref = start(system, trigger)
            for step in steps:
                await play(step, node, trigger)
                assert balances(trigger.statistics())
            if end == "kill":
                await ref.kill()
            node.gate.set()
            await settle()
            if end == "stop":
                await ref.stop()
            numbers = trigger.statistics()
            assert balances(numbers)
            assert (numbers.running, numbers.queued) == (0, 0)

    asyncio.run(scene())


async def play(step: str, node: RecordingNode, trigger: Trigger) -> None:
    assert node.gate is not None
    match step:
        case "accept":
            try:
                await trigger.accept(event())
            except TriggerFullError:
                return
        case "offer":
            await trigger.offer(event())
        case "fail":
            node.error = ValueError("no")
        case "gone":
            node.error = NodeStoppedError("gone")
        case "open":
            node.gate.set()
        case "close":
            node.gate.clear()
        case _:
            await settle()
