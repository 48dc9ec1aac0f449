import asyncio
from itertools import groupby
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runs.stream import RunStream
from actors.testing.models import echo_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import ChainBrokenError, EmptyChainError
from protocols.streaming import StreamCompleteEvent
from tests.support.nodes import echo_model_agent, failing_model_agent

AnyAgent = Agent[object, str]


async def steps_of(stream: RunStream[Any]) -> list[tuple[str, str]]:
    """Return (name of the node, kind of the event)."""
    return [(node.name, event.event_kind) async for node, event in stream]


async def completed(stream: RunStream[Any]) -> dict[str, Any]:
    """Return what each node has answered."""
    return {node.name: event.message.content async for node, event in stream if isinstance(event, StreamCompleteEvent)}


async def text_of(stream: RunStream[Any]) -> str:
    return "".join([piece async for piece in stream.stream()])


@pytest.mark.seed("S131", "S133")
async def test_a_chain_gives_node_and_event_one_node_after_the_other() -> None:
    steps = await steps_of((echo_model_agent("a") | echo_model_agent("b") | echo_model_agent("c")).run_stream("q"))
    alone = [event.event_kind async for event in echo_model_agent("a").run_stream("q")]

    changes = [name for name, _ in groupby(steps, key=lambda step: step[0])]
    assert changes == ["a", "b", "c"]
    assert [kind for name, kind in steps if name == "a"] == alone


@pytest.mark.seed("S132")
async def test_the_answer_of_a_node_is_the_input_of_the_next() -> None:
    stream = (echo_model_agent("a") | echo_model_agent("b")).run_stream("q")
    answers = await completed(stream)

    assert answers == {"a": "a(q)", "b": "b(a(q))"}
    assert stream.result.content == "b(a(q))"
    assert stream.result.metadata["execution_order"] == ["a", "b"]


@pytest.mark.seed("S36")
async def test_the_text_of_a_chain_is_that_of_its_last_stage_piece_by_piece() -> None:
    chain = echo_model_agent("a") | Agent("b", model=scripted_model(["one two three"]))
    async with chain.run_stream("q", store_history=True) as stream:
        pieces = [piece async for piece in stream.stream()]

    assert pieces == ["one ", "two ", "three"]
    assert stream.result.content == "one two three"
    assert len(chain.history) == 1


async def test_functions_in_a_chain_are_streamed_as_one_piece() -> None:
    chain = echo_model_agent("a") | str.upper

    assert await text_of(chain.run_stream("q")) == "A(Q)"
    assert await steps_of((Agent.from_callback(str.upper) | str.lower).run_stream("q")) == [
        ("upper", "stream_complete"),
        ("lower", "stream_complete"),
    ]


@pytest.mark.seed("S134")
async def test_a_failing_stage_breaks_the_stream_and_is_named() -> None:
    error = LookupError("no luck")
    last = scripted_model([])
    stream = (echo_model_agent("a") | failing_model_agent("b", error) | Agent("c", model=last)).run_stream(
        "q", require_all=True
    )
    with pytest.raises(ChainBrokenError, match=r"^Chain broken at b: no luck") as caught:
        await steps_of(stream)

    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is error
    assert last.requests == []


@pytest.mark.seed("S135")
async def test_a_failing_stage_can_be_skipped() -> None:
    stream = (echo_model_agent("a") | failing_model_agent("b") | echo_model_agent("c")).run_stream(
        "q", require_all=False
    )

    assert await completed(stream) == {"a": "a(q)", "c": "c(a(q))"}
    assert stream.result.metadata["errors"] == {"b": "no luck"}


@pytest.mark.seed("S137")
async def test_events_of_a_nested_team_keep_the_inner_node() -> None:
    inner = Team([echo_model_agent("b"), echo_model_agent("c")], name="inner")
    chain = TeamRun(
        [echo_model_agent("a"), inner, TeamRun([echo_model_agent("d")], name="deep"), echo_model_agent("e")]
    )
    steps = await steps_of(chain.run_stream("q"))

    assert {name for name, _ in steps} == {"a", "b", "c", "d", "e"}
    assert [name for name, kind in steps if kind == "stream_complete"] in (list("abcde"), list("acbde"))


