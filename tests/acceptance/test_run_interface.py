"""The examples of the guide to the run interface (docs/run-interface.md), on every kind of node."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel

from actors import Agent, AgentResponse, ChatMessage, MessageNode, RunStats, RunStream, Talk, Team, TeamRun
from actors.testing.models import echo_model
from actors.testing.settle import settle
from protocols.errors import ChainBrokenError, ConfigError, MemberError, UnknownModelError
from tests.support.nodes import echo_model_agent

if TYPE_CHECKING:
    from collections.abc import Callable

Node = MessageNode[Any, Any]
KINDS = ["agent", "team", "chain"]


def node_of(kind: str) -> Node:
    """Return a node of each kind, made of agents that answer ``name(input)``."""
    makers: dict[str, Callable[[], Node]] = {
        "agent": lambda: echo_model_agent("a"),
        "team": lambda: Team([echo_model_agent("a"), echo_model_agent("b")]),
        "chain": lambda: TeamRun([echo_model_agent("a"), echo_model_agent("b")]),
    }
    return makers[kind]()


CONTENT: dict[str, object] = {"agent": "a(q)", "team": ["a(q)", "b(q)"], "chain": "b(a(q))"}
ANSWERS = {"agent": 1, "team": 2, "chain": 2}


@pytest.mark.seed("S1")
@pytest.mark.parametrize("kind", KINDS)
def test_every_node_offers_the_whole_run_interface(kind: str) -> None:
    node = node_of(kind)
    family = ["run", "run_sync", "run_iter", "run_stream", "run_job", "run_in_background", "wait", "stop", "cancel"]

    assert isinstance(node, MessageNode)
    assert [name for name in family if not callable(getattr(node, name, None))] == []
    assert (node.is_running, isinstance(node.stats, RunStats)) == (False, True)


@pytest.mark.seed("S2", "S3", "S6", "S42")
@pytest.mark.parametrize("kind", KINDS)
async def test_run_gives_one_message(kind: str) -> None:
    node = node_of(kind)
    message = await node.run("q")

    assert isinstance(message, ChatMessage)
    assert (message.content, message.role, message.name) == (CONTENT[kind], "assistant", node.name)
    assert (await echo_model_agent("z").run(message)).content.startswith("z(")


@pytest.mark.seed("S7", "S8")
@pytest.mark.parametrize("kind", KINDS)
def test_run_sync_gives_the_same_message(kind: str) -> None:
    assert node_of(kind).run_sync("q").content == CONTENT[kind]


@pytest.mark.seed("S9")
@pytest.mark.parametrize("kind", KINDS)
async def test_run_sync_works_where_a_loop_is_running(kind: str) -> None:
    assert node_of(kind).run_sync("q").content == CONTENT[kind]


@pytest.mark.seed("S11", "S12", "S20")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_background_run_can_be_monitored_and_cancelled(kind: str) -> None:
    node = node_of(kind)
    stats = await node.run_in_background("q", max_count=3, interval=0.0)
    seen: list[int] = []
    while node.is_running:
        seen.append(stats.message_count)
        await asyncio.sleep(0)
    await node.cancel()

    assert seen == sorted(seen)
    assert seen[0] == 0
    assert stats.message_count == 3 * ANSWERS[kind]


@pytest.mark.seed("S16", "S17")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_background_run_can_be_waited_for_at_its_start(kind: str) -> None:
    node = node_of(kind)
    stats = await node.run_in_background("q", max_count=2, interval=0.0, block=True)
    last = await node.wait()

    assert not node.is_running
    assert last is not None
    assert (last.content, stats.done) == (CONTENT[kind], True)


@pytest.mark.seed("S18", "S19", "S21")
@pytest.mark.parametrize("kind", KINDS)
async def test_an_unlimited_run_goes_on_until_it_is_cancelled(kind: str) -> None:
    node = node_of(kind)
    await node.cancel()
    stats = await node.run_in_background("q", max_count=None, interval=1_000.0)
    await settle()
    assert node.is_running
    await node.cancel()
    again = await node.run_in_background("q", max_count=1, block=True)

    assert (stats.message_count, again.message_count) == (ANSWERS[kind], ANSWERS[kind])
    assert not node.is_running


@pytest.mark.seed("S23")
async def test_run_iter_takes_a_text_as_one_prompt() -> None:
    agent = echo_model_agent("a")
    found = [message async for message in agent.run_iter("analyze this", store_history=True, model=echo_model("m"))]

    assert [message.content for message in found] == ["m"]


@pytest.mark.seed("S27", "S28", "S38")
@pytest.mark.parametrize("kind", ["team", "chain"])
async def test_run_iter_of_a_group_gives_one_message_per_member(kind: str) -> None:
    found = [message.name async for message in node_of(kind).run_iter("q")]

    assert found == ["a", "b"]


@pytest.mark.seed("S34", "S36")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_gives_pieces_of_text_and_then_the_result(kind: str) -> None:
    pieces: list[str] = []
    async with node_of(kind).run_stream("q", store_history=True, model=echo_model("one two {prompt}")) as stream:
        async for piece in stream.stream():
            assert isinstance(piece, str)
            pieces.append(piece)

    assert isinstance(stream, RunStream)
    assert len(pieces) > 1
    if kind != "team":
        assert "".join(pieces) == stream.result.content


@pytest.mark.seed("S136")
def test_what_cannot_be_streamed_is_refused_as_a_member_by_name() -> None:
    class Legacy:
        name = "legacy"

        def __repr__(self) -> str:
            return "legacy"

    with pytest.raises(ConfigError, match="member legacy is no node"):
        TeamRun([echo_model_agent("a"), Legacy()])  # type: ignore[list-item] # pyright: ignore[reportArgumentType]


class _Whole(FunctionModel):
    """A model that answers, but cannot stream."""

    def __init__(self) -> None:
        super().__init__(lambda _, __: ModelResponse(parts=[TextPart("whole")]))


@pytest.mark.seed("S136")
async def test_a_node_whose_model_cannot_stream_is_named_when_it_is_streamed() -> None:
    legacy: Node = Agent("legacy", model=_Whole(), session=False)

    with pytest.raises(ChainBrokenError, match=r"Chain broken at legacy: .*stream") as broken:
        _ = [step async for step in TeamRun([echo_model_agent("a"), legacy]).run_stream("q")]
    assert broken.value.node == "legacy"
    with pytest.raises(MemberError, match=r"legacy: .*stream"):
        _ = [step async for step in Team([echo_model_agent("a"), legacy]).run_stream("q", require_all=True)]
    with pytest.raises(AssertionError, match="stream") as raised:
        _ = [event async for event in legacy.run_stream("q")]
    assert raised.value.__notes__ == ["node 'legacy': the run failed"]
    assert (await legacy.run("q")).content == "whole"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_statistics_can_be_awaited_too(kind: str) -> None:
    node = node_of(kind)
    await node.run("q")

    assert (await node.get_stats()) is node.stats
    assert (await node.get_stats()).message_count == ANSWERS[kind]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failed_run_is_signalled_before_the_caller_is_told(kind: str) -> None:
    node, told = node_of(kind), list[Exception]()
    node.run_failed.connect(told.append)

    with pytest.raises((UnknownModelError, MemberError)) as raised:
        await node.run("q", model="no such model", require_all=True)
    assert told == [raised.value]
    await node.run("q")
    assert len(told) == 1


@pytest.mark.seed("S39", "S40", "S41")
async def test_execute_iter_shows_each_connection_before_the_message_flows() -> None:
    chain = TeamRun([echo_model_agent("a"), echo_model_agent("b"), echo_model_agent("c")])
    seen: list[str] = []
    async for item in chain.execute_iter("q"):
        match item:
            case Talk():
                seen.append(f"{item.source.name} > {item.targets[0].name}")
                item.transform(lambda message: f"[{message.content}]")
            case AgentResponse():
                assert item.message is not None
                seen.append(f"{item.agent_name}: {item.message.content}")

    assert seen == ["a: a(q)", "a > b", "b: b([a(q)])", "b > c", "c: c([b([a(q)])])"]
