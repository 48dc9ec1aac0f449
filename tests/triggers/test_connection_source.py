from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.config.trigger import ConnectionTrigger
from actors.config.value import QueueSpec
from actors.testing.settle import settle
from actors.triggers import TriggerRequest, plan_triggers
from actors.triggers.connection_source import ConnectionActor, counts
from protocols.control import DeadLetterReason
from protocols.errors import ConditionError
from protocols.messages import ChatMessage
from protocols.triggers import ConnectionEvent, ConnectionFact, TriggerConfigError
from tests.triggers.started import KeepingNode, RecordingNode, StartedTriggers, crash_message, start_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock
    from protocols.triggers import TalkEventName


class Flow:
    """Connections whose every event the test decides."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[ConnectionFact], object]] = []

    def connect(self, told: Callable[[ConnectionFact], object], /) -> Callable[[], None]:
        self.listeners.append(told)
        return lambda: self.listeners.remove(told)

    def tell(self, text: str, **fields: Any) -> None:
        fields = {"connection": "k", "sender": "a", "ends": ("b",), "targets": ("b",), **fields}
        fact = ConnectionFact(message=ChatMessage(text, "assistant"), freeze=lambda: text, **fields)
        for told in tuple(self.listeners):
            told(fact)


def play_all(flow: Flow) -> None:
    flow.tell("passed")
    flow.tell("filtered", targets=())
    flow.tell("waits", targets=(), queued=True)
    flow.tell("released", was_queued=True)


def talk(event: TalkEventName, **keys: Any) -> ConnectionTrigger:
    return ConnectionTrigger(type="connection", name="c", event=event, **keys)


async def listen(
    system: ActorSystem,
    node: RecordingNode,
    flow: Flow,
    settings: ConnectionTrigger,
    condition: Callable[[Any], object] | None = None,
) -> StartedTriggers:
    keeper = node if isinstance(node, KeepingNode) else None
    return await start_plan(system, plan_triggers([TriggerRequest("n", settings, node, flow, condition, keeper)]))


def texts(node: RecordingNode) -> list[str]:
    events: list[Any] = node.events
    return [event.text for event in events]


@pytest.mark.parametrize(
    ("event", "messages"),
    [
        ("message_received", ["passed", "filtered", "waits"]),
        ("message_processed", ["passed", "filtered", "released"]),
        ("message_forwarded", ["passed", "released"]),
        ("queue_filled", ["waits"]),
        ("queue_triggered", ["released"]),
    ],
)
async def test_each_kind_of_event_starts_its_runs(
    actor_system: ActorSystem, event: TalkEventName, messages: list[str]
) -> None:
    node, flow = RecordingNode(), Flow()
    await listen(actor_system, node, flow, talk(event))

    play_all(flow)
    await settle()

    assert texts(node) == messages
    first: Any = node.events[0]
    assert isinstance(first, ConnectionEvent)
    assert (first.connection, first.sender, first.targets, first.event) == ("k", "a", ("b",), event)
    assert messages[0] in node.prompts[0]


@pytest.mark.parametrize(
    ("keys", "count"),
    [({"source": "a"}, 2), ({"source": "x"}, 0), ({"target": "b"}, 1), ({"source": "a", "target": "x"}, 0)],
)
@pytest.mark.parametrize("event", ["message_received", "queue_filled"])
async def test_only_the_connections_of_the_named_nodes_count(
    actor_system: ActorSystem, event: TalkEventName, keys: dict[str, str], count: int
) -> None:
    node, flow = RecordingNode(), Flow()
    await listen(actor_system, node, flow, talk(event, **keys))
    is_queued = event == "queue_filled"

    for end in "bc":
        flow.tell(end, ends=(end,), targets=() if is_queued else (end,), queued=is_queued)
    await settle()

    assert len(node.events) == count


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_condition_decides(actor_system: ActorSystem, is_async: bool) -> None:
    node, flow = RecordingNode(), Flow()

    async def later(text: str) -> bool:
        return text == "yes"

    def now(text: str) -> bool:
        return text == "yes"

    config = talk("message_processed", condition="message.tokens > 1")
    stage = await listen(actor_system, node, flow, config, later if is_async else now)

    for text in ("yes", "no"):
        flow.tell(text)
    await settle()

    assert texts(node) == ["yes"]
    assert stage.plan.triggers[0].statistics().accepted == 1


async def test_an_event_whose_condition_fails_is_a_dead_letter_and_the_trigger_lives_on(
    actor_system: ActorSystem,
) -> None:
    node, flow = RecordingNode(), Flow()

    def condition(text: str) -> bool:
        if text == "broken":
            msg = "no such word"
            raise LookupError(msg)
        return True

    config = talk("message_processed", condition="message.tokens > 1")
    stage = await listen(actor_system, node, flow, config, condition)

    for text in ("broken", "whole"):
        flow.tell(text)
    await settle()

    assert texts(node) == ["whole"]
    assert stage.refs["n/c"].incarnation == 1
    numbers = stage.plan.triggers[0].statistics()
    assert (numbers.accepted, numbers.completed, numbers.dead_lettered) == (2, 1, 1)
    letter = next(iter(actor_system.dead_letters))
    assert (letter.message.text, letter.reason) == ("broken", DeadLetterReason.FAILED)
    assert isinstance(letter.cause, ConditionError)
    assert str(letter.cause) == "trigger 'n/c': the condition raised LookupError: no such word"


async def test_a_condition_that_hangs_is_given_up_and_the_next_event_has_its_turn(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node, flow = RecordingNode(), Flow()

    async def condition(text: str) -> bool:
        if text == "hangs":
            await asyncio.Event().wait()
        return True

    config = talk("message_processed", condition="message.tokens > 1")
    stage = await listen(actor_system, node, flow, config, condition)

    for text in ("hangs", "goes on"):
        flow.tell(text)
    await settle()
    before = texts(node)
    await manual_clock.advance(60)

    assert (before, texts(node)) == ([], ["goes on"])
    assert stage.plan.triggers[0].statistics().dead_lettered == 1
    assert "the condition raised TimeoutError" in str(next(iter(actor_system.dead_letters)).cause)


async def test_what_a_busy_trigger_cannot_take_is_a_dead_letter_and_the_connection_does_not_notice(
    actor_system: ActorSystem,
) -> None:
    node, flow = RecordingNode(), Flow()
    stage = await listen(actor_system, node, flow, talk("message_processed", queue=QueueSpec(capacity=2_000)))
    assert ConnectionActor.mailbox is not None
    capacity = ConnectionActor.mailbox.capacity
    assert capacity is not None

    for number in range(capacity + 2):
        flow.tell(f"{number}")
    await settle()

    numbers = stage.plan.triggers[0].statistics()
    assert (numbers.accepted, numbers.completed, numbers.dead_lettered) == (capacity + 2, capacity, 2)
    assert actor_system.dead_letters.counts[DeadLetterReason.OVERFLOW] == 2


@pytest.mark.parametrize("has_flow", [False, True])
def test_a_trigger_needs_something_that_tells_of_connections_and_something_that_evaluates_its_condition(
    has_flow: bool,
) -> None:
    config = talk("message_processed", condition="message.tokens > 1")
    request = TriggerRequest("n", config, RecordingNode(), Flow() if has_flow else None)

    with pytest.raises(TriggerConfigError, match="'n/c'.*condition" if has_flow else "'n/c'.*flow="):
        plan_triggers([request])


async def test_a_stopped_trigger_listens_no_more(actor_system: ActorSystem) -> None:
    flow = Flow()
    stage = await listen(actor_system, RecordingNode(), flow, talk("message_processed"))
    listened = len(flow.listeners)

    await stage.supervisor.stop(block=False)

    assert (listened, flow.listeners) == (1, [])


async def test_a_trigger_that_is_started_again_listens_once(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node, flow = RecordingNode(), Flow()
    stage = await listen(actor_system, node, flow, talk("message_processed", backoff=1))

    stage.refs["n/c"].tell(crash_message())
    await settle()
    deaf = len(flow.listeners)
    await manual_clock.advance(1)
    flow.tell("heard")
    await settle()

    assert (deaf, len(flow.listeners), stage.refs["n/c"].incarnation) == (0, 1, 2)
    assert texts(node) == ["heard"]


def test_a_filter_alone_can_be_asked() -> None:
    spec = ConnectionTrigger(type="connection", name="c", event="message_forwarded", target="b")
    message = ChatMessage("x", "assistant")

    def fact(*targets: str) -> ConnectionFact:
        return ConnectionFact(
            connection="k", sender="a", ends=("b", "c"), targets=targets, message=message, freeze=lambda: None
        )

    assert [counts(spec, one) for one in (fact("b"), fact("c"), fact())] == [True, False, False]