@pytest.mark.seed("S138")
async def test_options_reach_every_stage() -> None:
    model = scripted_model(["one", "two"])
    chain = failing_model_agent("a") | failing_model_agent("b")

    assert await completed(chain.run_stream("q", model=model)) == {"a": "one", "b": "two"}


async def test_shared_prompt_and_validator_hold_in_streams() -> None:
    first, last = echo_model(), echo_model("ok: {prompt}")
    chain = TeamRun([Agent("a", model=first)], shared_prompt="Be brief.", validator=Agent("v", model=last))
    async with chain.run_stream("q") as stream:
        text = "".join([piece async for piece in stream.stream()])

    assert first.prompts[0].startswith("Be brief.")
    assert first.prompts[0].endswith("q")
    assert text == stream.result.content
    assert text.startswith("ok: ")


async def test_the_connections_of_a_chain_get_its_answer_when_it_is_streamed() -> None:
    got = echo_model()
    target = Agent("target", model=got, session=False)
    chain = echo_model_agent("a") | echo_model_agent("b")
    chain >> target  # pyright: ignore[reportUnusedExpression] - it connects
    await steps_of(chain.run_stream("q"))
    await settle()

    assert got.prompts == ["b(a(q))"]


@pytest.mark.seed("S38")
async def test_a_parallel_team_is_streamed_merged_by_arrival() -> None:
    release = asyncio.Event()
    slow = slow_model(release, "slow answer")
    team = Agent("slow", model=slow) & Agent("fast", model=scripted_model(["fast answer"]))
    order: list[str] = []
    async with team.run_stream("q") as stream:
        async for node, event in stream:
            if isinstance(event, StreamCompleteEvent):
                order.append(node.name)
                release.set()

    assert order == ["fast", "slow"]
    assert stream.result.content == ["slow answer", "fast answer"]


async def test_the_text_of_a_parallel_team_comes_in_blocks_in_the_order_of_its_members() -> None:
    release = asyncio.Event()
    agents = [echo_model_agent("a"), failing_model_agent("b"), Agent("slow", model=slow_model(release, "at last"))]
    pieces: list[str] = []
    async with Team([*agents, echo_model_agent("d")]).run_stream("q") as stream:
        async for piece in stream.stream():
            pieces.append(piece)
            release.set()  # the first block does not wait for the slow member

    assert pieces == ["[a]: a(q)", "\n\n[slow]: at last\n\n[d]: d(q)"]
    assert "".join(pieces) == stream.result.text


@pytest.mark.seed("S37")
async def test_leaving_the_stream_of_a_chain_ends_the_stage_in_hand(no_leaked_actors: None) -> None:
    model = slow_model(asyncio.Event())
    chain = echo_model_agent("a") | Agent("b", model=model)
    async with chain:
        async with chain.run_stream("q") as stream:
            async for node, _ in stream:
                if node.name == "a":
                    await settle()
                    break
        await settle()

        assert model.waiting == 0


async def test_leaving_the_stream_of_a_team_ends_all_members(no_leaked_actors: None) -> None:
    models = [slow_model(asyncio.Event()), slow_model(asyncio.Event())]
    team = Team([Agent("a", model=models[0]), Agent("b", model=models[1]), echo_model_agent("c")])
    async with team:
        async with team.run_stream("q") as stream:
            async for _ in stream:
                await models[0].started.wait()
                await models[1].started.wait()
                break
        await settle()

        assert [model.cancelled for model in models] == [1, 1]


async def test_a_stream_of_nobody_is_an_error() -> None:
    with pytest.raises(EmptyChainError):
        await steps_of(TeamRun([], name="nobody").run_stream("q"))


@pytest.mark.seed("S56")
async def test_a_streamed_chain_is_counted_like_a_run() -> None:
    chain = echo_model_agent("a") | echo_model_agent("b")
    await steps_of(chain.run_stream("q"))

    assert [message.content for message in chain.stats.messages] == ["a(q)", "b(a(q))"]
    assert chain.stats.done
