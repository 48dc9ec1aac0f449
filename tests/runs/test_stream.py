import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage, PartDeltaEvent, PartStartEvent, TextPartDelta
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors import normalize_stream_for_teams
from actors.agents.agent import Agent
from actors.runs.event_channel import CAPACITY
from actors.runs.stream import RunStream
from actors.testing.models import failing_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import EmptyPromptError, NodeStoppedError, NotRunningError, RunCancelledError, RunTimeoutError
from protocols.messages import ChatMessage
from protocols.streaming import StreamCompleteEvent, SupportsRunStream, SupportsStructuredOutput

AnyAgent = Agent[object, str]


class Talker:
    """A model that says 1,000 words and notes how far it has come, and whether its stream was closed."""

    def __init__(self, *, error_at: int | None = None) -> None:
        self.said = 0
        self.closed = False
        self._error_at = error_at
        self.model = FunctionModel(stream_function=self._say)

    async def _say(self, _messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
        try:
            for number in range(1_000):
                if number == self._error_at:
                    raise ConnectionError("the line went dead")
                self.said += 1
                yield f"{number} "
        finally:
            self.closed = True


async def pieces_of(stream: RunStream[Any]) -> list[str]:
    return [piece async for piece in stream.stream()]


async def read_into(pieces: list[str], stream: RunStream[Any]) -> None:
    async for piece in stream.stream():
        pieces.append(piece)  # noqa: PERF401 - what came before an error counts


@pytest.mark.seed("S34")
async def test_the_pieces_of_a_stream_make_up_the_answer() -> None:
    agent = Agent("poet", model=failing_model(ValueError("not this one")))
    async with agent.run_stream("q", store_history=True, model=scripted_model(["a rose is a rose"])) as stream:
        pieces = [piece async for piece in stream.stream()]

    assert len(pieces) > 1
    assert "".join(pieces) == stream.result.content == "a rose is a rose"
    assert stream.is_complete
    assert stream.usage.output_tokens > 0


@pytest.mark.seed("S35")
@pytest.mark.parametrize(("store_history", "kept"), [(True, 2), (None, 2), (False, 0)])
async def test_the_exchange_is_in_the_history_after_the_stream(store_history: bool | None, kept: int) -> None:
    agent = Agent("poet", model=scripted_model(["a rose"]))
    async with agent.run_stream("q", store_history=store_history) as stream:
        await pieces_of(stream)

    assert len(agent.history) == kept


async def test_iterating_a_stream_gives_the_events_of_the_model_and_last_the_answer() -> None:
    events = [event async for event in Agent("poet", model=scripted_model(["a rose"])).run_stream("q")]

    kinds = [event.event_kind for event in events]
    assert kinds[:2] == ["part_start", "final_result"]
    assert isinstance(events[-1], StreamCompleteEvent)
    assert events[-1].message.content == "a rose"
    assert kinds.count("stream_complete") == 1
    texts = [event.delta.content_delta for event in events
             if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta)]  # fmt: skip
    assert isinstance(events[0], PartStartEvent)
    assert texts == ["rose"]


async def test_when_completion_is_reported_history_signal_and_connections_are_done() -> None:
    agent = Agent("poet", model=scripted_model(["a rose"]))
    sent: list[str] = []
    agent.message_sent.connect(lambda message: sent.append(message.content))
    async for event in agent.run_stream("q"):
        if isinstance(event, StreamCompleteEvent):
            assert (len(agent.history), sent) == (2, ["a rose"])
            break
    else:
        pytest.fail("no completion")
    await settle()

    assert len(agent.history) == 2


async def test_stream_text_gives_the_text_so_far_or_the_pieces() -> None:
    agent = Agent("poet", model=scripted_model(["a rose is", "a rose is"]), session=False)
    growing = [text async for text in agent.run_stream("q").stream_text()]
    pieces = [text async for text in agent.run_stream("q").stream_text(delta=True)]

    assert growing == ["a ", "a rose ", "a rose is"]
    assert pieces == ["a ", "rose ", "is"]


async def test_a_function_is_streamed_as_one_piece() -> None:
    agent = Agent.from_callback(str.upper, name="upper")
    async with agent.run_stream("words") as stream:
        assert await pieces_of(stream) == ["WORDS"]
    kinds = [event.event_kind async for event in agent.run_stream("words")]

    assert kinds == ["stream_complete"]


class City(BaseModel):
    name: str


async def test_a_structured_answer_is_one_piece_and_keeps_its_type() -> None:
    agent = Agent("geo", model=scripted_model([City(name="Bern")]), output_type=City)
    async with agent.run_stream("capital") as stream:
        pieces = await pieces_of(stream)

    assert stream.result.content == City(name="Bern")
    assert pieces == [stream.result.text]


@pytest.mark.seed("S37")
@pytest.mark.conformance("R108")
async def test_leaving_early_closes_the_models_stream_and_leaves_nothing_behind(no_leaked_actors: None) -> None:
    talker = Talker()
    async with Agent("talker", model=talker.model) as agent:
        async with agent.run_stream("q") as stream:
            async for _ in stream.stream():
                break
        await settle()

        assert talker.closed
        assert talker.said < 100
        assert len(agent.history) == 0
        with pytest.raises(NotRunningError, match="no result"):
            _ = stream.result


