import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.talk.pending import PendingQueue, RoutedMessage
from actors.talk.talk import Talk
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.errors import ConditionError, NotQueuedError, TransformError
from protocols.events import TalkFailed, TalkProcessed
from protocols.mailbox import Overflow
from protocols.messages import ChatMessage
from tests.support.nodes import contents, current_system, echo_agent, failing_agent, record_events


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("latest", ["b(a(2))"]),
        ("concat", ["b(a(0)\n\na(1)\n\na(2))"]),
        ("buffer", ["b(a(0))", "b(a(1))", "b(a(2))"]),
    ],
)
@pytest.mark.seed("S125")
async def test_a_trigger_delivers_what_waits_by_the_strategy(strategy: Any, expected: list[str]) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b, queued=True, queue_strategy=strategy)
    for number in range(3):
        await a.run(str(number), wait_for_connections=True)
    before = list(seen)
    answers = await talk.trigger()

    assert (before, contents(answers), await talk.trigger()) == ([], expected, [])
    assert talk.stats.message_count == len(expected)


async def test_a_joined_message_says_how_many_it_was() -> None:
    asked: list[ChatMessage[Any]] = []
    a, b = echo_agent("a"), echo_agent("b")
    b.message_received.connect(asked.append)
    talk = a.connect_to(b, queued=True, queue_strategy="concat")
    await a.run("1")
    await a.run("2")
    await talk.trigger()

    assert (asked[0].metadata, asked[0].name) == ({"merged_count": 2, "queue_strategy": "concat"}, "a")


@pytest.mark.seed("S41")
async def test_what_is_set_on_a_queued_connection_holds_for_messages_that_wait_already() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b, queued=True, queue_strategy="buffer")
    for text in ("1", "2"):
        await a.run(text)
    talk.transform(lambda message: message.content + "!").when(lambda context: context.message.content != "a(1)!")
    await talk.trigger()

    assert (seen, talk.stats.message_count) == (["a(2)!"], 1)


async def test_the_latest_message_is_the_latest_that_the_filter_lets_through() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b, queued=True, filter_condition=lambda context: "!" in context.message.text)
    for text in ("1!", "2!", "3"):
        await a.run(text)

    assert contents(await talk.trigger()) == ["b(a(2!))"]
    assert len(talk.pending) == 0


async def test_a_prompt_comes_below_the_message_and_the_chain_of_names_stays() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b, queued=True)
    await a.run("x")
    answers = await talk.trigger("Be brief.")

    assert (answers[0].content, answers[0].forwarded_from) == ("b(a(x)\n\nBe brief.)", ("a",))


async def test_options_of_a_trigger_reach_the_targets() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b, queued=True)
    await a.run("x")
    answers = await talk.trigger(metadata={"mark": 1})

    assert answers[0].metadata == {"mark": 1}


async def test_answers_come_in_the_order_of_the_targets_and_a_failure_is_raised_after_all_are_done() -> None:
    seen: list[str] = []
    a = echo_agent("a")
    good = Talk(a, [echo_agent("b"), echo_agent("c")], queued=True)
    bad = Talk(a, [failing_agent("d"), echo_agent("e", seen)], queued=True)
    a.connections.attach(good)
    a.connections.attach(bad)
    events = record_events(current_system(), TalkFailed)
    await a.run("x")

    assert contents(await good.trigger()) == ["b(a(x))", "c(a(x))"]
    with pytest.raises(ValueError, match=r"d cannot do a\(x\)"):
        await bad.trigger()
    assert (seen, [event.target for event in events]) == (["a(x)"], ["d"])


async def test_a_message_for_several_targets_is_transformed_and_counted_once() -> None:
    calls: list[str] = []

    def count(message: ChatMessage[str]) -> ChatMessage[str]:
        calls.append("t")
        return message

    a = echo_agent("a")
    talk = Talk(a, [echo_agent("b"), echo_agent("c")], queued=True, transform=count)
    a.connections.attach(talk)
    await a.run("x")
    await talk.trigger()

    assert (calls, talk.stats.message_count) == (["t"], 1)


