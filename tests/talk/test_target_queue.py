import asyncio
from typing import Any

from actors.agents.agent import Agent
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.talk import target_queue
from actors.talk.context import TalkContext
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.events import TalkFailed
from protocols.messages import ChatMessage
from tests.support.nodes import blocked_agent, current_system, echo_agent, record_events


async def live(system: ActorSystem, *nodes: Agent[Any, Any]) -> None:
    """Have nodes live in a system."""
    children = [ChildSpec(node.factory(), name=node.name) for node in nodes]
    await system.start(Supervisor, (children,)).ready()


async def test_a_delayed_message_is_delivered_by_the_clock_of_the_system(
    manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    await live(actor_system, a, b)
    talk = a.connect_to(b, delay=5)
    await a.run("1")
    await manual_clock.advance(3)
    await a.run("2")
    await manual_clock.advance(1.9)
    assert seen == []
    await manual_clock.advance(0.1)
    assert seen == ["a(1)"]
    await manual_clock.advance(3)

    assert (seen, talk.in_flight.actors) == (["a(1)", "a(2)"], {})


async def test_a_run_that_waits_waits_for_delayed_messages(
    manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    await live(actor_system, a, b)
    a.connect_to(b, delay=60)
    waiting = asyncio.ensure_future(a.run("x", wait_for_connections=True))
    await manual_clock.advance(59)
    assert not waiting.done()
    await manual_clock.advance(1)
    await waiting

    assert seen == ["a(x)"]


async def test_the_actor_of_a_delay_ends_with_the_last_message(
    manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    a, b = echo_agent("a"), echo_agent("b")
    await live(actor_system, a, b)
    talk = a.connect_to(b, delay=1)
    before = len(actor_system.cells)
    await a.run("x")
    await settle()
    during = len(actor_system.cells)
    await manual_clock.advance(1)

    assert (during - before, len(actor_system.cells), talk.in_flight.actors) == (1, before, {})


async def test_disconnecting_frees_whoever_waits_for_delayed_messages(
    manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    await live(actor_system, a, b)
    talk = a.connect_to(b, delay=60)
    waiting = asyncio.ensure_future(a.run("x", wait_for_connections=True))
    await settle()
    talk.disconnect()
    await waiting
    await manual_clock.advance(60)

    assert (seen, actor_system.dead_letters.counts[DeadLetterReason.STOPPED]) == ([], 1)


async def test_disconnecting_frees_whoever_waits_behind_a_hanging_transform() -> None:
    seen: list[str] = []
    hanging = asyncio.Event()
    a, b = echo_agent("a"), echo_agent("b", seen)

    async def hang(message: Any) -> Any:
        await hanging.wait()
        return message

    talk = a.connect_to(b, transform=hang)
    runs = [asyncio.ensure_future(a.run(str(number), wait_for_connections=True)) for number in range(3)]
    await settle()
    talk.disconnect()
    await settle()
    assert not runs[0].done()
    hanging.set()
    await asyncio.gather(*runs)

    assert (seen, current_system().dead_letters.counts[DeadLetterReason.STOPPED]) == ([], 3)


async def test_functions_that_never_end_are_cancelled_after_their_time_and_free_whoever_waits(
    manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    seen, cancelled = list[str](), list[str]()
    a, b = echo_agent("a"), echo_agent("b", seen)
    await live(actor_system, a, b)
    failures = record_events(actor_system, TalkFailed)

    async def hang(context: TalkContext) -> bool:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(context.message.text)
        return True

    talk = a.connect_to(b, filter_condition=hang, timeout=10)
    first = asyncio.ensure_future(a.run("1", wait_for_connections=True))
    await manual_clock.advance(5)
    second = asyncio.ensure_future(a.run("2", wait_for_connections=True))
    await manual_clock.advance(5)
    assert ((await first).content, cancelled, second.done()) == ("a(1)", ["a(1)"], False)
    await manual_clock.advance(5)
    assert (await second).content == "a(2)"

    assert (len(failures), talk.stats.error_count) == (2, 2)
    assert "took more than 10 s over a message" in talk.stats.errors[0][1]
    talk.when(None)
    await a.run("3", wait_for_connections=True)
    assert (seen, talk.in_flight.actors) == (["a(3)"], {})


async def test_closing_the_system_leaves_delayed_messages_in_the_dead_letters(
    manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    a, b = echo_agent("a"), echo_agent("b")
    await live(actor_system, a, b)
    a.connect_to(b, delay=60)
    await a.run("x")
    await settle()
    await actor_system.close()

    assert actor_system.dead_letters.counts[DeadLetterReason.STOPPED] == 1


async def test_as_many_messages_are_under_way_as_the_capacity_says(
    manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    await live(actor_system, a, b)
    talk = a.connect_to(b, delay=1, capacity=2)
    events = record_events(actor_system, TalkFailed)
    for number in range(3):
        await a.run(str(number))
    await manual_clock.advance(1)

    assert (seen, talk.stats.dropped, [event.step for event in events]) == (["a(0)", "a(1)"], 1, ["queue"])


def test_messages_left_behind_by_an_event_loop_take_no_room_from_the_next_one() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b, delay=3600, capacity=1)

    async def leave_one_behind() -> None:
        await a.run("1")

    async def deliver_one() -> None:
        talk.delay = None
        await a.run("2", wait_for_connections=True)

    asyncio.run(leave_one_behind())
    asyncio.run(deliver_one())

    assert (seen, talk.stats.dropped) == (["a(2)"], 0)


async def test_a_target_that_has_been_closed_is_a_failure_of_the_delivery_only() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b)
    async with b:
        pass
    events = record_events(current_system(), TalkFailed)
    answer = await a.run("x", wait_for_connections=True)

    assert (answer.content, talk.stats.error_count) == ("a(x)", 1)
    assert [(event.target, event.error_type) for event in events] == [("b", "NodeStoppedError")]
    assert len(current_system().dead_letters) == 1


async def test_a_delivery_that_cannot_begin_is_counted_as_failed_before_its_source_goes_on() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b)
    async with b:
        pass
    request = a.request(("x",), {})
    a.offer(ChatMessage("x", "assistant", "a"), request)

    assert (talk.stats.error_count, request.downstream.open) == (1, 0)


async def test_all_messages_that_wait_for_a_target_fail_one_after_the_other_when_it_has_been_closed() -> None:
    release, number = asyncio.Event(), target_queue.CAPACITY
    a, b = echo_agent("a"), blocked_agent("b", release, [])
    talk = a.connect_to(b, priority=1)
    request = a.request(("x",), {})
    await b.open()
    for _ in range(1 + number):
        a.offer(ChatMessage("x", "assistant", "a"), request)
    await settle()
    closing = asyncio.ensure_future(b.close())
    await settle()
    release.set()
    await closing
    await settle()

    assert (talk.stats.error_count, request.downstream.open) == (number, 0)


async def test_of_the_messages_that_wait_for_a_busy_target_the_lowest_priority_number_goes_first() -> None:
    release, seen = asyncio.Event(), list[str]()
    target = blocked_agent("t", release, seen)
    urgent, usual, slack = echo_agent("urgent"), echo_agent("usual"), echo_agent("slack")
    slack.connect_to(target, priority=5)
    usual.connect_to(target)
    urgent.connect_to(target, priority=-5)
    for node in (slack, slack, usual, usual, urgent, urgent):
        await node.run("x")
    await settle()
    assert seen == ["slack(x)"]
    release.set()
    await settle()

    assert seen == ["slack(x)", "urgent(x)", "urgent(x)", "usual(x)", "usual(x)", "slack(x)"]


async def test_a_run_that_waits_waits_for_messages_of_low_priority() -> None:
    release, seen = asyncio.Event(), list[str]()
    a, target = echo_agent("a"), blocked_agent("t", release, seen)
    a.connect_to(target, priority=1)
    runs = [asyncio.ensure_future(a.run(str(number), wait_for_connections=True)) for number in range(3)]
    await settle()
    assert (seen, [run.done() for run in runs]) == (["a(0)"], [False] * 3)
    release.set()
    await asyncio.gather(*runs)

    assert seen == ["a(0)", "a(1)", "a(2)"]


async def test_what_waits_for_a_busy_target_is_not_delivered_once_its_connection_has_ended() -> None:
    release, seen = asyncio.Event(), list[str]()
    a, target = echo_agent("a"), blocked_agent("t", release, seen)
    talk = a.connect_to(target, priority=1)
    for number in range(2):
        await a.run(str(number))
    talk.disconnect()
    release.set()
    await a.complete_tasks()

    assert (seen, current_system().dead_letters.counts[DeadLetterReason.STOPPED]) == (["a(0)"], 1)


async def test_a_message_that_a_stopped_target_had_not_come_to_is_one_dead_letter() -> None:
    release, seen = asyncio.Event(), list[str]()
    a, target = echo_agent("a"), blocked_agent("t", release, seen)
    talk = a.connect_to(target)
    for number in range(2):
        await a.run(str(number))
    await settle()
    stopping = target.ref().stop(block=False, mode="now")
    release.set()
    await stopping
    await a.complete_tasks()

    assert (seen, talk.stats.error_count, current_system().dead_letters.total) == (["a(0)"], 1, 1)


async def test_too_many_messages_that_wait_for_one_target_become_dead_letters(monkeypatch: Any) -> None:
    monkeypatch.setattr(target_queue, "CAPACITY", 1)
    release, seen = asyncio.Event(), list[str]()
    a, target = echo_agent("a"), blocked_agent("t", release, seen)
    talk = a.connect_to(target, priority=1)
    for number in range(3):
        await a.run(str(number))
    release.set()
    await a.complete_tasks()

    assert (seen, talk.stats.dropped) == (["a(0)", "a(1)"], 1)


async def test_connections_of_one_source_go_in_order_of_priority() -> None:
    order: list[str] = []
    a = echo_agent("a")
    for name, priority in (("b", 2), ("c", 0), ("d", -1), ("e", 0)):
        talk = a.connect_to(echo_agent(name), priority=priority)
        talk.message_forwarded.connect(lambda _message, name=name: order.append(name))  # type: ignore[misc]
    await a.run("x", wait_for_connections=True)

    assert order == ["d", "c", "e", "b"]


async def test_each_target_owns_the_queue_of_its_messages() -> None:
    a, b, c, d = map(echo_agent, "abcd")
    a.connect_to([b, c], priority=1)
    a.connect_to(d)

    assert b.queue is not None
    assert c.queue is not None
    assert (b.queue is c.queue, d.queue) == (False, None)