@pytest.mark.seed("S37")
async def test_breaking_out_of_a_bare_loop_ends_the_run_too(no_leaked_actors: None) -> None:
    talker = Talker()
    async with Agent("talker", model=talker.model) as agent:
        async for _ in agent.run_stream("q"):
            break
        gc.collect()
        await settle()

        assert talker.closed
        assert not agent.is_busy()


async def test_a_cancelled_reader_ends_the_run(no_leaked_actors: None) -> None:
    model = slow_model(asyncio.Event())
    async with Agent("slow", model=model) as agent:

        async def read() -> None:
            async with agent.run_stream("q") as stream:
                await pieces_of(stream)

        reader = asyncio.create_task(read())
        await model.started.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await settle()

        assert model.cancelled == 1


@pytest.mark.conformance("R109")
async def test_a_slow_reader_holds_the_model_back() -> None:
    talker = Talker()
    agent = Agent("talker", model=talker.model)
    async with agent.run_stream("q") as stream:
        count = 0
        async for _ in stream.stream():
            count += 1
            if count % 100 == 0:
                await settle()
                assert talker.said <= count + CAPACITY + 4

    assert count == 1_000
    assert stream.result.content.split()[-1] == "999"


@pytest.mark.conformance("R110")
async def test_an_error_in_mid_stream_reaches_the_reader_after_what_came_before() -> None:
    agent = Agent("talker", model=Talker(error_at=3).model)
    pieces: list[str] = []

    with pytest.raises(ConnectionError, match="the line went dead"):
        await read_into(pieces, agent.run_stream("q"))
    await settle()

    assert pieces == ["0 ", "1 ", "2 "]
    assert agent.history == ()
    assert not agent.is_busy()


@pytest.mark.conformance("R110")
async def test_the_reader_is_told_when_the_node_is_killed_in_mid_stream() -> None:
    model = slow_model(asyncio.Event())
    agent = Agent("slow", model=model)
    stream = agent.run_stream("q")
    reading = asyncio.ensure_future(pieces_of(stream))
    await model.started.wait()
    await agent.ref().kill(block=False)

    with pytest.raises(RunCancelledError):
        await reading
    assert not stream.is_complete


async def test_a_stream_has_the_time_of_its_run() -> None:
    agent = Agent("slow", model=slow_model(asyncio.Event()))
    with pytest.raises(RunTimeoutError):
        await pieces_of(agent.run_stream("q", timeout=0.001))


async def test_bad_calls_are_refused_before_anything_runs() -> None:
    agent = Agent("a", model=scripted_model([]))
    with pytest.raises(EmptyPromptError):
        agent.run_stream()
    with pytest.raises(TypeError, match="modl"):
        agent.run_stream("q", modl="m")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]
    async with agent:
        pass
    with pytest.raises(NodeStoppedError):
        await pieces_of(agent.run_stream("q"))


async def test_a_stream_that_is_never_read_runs_nothing() -> None:
    model = scripted_model([])
    stream = Agent("a", model=model).run_stream("q")

    assert not stream.is_complete
    assert stream.usage.total_tokens == 0
    assert model.requests == []


async def test_a_second_reading_of_a_finished_stream_is_empty() -> None:
    stream = Agent("a", model=scripted_model(["x"])).run_stream("q")
    first = [event async for event in stream]

    assert first
    assert [event async for event in stream] == []


async def test_two_streams_of_an_agent_that_remembers_go_on_one_after_the_other() -> None:
    agent = Agent("a", model=scripted_model(["one", "two"]))
    async with agent.run_stream("q") as first, agent.run_stream("q") as second:
        assert await pieces_of(first) == ["one"]
        assert await pieces_of(second) == ["two"]


@pytest.mark.seed("S104")
async def test_nodes_support_streams_and_structured_output() -> None:
    agent: object = Agent("a", model=scripted_model([]))

    assert isinstance(agent, SupportsRunStream)
    assert isinstance(agent, SupportsStructuredOutput)
    assert not isinstance("a", SupportsRunStream)


@pytest.mark.seed("S137")
async def test_the_streams_of_all_nodes_can_be_read_alike() -> None:
    agents = [Agent(name, model=scripted_model(["one", "two"])) for name in "abc"]
    inner = agents[0] | agents[1]

    alone = [node.name async for node, _ in normalize_stream_for_teams(agents[2], "q")]
    nested = [node.name async for node, _ in normalize_stream_for_teams(inner | agents[2], "q")]

    assert set(alone) == {"c"}
    assert list(dict.fromkeys(nested)) == ["a", "b", "c"]


async def test_the_stream_counts_like_a_run() -> None:
    agent = Agent("a", model=scripted_model(["one"]))
    await pieces_of(agent.run_stream("q"))

    last = agent.stats.messages[-1]
    assert isinstance(last, ChatMessage)
    assert last.content == "one"