def broken(_given: object) -> bool:
    raise KeyError("lost")


@pytest.mark.parametrize(
    ("options", "kind"), [({"transform": broken}, TransformError), ({"filter_condition": broken}, ConditionError)]
)
async def test_whoever_triggers_is_told_what_failed(options: dict[str, Any], kind: type[Exception]) -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b, queued=True, **options)
    await a.run("x")
    with pytest.raises(kind) as caught:
        await talk.trigger()

    assert isinstance(caught.value.__cause__, KeyError)
    assert current_system().dead_letters.counts[DeadLetterReason.FAILED] == 1
    assert await talk.trigger() == []


async def test_only_a_queued_connection_can_be_triggered() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b)

    with pytest.raises(NotQueuedError, match="connect with queued=True"):
        await talk.trigger()
    assert contents([await a.run("x")]) == ["a(x)"]


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [("reject", ["a(0)", "a(1)"]), ("drop_newest", ["a(0)", "a(1)"]), ("drop_oldest", ["a(2)", "a(3)"])],
)
async def test_a_full_queue_lets_messages_go_into_the_dead_letters(overflow: Any, kept: list[str]) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b, queued=True, queue_strategy="buffer", capacity=2, overflow=overflow)
    events = record_events(current_system(), TalkFailed)
    for number in range(4):
        await a.run(str(number))
    await talk.trigger()

    assert (seen, talk.stats.dropped, [event.step for event in events]) == (kept, 2, ["queue", "queue"])
    assert current_system().dead_letters.counts[DeadLetterReason.OVERFLOW] == 2


async def test_what_waits_when_a_connection_ends_becomes_dead_letters() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b, queued=True, queue_strategy="buffer")
    for number in range(3):
        await a.run(str(number))
    a.disconnect_all()

    assert (len(talk.pending), current_system().dead_letters.counts[DeadLetterReason.STOPPED]) == (0, 3)
    assert await talk.trigger() == []


async def test_a_message_that_waits_is_an_event_without_targets_and_again_one_when_it_is_delivered() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b, queued=True)
    events = record_events(current_system(), TalkProcessed)
    await a.run("x")
    await talk.trigger()

    assert [(event.queued, event.targets) for event in events] == [(True, ()), (False, ("b",))]


async def test_released_messages_can_be_delivered_by_the_caller() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = Talk(a, b, queued=True, transform=lambda message: message.content + "!")
    a.connections.attach(talk)
    answer = await a.run("x")
    released = await talk.release()

    assert [(target, message.content, origin.conversation_id) for target, message, origin in released] == [
        (b, "a(x)!", answer.conversation_id)
    ]
    assert seen == []


@pytest.mark.seed("S128")
async def test_a_private_connection_gets_nothing_but_what_it_is_given() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = Talk(a, b, queued=True)
    await a.run("foreign")

    assert (await talk.trigger(), list(a.connections)) == ([], [])


async def test_a_trigger_that_is_cancelled_cancels_the_run_of_its_target() -> None:
    release, ended = asyncio.Event(), list[str]()

    async def work(text: str) -> str:
        try:
            await release.wait()
        finally:
            ended.append(text)
        return text

    a = echo_agent("a")
    talk = a >> work
    talk.queued = True
    await a.run("x")
    triggering = asyncio.ensure_future(talk.trigger())
    await settle()
    triggering.cancel()
    await settle()

    assert (triggering.cancelled(), ended) == (True, ["a(x)"])


@pytest.mark.parametrize("strategy", ["latest", "concat", "buffer"])
@pytest.mark.parametrize("turns", range(3))
async def test_a_trigger_that_is_cancelled_leaves_waiting_what_no_target_has_got(strategy: Any, turns: int) -> None:
    gate, seen = asyncio.Event(), list[str]()

    async def passes(_: object) -> bool:
        await asyncio.sleep(0)
        return True

    async def work(text: str) -> str:
        seen.append(text)
        await gate.wait()
        return text

    a = echo_agent("a")
    talk = a >> work
    talk.queued, talk.queue_strategy, talk.filter_condition = True, strategy, passes
    for text in "123":
        await a.run(text)
    triggering = asyncio.ensure_future(talk.trigger())
    for _ in range(turns):
        await asyncio.sleep(0)
    triggering.cancel()
    await asyncio.gather(triggering, return_exceptions=True)
    await a.run("4")
    assert (seen, len(talk.pending)) == ([], 4)

    gate.set()
    await talk.trigger()
    left = ["a(1)", "a(2)", "a(3)", "a(4)"]
    assert seen == {"latest": left[-1:], "concat": ["\n\n".join(left)], "buffer": left}[strategy]


