import asyncio
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.runs.request import RunRequest
from protocols.messages import ChatMessage

same: Callable[[Any], object] = lambda given: given  # noqa: E731 - a function without annotations


@dataclass
class Order:
    number: int


async def answer_of(function: Any, given: object) -> object:
    return (await Agent.from_callback(function).run(given)).content


async def test_plain_and_async_functions_are_agents() -> None:
    async def slow(text: str) -> str:
        await asyncio.sleep(0)
        return text + "!"

    assert await answer_of(slow, "x") == "x!"
    assert await answer_of(str.upper, "x") == "X"
    assert await answer_of(len, "four") == 4
    assert await answer_of(functools.partial(int, base=2), "101") == 5


async def test_a_callable_object_is_an_agent_named_after_its_class() -> None:
    class Doubler:
        def __call__(self, text: str) -> str:
            return text * 2

    agent = Agent.from_callback(Doubler())

    assert (agent.name, (await agent.run("ab")).content) == ("Doubler", "abab")


def test_a_function_without_a_name_makes_a_processor() -> None:
    nameless: Callable[[str], str] = lambda text: text  # noqa: E731 - the point of the case

    assert Agent.from_callback(nameless).name == "processor"
    assert Agent.from_callback(functools.partial(int)).name == "processor"
    assert Agent.from_callback(str.upper, name="shout").name == "shout"


async def test_the_annotation_says_what_a_function_is_given() -> None:
    def text(given: str) -> object:
        return given

    def message(given: ChatMessage[Any]) -> object:
        return (given.role, given.content)

    def order(given: Order) -> object:
        return given

    def maybe(given: str | None) -> object:
        return given

    assert await answer_of(text, Order(7)) == await answer_of(maybe, Order(7)) == '{"number":7}'
    assert await answer_of(message, Order(7)) == ("user", Order(7))
    assert await answer_of(order, Order(7)) == Order(7)
    assert await answer_of(same, Order(7)) == Order(7)


async def test_the_combined_answer_of_a_team_is_text_to_a_function_that_does_not_say() -> None:
    parts = tuple(ChatMessage(text, "assistant", name=name) for name, text in (("a", "one"), ("b", "two")))
    combined = ChatMessage(["one", "two"], "assistant", name="team", associated_messages=parts)

    def items(given: list[str]) -> object:
        return given

    assert await answer_of(str.upper, combined) == "[A]: ONE\n\n[B]: TWO"
    assert await answer_of(same, combined) == "[a]: one\n\n[b]: two"
    assert await answer_of(items, combined) == ["one", "two"]


async def test_a_parameter_annotated_with_the_request_gets_it() -> None:
    def greet(name: str, run: RunRequest) -> str:
        return f"{run.options.deps} {name}"

    assert (await Agent.from_callback(greet).run("Bob", deps="hello")).content == "hello Bob"


async def test_a_failing_callback_raises_the_original_exception_which_names_it() -> None:
    def broken(text: str) -> str:
        raise ValueError(f"cannot read {text}")

    with pytest.raises(ValueError, match="cannot read x") as caught:
        await Agent.from_callback(broken).run("x")

    assert any("broken" in note for note in caught.value.__notes__)


async def test_a_blocking_callback_runs_in_a_thread() -> None:
    def where(_: str) -> bool:
        return threading.current_thread() is threading.main_thread()

    assert (await Agent.from_callback(where).run("x")).content is True
    assert (await Agent.from_callback(where, blocking=True).run("x")).content is False


async def test_runs_of_a_callable_go_on_at_the_same_time() -> None:
    barrier = asyncio.Barrier(20)

    async def meet(text: str) -> str:
        await barrier.wait()
        return text

    agent = Agent.from_callback(meet)

    assert len(await asyncio.gather(*(agent.run(str(number)) for number in range(20)))) == 20


async def test_a_callable_may_be_limited() -> None:
    running = 0
    most = 0

    async def count(text: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return text

    agent = Agent.from_callback(count, max_concurrency=2)
    await asyncio.gather(*(agent.run(str(number)) for number in range(10)))

    assert most == 2


async def test_a_message_that_a_function_returns_is_sent_in_the_agents_name() -> None:
    def tagged(text: str) -> ChatMessage[str]:
        return ChatMessage(text, "user", name="somebody", metadata={"tag": 1})

    agent: Agent[object, Any] = Agent.from_callback(tagged)
    answer = await agent.run("x", metadata={"more": 2})

    assert (answer.content, answer.role, answer.name) == ("x", "assistant", "tagged")
    assert answer.metadata == {"tag": 1, "more": 2}


async def test_the_answer_may_be_given_its_id() -> None:
    assert (await Agent.from_callback(str.upper).run("x", message_id="m1")).message_id == "m1"


async def test_a_function_reads_the_context_that_it_was_given_before_its_next_text() -> None:
    def quote(message: ChatMessage[str]) -> str:
        return f"<{message.content}>"

    for function, answer in ((str.upper, "ONE\n\nTWO\n\nX"), (quote, "<one\n\ntwo\n\nx>")):
        agent = Agent.from_callback(function)
        agent.add_context("one")
        agent.add_context("two")

        assert (await agent.run("x")).content == answer
        assert "\n\n" not in (await agent.run("y")).content


async def test_context_waits_for_a_text() -> None:
    def same(content: object) -> object:
        return content

    agent = Agent.from_callback(same)
    agent.add_context("one")

    assert (await agent.run({"a": 1})).content == {"a": 1}
    assert (await agent.run("x")).content == "one\n\nx"
