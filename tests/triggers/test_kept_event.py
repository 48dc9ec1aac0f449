"""The triggers of a durable node: an event is accepted when its run is kept, and counted until its run ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.config.trigger import ConnectionTrigger, FileTrigger, IntervalTrigger
from actors.runtime.errors import MailboxFullError
from actors.runtime.options import StartOptions
from actors.runtime.system import ActorSystem
from actors.testing.settle import settle
from actors.triggers.function_source import track
from actors.triggers.trigger import Trigger, TriggerStatistics, queue_class
from protocols.errors import NodeStoppedError
from protocols.journal import JournalError, JournalFullError, NotDurableError
from protocols.triggers import NotKeptError, TriggerError, TriggerStoppedError
from tests.triggers.schedule.test_source import NOON, Wall, cron, dues
from tests.triggers.started import KeepingNode, start_triggers
from tests.triggers.test_connection_source import Flow, listen, talk
from tests.triggers.test_trigger import balances, event

if TYPE_CHECKING:
    from pathlib import Path

    from actors.runtime.ref import ActorRef
    from actors.testing.clock import ManualClock

FULL = JournalFullError("no room")


def start(system: ActorSystem, node: KeepingNode, *, concurrency: int = 1) -> tuple[Trigger, ActorRef[Any]]:
    config = ConnectionTrigger(
        type="connection", name="t", event="queue_filled", include_timestamp=False, include_metadata=False,
        concurrency=concurrency,
    )  # fmt: skip
    trigger = Trigger(config, node, node="n", keeper=node)
    options = StartOptions("n/t queue", trigger.mailbox_config())
    return trigger, system.start(queue_class(concurrency), (trigger,), options=options)


async def test_an_event_is_accepted_when_its_run_is_kept(actor_system: ActorSystem) -> None:
    node = KeepingNode()
    node.commit = asyncio.Event()
    trigger, _ = start(actor_system, node)

    accepted = asyncio.ensure_future(trigger.accept(event("hello")))
    await settle()
    before = (accepted.done(), trigger.statistics().accepted)
    node.commit.set()

    assert before == (False, 0)
    assert (await accepted).run_id == node.run_ids[0]
    assert node.prompts == ["hello"]
    assert trigger.statistics() == TriggerStatistics(name="n/t", accepted=1, running=1)
    node.kept[node.run_ids[0]].set_result("done")
    await settle()
    assert trigger.statistics() == TriggerStatistics(name="n/t", accepted=1, completed=1)


async def test_an_event_with_a_key_is_accepted_once(actor_system: ActorSystem) -> None:
    node = KeepingNode()
    trigger, _ = start(actor_system, node)

    first = await trigger.accept(event(), "e1")
    again = await trigger.accept(event(), "e1")
    other = await trigger.accept(event(), "e2")
    without = [await trigger.accept(event()) for _ in range(2)]

    assert (first.is_new, again.is_new, again.run_id) == (True, False, first.run_id)
    assert len({first.run_id, other.run_id, *(one.run_id for one in without)}) == 4
    assert trigger.statistics().accepted == 4
    elsewhere = Trigger(trigger.settings, node, node="m", keeper=node)
    assert elsewhere.kept_id("e1") != first.run_id == trigger.kept_id("e1")


async def test_events_beyond_the_concurrency_count_as_queued_and_a_stop_of_the_node_keeps_them(
    actor_system: ActorSystem,
) -> None:
    node = KeepingNode()
    trigger, _ = start(actor_system, node, concurrency=2)
    ids = [(await trigger.accept(event())).run_id for _ in range(5)]

    assert (trigger.statistics().running, trigger.statistics().queued) == (2, 3)
    node.kept[ids[0]].set_exception(ValueError("no"))
    node.kept[ids[1]].cancel()
    node.kept[ids[2]].set_exception(NodeStoppedError("stopped"))
    await settle()
    assert trigger.statistics() == TriggerStatistics(name="n/t", accepted=5, failed=2, kept=1, running=2)


@pytest.mark.parametrize("error", [FULL, JournalError("slow"), MailboxFullError("n", 1, None)])
async def test_what_cannot_be_kept_now_is_refused_or_offered_again(actor_system: ActorSystem, error: Exception) -> None:
    node = KeepingNode()
    node.refusal = error
    trigger, _ = start(actor_system, node)

    with pytest.raises(NotKeptError, match="'n/t': the event is not kept now; try again later"):
        await trigger.accept(event())
    with pytest.raises(NotKeptError):
        await trigger.offer(event(), "key")
    assert (trigger.statistics().refused, actor_system.dead_letters.total) == (2, 0)
    assert await trigger.offer(event("lost")) is None
    assert [letter.message.text for letter in actor_system.dead_letters] == ["lost"]
    assert balances(trigger.statistics())
    assert [waits for _, waits in node.asked] == [False, True, True]


async def test_what_can_never_be_kept_is_an_error_or_a_dead_letter(actor_system: ActorSystem) -> None:
    node = KeepingNode()
    node.refusal = NotDurableError("too large")
    trigger, _ = start(actor_system, node)

    with pytest.raises(TriggerError, match="'n/t': the event can never be kept: too large"):
        await trigger.accept(event())
    assert await trigger.offer(event(), "key") is None
    trigger.report(event())
    await settle()
    assert (actor_system.dead_letters.total, trigger.statistics().dead_lettered) == (2, 2)
    assert balances(trigger.statistics())


async def test_a_trigger_or_node_that_has_stopped_keeps_nothing(actor_system: ActorSystem) -> None:
    node = KeepingNode()
    trigger, ref = start(actor_system, node)
    node.refusal = NodeStoppedError("gone")
    with pytest.raises(TriggerStoppedError):
        await trigger.accept(event())
    node.refusal = None
    await ref.stop()
    with pytest.raises(TriggerStoppedError):
        await trigger.accept(event())
    assert await trigger.offer(event()) is None
    assert node.kept == {}
    assert actor_system.dead_letters.total == 1


async def test_what_a_function_reports_is_kept_at_once_however_many_run(actor_system: ActorSystem) -> None:
    node = KeepingNode()
    trigger, _ = start(actor_system, node)

    @track(trigger, "saved")
    def save(text: str) -> str:
        return text

    save("one")
    await asyncio.to_thread(save, "two")
    await settle()

    assert [one.text for one in node.events] == ["one", "two"]  # type: ignore[attr-defined]
    assert trigger.statistics() == TriggerStatistics(name="n/t", accepted=2, running=1, queued=1)


async def test_a_connection_trigger_keeps_its_events(actor_system: ActorSystem) -> None:
    node, flow = KeepingNode(), Flow()
    stage = await listen(actor_system, node, flow, talk("message_forwarded"))
    flow.tell("one")
    await settle()
    node.refusal = FULL
    flow.tell("two")
    await settle()
    assert [one.text for one in node.events] == ["one"]  # type: ignore[attr-defined]
    assert [letter.message.text for letter in actor_system.dead_letters] == ["two"]
    assert stage.plan.triggers[0].restarts == 0


async def test_a_time_is_served_when_its_event_is_kept(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = KeepingNode()
    node.commit = asyncio.Event()
    stage = await start_triggers(actor_system, [cron("0 * * * *")], node, wall=Wall(manual_clock))
    schedule = stage.plan.children[1].args[1]

    await manual_clock.advance(3_600)
    assert (len(node.asked), schedule.served) == (1, NOON)
    node.commit.set()
    await settle()

    assert schedule.served == NOON + 3_600
    assert node.run_ids == [stage.plan.triggers[0].kept_id(repr(NOON + 3_600))]


async def test_a_time_that_could_not_be_kept_is_offered_again(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = KeepingNode()
    node.refusal = FULL
    stage = await start_triggers(actor_system, [cron("0 * * * *")], node, wall=Wall(manual_clock))
    await manual_clock.advance(3_600)
    await manual_clock.advance(5)
    tries = len(node.asked)
    node.refusal = None
    await manual_clock.advance(10)
    node.kept[node.run_ids[0]].set_result("done")
    await manual_clock.advance(3_600)

    assert tries > 1
    assert dues(node) == ["03 13:00:00", "03 14:00:00"]
    assert stage.plan.triggers[0].statistics().accepted == 2
    assert stage.plan.children[1].args[1].skipped == 0


async def test_missed_times_that_are_made_up_for_again_are_kept_once(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node, wall = KeepingNode(), Wall(manual_clock)
    for _ in range(2):  # two processes; the first one died before it could write its progress
        stage = await start_triggers(actor_system, [cron("0 * * * *", make_up="all")], node, wall=wall)
        schedule = stage.plan.children[1].args[1]
        schedule.served = NOON - 7_200
        await manual_clock.advance(3_600)
        await stage.supervisor.stop()
        wall.offset -= 3_600
    assert dues(node) == ["03 11:00:00", "03 12:00:00", "03 13:00:00"]


async def test_an_interval_goes_on_while_nothing_is_kept(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = KeepingNode()
    node.refusal = FULL
    spec = IntervalTrigger(type="interval", name="t", every=60, prompt="go")
    stage = await start_triggers(actor_system, [spec], node, wall=Wall(manual_clock))
    await manual_clock.advance(60)
    node.refusal = None
    await manual_clock.advance(60)
    numbers = stage.plan.triggers[0].statistics()
    assert (numbers.accepted, numbers.dead_lettered, numbers.running, numbers.restarts) == (2, 1, 1, 0)


async def test_a_changed_file_is_kept(actor_system: ActorSystem, tmp_path: Path) -> None:
    node = KeepingNode()
    spec = FileTrigger(type="file", name="f", paths=("*.md",), debounce=20)
    stage = await start_triggers(actor_system, [spec], node, root=tmp_path)
    await stage.ready()
    (tmp_path / "a.md").write_text("a")
    await node.next_event()
    assert "a.md" in node.prompts[0]


ENDS = {"fails": ValueError("no"), "stops": NodeStoppedError("stopped")}
STEPS = ["accept", "again", "offer", "report", "ends", "fails", "stops", "refuse", "take", "settle", "cancel"]


@settings(max_examples=60)
@given(steps=st.lists(st.sampled_from(STEPS), max_size=40), concurrency=st.integers(1, 3))
def test_the_numbers_always_balance(steps: list[str], concurrency: int) -> None:
    async def scene() -> None:
        async with ActorSystem("law") as system:
            node = KeepingNode()
            trigger, ref = start(system, node, concurrency=concurrency)
            for step in steps:
                await play(step, node, trigger)
                assert balances(trigger.statistics()), step
            await settle()
            await ref.stop()
            numbers = trigger.statistics()
            assert balances(numbers)
            assert numbers.accepted == len(node.kept) + numbers.dead_lettered

    asyncio.run(scene())


async def play(step: str, node: KeepingNode, trigger: Trigger) -> None:
    waiting = [one for one in node.kept.values() if not one.done()]
    match step:
        case "accept" | "again":
            try:
                await trigger.accept(event(), "" if step == "accept" else "key")
            except NotKeptError:
                return
        case "offer":
            await trigger.offer(event())
        case "report":
            trigger.report(event())
        case "cancel":
            node.commit = gate = asyncio.Event()
            task = asyncio.ensure_future(trigger.offer(event()))
            await settle()
            task.cancel()
            await asyncio.wait([task])
            gate.set()
        case "refuse" | "take":
            node.refusal = FULL if step == "refuse" else None
        case "settle":
            await settle()
        case _:
            end(step, waiting)


def end(step: str, waiting: list[asyncio.Future[str]]) -> None:
    for one in waiting[:1]:
        if step == "ends":
            one.set_result("done")
        else:
            one.set_exception(ENDS[step])