async def test_what_a_target_has_got_does_not_wait_again() -> None:
    gate, seen = asyncio.Event(), list[str]()

    async def work(text: str) -> str:
        seen.append(text)
        await gate.wait()
        return text

    a = echo_agent("a")
    talk = a >> work
    talk.queued, talk.queue_strategy = True, "buffer"
    for text in "123":
        await a.run(text)
    triggering = asyncio.ensure_future(talk.trigger())
    await settle()
    triggering.cancel()
    await settle()
    gate.set()
    await talk.trigger()

    assert seen == ["a(1)", "a(2)", "a(3)"]


async def test_what_waits_again_after_the_end_of_its_connection_is_a_dead_letter() -> None:
    gate = asyncio.Event()

    async def passes(_: object) -> bool:
        return await gate.wait()

    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b, queued=True, queue_strategy="buffer", filter_condition=passes)
    await a.run("1")
    await a.run("2")
    triggering = asyncio.ensure_future(talk.trigger())
    await settle()
    talk.disconnect()
    triggering.cancel()
    await asyncio.gather(triggering, return_exceptions=True)

    assert (len(talk.pending), current_system().dead_letters.counts[DeadLetterReason.STOPPED]) == (0, 2)


async def test_a_failure_while_messages_are_released_leaves_the_others_waiting() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(
        b, queued=True, queue_strategy="buffer", filter_condition=lambda context: 1 / (context.message.text != "a(2)")
    )
    for text in "123":
        await a.run(text)
    with pytest.raises(ConditionError):
        await talk.release()

    assert contents(await talk.trigger()) == ["b(a(1))", "b(a(3))"]


class Place:
    """A target that is only looked up."""

    name = "place"


@given(
    st.integers(1, 5),
    st.sampled_from([Overflow.REJECT, Overflow.DROP_OLDEST, Overflow.DROP_NEWEST]),
    st.integers(0, 12),
)
def test_a_queue_keeps_its_bound_and_loses_nothing_silently(capacity: int, overflow: Overflow, count: int) -> None:
    queue, place = PendingQueue(), Place()
    target: Any = place
    messages = [RoutedMessage(ChatMessage(number, "user"), *[None] * 2) for number in range(count)]  # type: ignore[arg-type]
    lost = [queue.put(target, routed, capacity, overflow) for routed in messages]
    dropped = [routed.message.content for routed in lost if routed is not None]
    kept = [routed.message.content for routed in queue.take(target)]

    assert len(kept) == min(capacity, count)
    assert sorted(kept + dropped) == list(range(count))
    assert kept == sorted(kept)
    assert (kept[:1] == [0] or not kept) == (overflow is not Overflow.DROP_OLDEST or count <= capacity)


@given(st.lists(st.sampled_from(["put", "take", "give back first", "give back last"]), max_size=30))
def test_what_was_taken_and_waits_again_is_in_its_order(steps: list[str]) -> None:
    queue, place = PendingQueue(), Place()
    target: Any = place
    taken: list[list[RoutedMessage]] = []
    count = 0
    for step in steps:
        if step == "put":
            queue.put(target, RoutedMessage(ChatMessage(count, "user"), *[None] * 2), 100, Overflow.REJECT)  # type: ignore[arg-type]
            count += 1
        elif step == "take":
            taken.append(queue.take(target))
        elif taken:
            for routed in taken.pop(0 if step.endswith("first") else -1):
                queue.put_back(target, routed)
    for group in taken:
        for routed in group:
            queue.put_back(target, routed)

    assert [routed.message.content for routed in queue.take(target)] == list(range(count))
