"""Streams of nodes that live in another process: the same events, at the pace of their reader."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors.agents.agent import Agent
from actors.cluster.stream_record import CREDIT
from actors.nodes.team_run import TeamRun
from actors.runs.event_channel import CAPACITY
from actors.testing.models import scripted_model, tool_call
from protocols.errors import HostLostError
from protocols.mailbox import MailboxFullError
from protocols.streaming import StreamCompleteEvent
from protocols.transport import Frame, Run
from tests.cluster.process import TTL
from tests.cluster.test_live_runs import NAMES, Pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pydantic_ai.messages import ModelMessage

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


async def look(place: str) -> str:
    """Look somewhere."""
    return f"{place} is empty"


class Talkers:
    """Agents that say many words, and note how far they have come.

    Args:
        words: how many.
        fails: whether an error follows.
        is_durable: whether they are durable.
    """

    def __init__(self, words: int = 5, *, fails: bool = False, is_durable: bool = False) -> None:
        self.words, self.fails, self.is_durable = words, fails, is_durable
        self.said = 0
        self.closed = False

    async def _say(self, _messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[str]:
        try:
            for number in range(self.words):
                self.said += 1
                yield f"{number} "
            if self.fails:
                raise ConnectionError("the line went dead")
        finally:
            self.closed = True

    def nodes(self, _: str) -> Callable[[], list[Any]]:
        def made() -> list[Any]:
            model = FunctionModel(stream_function=self._say)
            keeps: Any = self.is_durable or None
            agents = [Agent(name, model=model, session=False, durable=keeps, placement="single") for name in NAMES]
            pairs = [(x, y) for x in agents for y in agents if x is not y]
            return [*agents, *(TeamRun([x, y], name=f"{x.name}{y.name}", placement="single") for x, y in pairs)]

        return made


class Lookers:
    """Agents that call a tool."""

    def nodes(self, _: str) -> Callable[[], list[Any]]:
        def made() -> list[Any]:
            models = {name: scripted_model([tool_call("look", place="it"), "nothing there"]) for name in NAMES}
            return [
                Agent(name, model=model, tools=[look], session=False, placement="single")
                for name, model in models.items()
            ]

        return made


async def read(pair: Pair, work: Any, seconds: float = 3) -> Any:
    task = asyncio.ensure_future(work)
    await pair.clock.advance(seconds)
    return await task


async def events_of(node: Any) -> list[Any]:
    return [event async for event in node.run_stream("x")]


async def pieces_of(node: Any, pieces: list[str]) -> Any:
    stream = node.run_stream("x")
    async for piece in stream.stream():
        pieces.append(piece)  # noqa: PERF401 - what came before an error counts
    return stream.result


@pytest.mark.parametrize("is_durable", [False, True])
async def test_a_stream_has_the_words_and_the_answer(is_durable: bool) -> None:
    desk = Talkers(500, is_durable=is_durable)
    async with Pair(desk) as pair:
        pieces: list[str] = []
        result = await read(pair, pieces_of(pair.far, pieces), 10)
        assert "".join(pieces) == result.text == "".join(f"{number} " for number in range(500))
        assert len(pieces) > 1


async def test_a_lane_without_room_loses_nothing_and_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Pair(Talkers(200)) as pair:
        for process in (pair.one, pair.two):
            lane, tries = process.service.host.lane, itertools.count()

            def send(host: str, frame: Frame, *, way: Any = lane.send, tries: Any = tries) -> None:
                if next(tries) % 3 and not isinstance(frame, Run):
                    raise MailboxFullError("lane", 1, frame)
                way(host, frame)

            monkeypatch.setattr(lane, "send", send)
        pieces: list[str] = []
        result = await read(pair, pieces_of(pair.far, pieces), 20)
        assert "".join(pieces) == result.text == "".join(f"{number} " for number in range(200))


async def test_the_events_are_those_of_a_run_here() -> None:
    async with Pair(Lookers()) as pair:
        far = await read(pair, events_of(pair.far))
        near = await read(pair, events_of(pair.at(pair.one)[0]))
        assert [type(event) for event in far] == [type(event) for event in near]
        assert {"FunctionToolCallEvent", "FunctionToolResultEvent"} < {type(event).__name__ for event in far}
        assert isinstance(far[-1], StreamCompleteEvent)
        assert far[-1].message.text == near[-1].message.text == "nothing there"


async def test_a_team_names_the_members_that_work() -> None:
    """Whether the team lives elsewhere, or its members."""
    async with Pair(Talkers()) as pair:
        for team in pair.at(pair.one)[-1], pair.at(pair.two)[-1]:
            events = await read(pair, events_of(team))
            assert {node for node, _ in events} == {*team.nodes}
            pieces: list[str] = []
            assert (await read(pair, pieces_of(team, pieces))).text == "".join(pieces)


async def test_a_failure_comes_after_the_words_before_it() -> None:
    async with Pair(Talkers(fails=True)) as pair:
        pieces: list[str] = []
        with pytest.raises(Exception, match="the line went dead"):
            await read(pair, pieces_of(pair.far, pieces))
        assert "".join(pieces) == "0 1 2 3 4 "


async def test_a_slow_reader_holds_the_run_back_and_leaving_cancels_it() -> None:
    desk = Talkers(100_000)
    async with Pair(desk) as pair:
        async with pair.far.run_stream("x") as stream:
            events = aiter(stream)
            first = asyncio.ensure_future(anext(events))
            await pair.clock.advance(5)
            await first
            ahead = desk.said
            assert ahead <= 3 * CREDIT + CAPACITY
            await pair.clock.advance(5)
            assert (desk.said, desk.closed) == (ahead, False)
            for _ in range(CREDIT + CAPACITY):
                following = asyncio.ensure_future(anext(events))
                await pair.clock.advance(0.1)
                await following
            assert ahead < desk.said < ahead + 3 * CREDIT
            await events.aclose()
        await pair.clock.advance(1)
        assert desk.closed
        assert not pair.two.service.host.tasks


async def test_the_reader_of_a_lost_host_is_told() -> None:
    async with Pair(Talkers(100_000)) as pair:
        pieces: list[str] = []
        reading = asyncio.ensure_future(pieces_of(pair.far, pieces))
        await pair.clock.advance(1)
        await pair.two.die()
        await pair.clock.advance(TTL + 1)
        with pytest.raises(HostLostError):
            await reading
        assert pieces
