import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.talk.context import TalkContext
from actors.talk.talk import Talk
from actors.testing.settle import settle
from protocols.errors import ConditionError, TransformError
from protocols.events import TalkFailed
from protocols.messages import ChatMessage
from tests.support.nodes import current_system, echo_agent, record_events


async def test_a_filter_decides_for_each_target_on_the_transformed_message() -> None:
    to_b, to_c = list[str](), list[str]()
    a, b, c = echo_agent("a"), echo_agent("b", to_b), echo_agent("c", to_c)
    talk = Talk(a, [b, c], transform=lambda message: message.text.upper())
    a.connections.attach(talk)
    talk.when(lambda context: context.target is c and context.message.content == "A(X)")
    await a.run("x", wait_for_connections=True)

    assert (to_b, to_c, talk.stats.message_count) == ([], ["A(X)"], 1)


async def test_a_condition_gets_one_object_with_everything() -> None:
    given: list[TalkContext] = []
    a, b = echo_agent("a"), echo_agent("b")

    def keep(context: TalkContext) -> bool:
        given.append(context)
        return True

    talk = a.connect_to(b, filter_condition=keep)
    await a.run("x", wait_for_connections=True)
    context = given[0]

    assert (context.message.content, context.target, context.source) == ("a(x)", b, a)
    assert (context.stats, context.registry, context.talk) == (talk.stats, None, talk)


async def test_asynchronous_functions_are_awaited_and_keep_the_order_of_messages() -> None:
    gate, seen = asyncio.Event(), list[str]()
    a, b = echo_agent("a"), echo_agent("b", seen)

    async def slow(message: ChatMessage[str]) -> str:
        if message.content == "a(0)":
            await gate.wait()
        return message.content + "!"

    async def keep(context: TalkContext) -> bool:
        await asyncio.sleep(0)
        return context.message.text != "a(1)!"

    a.connect_to(b, transform=slow, filter_condition=keep)
    for number in range(3):
        await a.run(str(number))
    await settle()
    assert seen == []
    gate.set()
    await a.complete_tasks()

    assert seen == ["a(0)!", "a(2)!"]


async def test_a_run_that_waits_waits_for_asynchronous_conditions_too() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)

    async def yes(_context: TalkContext) -> bool:
        await asyncio.sleep(0)
        return True

    a.connect_to(b, stop_condition=lambda context: False, filter_condition=yes)
    await a.run("x", wait_for_connections=True)

    assert seen == ["a(x)"]


def raising(_given: object) -> bool:
    raise KeyError("lost")


async def raising_later(_given: object) -> bool:
    await asyncio.sleep(0)
    raise KeyError("lost")


def nothing(_given: object) -> None:
    return None


@pytest.mark.parametrize("transform", [raising, raising_later, nothing])
async def test_a_transform_that_fails_is_an_event_and_the_source_goes_on(transform: Any) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b, transform=transform)
    events = record_events(current_system(), TalkFailed)
    answer = await a.run("x", wait_for_connections=True)

    assert (answer.content, seen, talk.stats.message_count, talk.active) == ("a(x)", [], 0, True)
    assert [(event.step, event.error_type) for event in events] == [("transform", "TransformError")]
    assert isinstance(next(iter(current_system().dead_letters)).cause, TransformError)


@pytest.mark.parametrize("condition", [raising, raising_later])
@pytest.mark.parametrize("step", ["filter", "stop", "exit"])
async def test_a_condition_that_raises_keeps_only_its_message_back(step: str, condition: Any) -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    options: dict[str, Any] = {f"{step}_condition": condition}
    talk = a.connect_to(b, **options)
    events = record_events(current_system(), TalkFailed)
    await a.run("x", wait_for_connections=True)

    assert (seen, talk.active, talk.stats.error_count) == ([], True, 1)
    assert [(event.step, event.error_type, event.target) for event in events] == [(step, "ConditionError", "b")]
    assert isinstance(next(iter(current_system().dead_letters)).cause, ConditionError)


async def test_a_stop_condition_lets_so_many_messages_through_and_then_ends_the_connection() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b, stop_condition=lambda context: context.stats.message_count >= 2)
    for number in range(4):
        await a.run(str(number), wait_for_connections=True)

    assert (seen, talk.active, list(a.connections)) == (["a(0)", "a(1)"], False, [])


async def test_an_exit_condition_asks_the_system_for_an_orderly_end() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b, exit_condition=lambda context: "quit" in context.message.text)
    system = current_system()
    answer = await a.run("quit")
    await system.close()

    assert (answer.content, seen, talk.active, system.is_closed) == ("a(quit)", [], False, True)
    assert str(system.exit_reason) == "the exit condition of talk \"a->['b']\" was true"


async def test_a_transform_may_return_a_new_content_and_the_chain_of_names_stays() -> None:
    answers: list[ChatMessage[Any]] = []
    a, b = echo_agent("a"), echo_agent("b")
    b.message_sent.connect(answers.append)
    a.connect_to(b, transform=lambda message: ChatMessage("new", "user"))
    await a.run("x", wait_for_connections=True)

    assert (answers[0].content, answers[0].forwarded_from) == ("b(new)", ("a",))


async def test_transforms_are_added_in_order_and_keep_everything_else() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)

    async def louder(message: ChatMessage[str]) -> str:
        await asyncio.sleep(0)
        return message.content + "!"

    talk = a.connect_to(b, priority=3, filter_condition=lambda context: "x" in context.message.text)
    same = talk.transform(louder).transform(lambda message: f"<{message.content}>")
    await a.run("x", wait_for_connections=True)
    await a.run("y", wait_for_connections=True)

    assert (same, seen, talk.priority) == (talk, ["<a(x)!>"], 3)


class Place:
    """A target that takes everything and does nothing."""

    name = "place"

    def __init__(self) -> None:
        self.posted: list[object] = []
        self.queue: Any = None

    def post(self, prompts: Sequence[Any], *, origin: object = None, **_options: object) -> asyncio.Future[Any]:
        self.posted.append(prompts[0].content)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Marked(NamedTuple):
    """What becomes of one message."""

    fate: str
    is_later: bool


@given(st.lists(st.builds(Marked, st.sampled_from(["pass", "filter", "fail"]), st.booleans()), max_size=12))
def test_every_message_is_passed_on_or_filtered_or_a_dead_letter_and_keeps_its_place(marks: list[Marked]) -> None:
    def judge(context: TalkContext) -> object:
        return later(context.message.content.fate == "pass", context.message.content.is_later)

    def change(message: ChatMessage[Marked]) -> object:
        if message.content.fate == "fail":
            raise ValueError("no")
        return later(message, message.content.is_later)

    async def flow() -> tuple[list[Any], int, int]:
        source, place = echo_agent("a"), Place()
        target: Any = place
        talk = Talk(source, target, filter_condition=judge, transform=change)
        origin = source.request(("x",), {})
        for mark in marks:
            talk.offer(ChatMessage(mark, "assistant", "a"), origin)
        await origin.downstream.wait()
        await settle()
        return place.posted, talk.stats.message_count, current_system().dead_letters.total

    def later(value: object, is_later: bool) -> object:
        async def wait() -> object:
            await asyncio.sleep(0)
            return value

        return wait() if is_later else value

    passed = [mark for mark in marks if mark.fate == "pass"]
    assert asyncio.run(flow()) == (passed, len(passed), sum(mark.fate == "fail" for mark in marks))
