"""The pieces of a stream make up the answer: for every script of a model, and every kind of node."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import (
    AgentInfo,
    DeltaThinkingCalls,
    DeltaThinkingPart,
    DeltaToolCall,
    DeltaToolCalls,
    FunctionModel,
)

from actors import Agent, ChatMessage, Team, TeamRun
from actors.nodes.node import AnyNode, MessageNode
from actors.nodes.team_settings import SuccessPolicy
from actors.runs.request import RunRequest
from actors.runs.stream import RunStream
from tests.support.nodes import current_system


class City(BaseModel):
    name: str


def look() -> str:
    """Find something."""
    return "found"


class Stub(MessageNode[Any, str]):
    """A node of a user, whose answer comes from elsewhere."""

    async def perform(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[str]:
        return ChatMessage(f"{self.name} has read {len(asked.text)}", "assistant", self.name, request.conversation_id)


class Wrapper(MessageNode[Any, Any]):
    """A node of a user that hands its whole stream to another node, and changes the answer."""

    async def perform(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[str]:
        inner = Agent("inner", model=model_of([["text", "text"]]), session=False)
        answer = await inner.ask(inner.request((asked,), {}, parent=request, sink=request.sink))
        return ChatMessage(f"<{answer.text}>", "assistant", self.name, request.conversation_id)


def model_of(script: list[list[str]], *, fails: bool = False) -> FunctionModel:
    """Return a model that goes through the responses of a script; each response is a list of kinds of parts."""
    rounds = iter(script)

    async def say(_: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls | DeltaThinkingCalls]:
        for place, part in enumerate(next(rounds, ["text"])):
            await asyncio.sleep(0)
            if part == "think":
                yield {place: DeltaThinkingPart(content="hm")}
            elif part == "tool" and info.function_tools:
                yield {place: DeltaToolCall("look", "{}", tool_call_id=f"t{place}")}
            elif part == "output" and info.output_tools:
                yield {place: DeltaToolCall(info.output_tools[0].name, '{"name": "Bern"}', tool_call_id=f"o{place}")}
            else:
                for letters in ("so ", "it ", "is. "):
                    await asyncio.sleep(0)
                    yield letters
        if fails:
            raise ValueError("the line went dead")

    return FunctionModel(stream_function=say)


responses = st.lists(st.sampled_from(["text", "tool", "think", "output"]), min_size=1, max_size=3)
scripts = st.lists(responses, min_size=1, max_size=3)
agents = st.tuples(st.just("agent"), scripts, st.booleans(), st.sampled_from([None, City, str | City]), st.booleans())
leaves = agents | st.sampled_from(["function", "stub", "wrapper"])
trees = st.recursive(
    leaves,
    lambda inner: st.tuples(
        st.sampled_from(["any", "first", "all", "picked", "last", "concat", "validated", "twice", "picked chain"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def built(tree: Any, path: str = "n") -> AnyNode:
    match tree:
        case "function":
            return Agent.from_callback(str.title, name=path)
        case "stub":
            return Stub(path)
        case "wrapper":
            return Wrapper(path)
        case ("agent", script, has_tools, output, fails):
            model = model_of(script, fails=fails and has_tools)
            tools = [look] if has_tools else []
            return Agent(path, model=model, tools=tools, output_type=output or str, session=False, retries=5)
        case (kind, parts):
            nodes = [built(part, f"{path}{place}") for place, part in enumerate(parts)]
            return _team(kind, nodes, path)
        case _:
            raise AssertionError(tree)


def _team(kind: str, nodes: list[AnyNode], path: str) -> AnyNode:
    def first(_: str) -> list[str]:
        return [nodes[0].name]

    picker = Agent.from_callback(first, name=f"{path}-picker") if "picked" in kind else None
    if kind in ("any", "first", "all"):
        return Team(nodes, name=path, policy=SuccessPolicy.of(kind))
    if kind == "picked":
        return Team(nodes, name=path, picker=picker)
    if kind == "concat":
        return TeamRun(nodes, name=path, result_mode="concat")
    if kind == "validated":
        return TeamRun(nodes, name=path, validator=Stub(f"{path}-validator"))
    return TeamRun([*nodes, nodes[0]] if kind == "twice" else nodes, name=path, picker=picker)


async def _check(tree: Any, require_all: bool | None) -> None:
    system = current_system()
    with suppress(ValueError, RuntimeError):  # a failed run has no answer
        stream: RunStream[Any] = built(tree).run_stream("q", require_all=require_all)
        assert "".join([piece async for piece in stream.stream()]) == stream.result.text
        stream = built(tree).run_stream("q", require_all=require_all)
        texts = [text async for text in stream.stream_text()]
        assert (texts or [""])[-1] == stream.result.text
    await system.close()


@settings(max_examples=80, deadline=None)
@given(tree=trees, require_all=st.sampled_from([None, True, False]))
def test_the_pieces_of_any_stream_make_up_the_answer(tree: Any, require_all: bool | None) -> None:
    asyncio.run(_check(tree, require_all))


async def test_what_a_model_says_before_it_calls_a_tool_is_no_part_of_the_text() -> None:
    agent = Agent("a", model=model_of([["text", "tool"], ["think", "text"]]), tools=[look])
    async with agent.run_stream("q") as stream:
        pieces = [piece async for piece in stream.stream()]

    assert pieces == ["so ", "it ", "is. "]
    assert stream.result.text == "so it is. "


async def test_the_text_so_far_is_told_at_once_and_begins_anew_after_the_call_of_a_tool() -> None:
    agent = Agent("a", model=model_of([["text", "tool"], ["think", "text"]]), tools=[look])
    texts = [text async for text in agent.run_stream("q").stream_text()]

    assert texts == ["so ", "so it ", "so it is. "] * 2


async def test_a_structured_answer_is_its_json_whatever_the_model_has_said_before_it() -> None:
    agent = Agent("a", model=model_of([["text", "output"]]), output_type=City)
    async with agent.run_stream("q") as stream:
        pieces = [piece async for piece in stream.stream()]

    assert pieces == [stream.result.text] == ['{"name":"Bern"}']
