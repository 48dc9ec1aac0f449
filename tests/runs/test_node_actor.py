import asyncio
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.runs.event_channel import EventChannel, StreamSink
from actors.runs.handle import NodeHandle
from actors.runs.request import RunRequest
from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorCrashedError, UnhandledMessageError
from actors.testing.models import scripted_model
from actors.testing.settle import settle
from protocols.messages import ChatMessage
from protocols.node import Origin
from tests.support.nodes import echo_agent


class Outlet:
    """A connection that notes what it is offered."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def offer(self, message: ChatMessage[Any], origin: Origin) -> None:
        self.log.append(f"offered {message.content} of {origin.run_id}")


class Relay:
    """A route that sends the answer of one node to the next one, under the asker's reply."""

    def __init__(self, rest: list[NodeHandle[Any, Any]], errors: list[str]) -> None:
        self.rest = rest
        self.errors = errors

    def passed(self, actor: AsyncioActor, request: RunRequest, answer: ChatMessage[Any]) -> None:
        reply = actor.take_reply()
        assert reply is not None
        if not self.rest:
            reply.answer(answer)
            return
        node, rest = self.rest[0], self.rest[1:]
        node.ref().forward(
            node.request([answer], request.options, parent=request, route=Relay(rest, self.errors)), reply
        )

    def failed(self, actor: AsyncioActor, request: RunRequest, error: Exception) -> None:
        self.errors.append(f"{request.node.name}: {error}")
        actor.fail_reply(error)


async def test_an_answer_is_offered_to_each_connection_before_the_caller_has_it() -> None:
    log: list[str] = []
    agent = echo_agent("a")
    agent.talks = (Outlet(log), Outlet(log))
    request = agent.request(["x"], {})

    await agent.ask(request)

    assert log == [f"offered a(x) of {request.run_id}"] * 2


async def test_a_broken_connection_harms_neither_the_run_nor_other_connections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def offer(self, message: ChatMessage[Any], origin: Origin) -> None:
            raise ValueError("broken")

    log: list[str] = []
    agent = echo_agent("a")
    agent.talks = (Broken(), Outlet(log))

    assert (await agent.run("x")).content == "a(x)"
    assert (len(log), "a connection of node a failed" in caplog.text) == (1, True)


async def test_a_failed_run_offers_nothing() -> None:
    log: list[str] = []
    agent = Agent("a", model=scripted_model([ValueError("no")]))
    agent.talks = (Outlet(log),)

    with pytest.raises(ValueError, match="no"):
        await agent.run("x")

    assert log == []


async def test_a_route_leads_the_answer_from_stage_to_stage_to_the_first_asker() -> None:
    first, second, third = echo_agent("a"), echo_agent("b"), echo_agent("c")

    answer = await first.ask(first.request(["x"], {}, route=Relay([second, third], [])))

    assert (answer.content, answer.name, answer.forwarded_from) == ("c(b(a(x)))", "c", ("a", "b"))


async def test_a_route_is_told_of_the_stage_that_failed() -> None:
    errors: list[str] = []
    first, second = echo_agent("a"), Agent("b", model=scripted_model([ValueError("no")]))

    with pytest.raises(ValueError, match="no"):
        await first.ask(first.request(["x"], {}, route=Relay([second], errors)))

    assert errors == ["b: no"]


async def test_an_exit_inside_a_run_is_a_crash_and_other_nodes_live_on() -> None:
    class Stop(BaseException):
        pass

    def leave(text: str) -> str:
        raise Stop(text)

    bystander = echo_agent("bystander")
    await bystander.run("x")
    ref = bystander.ref()

    with pytest.raises(ActorCrashedError) as caught:
        await Agent.from_callback(leave).run("x")
    await settle()

    assert isinstance(caught.value.__cause__, Stop)
    assert ref.is_alive()


async def test_a_node_actor_has_no_handler_for_strange_messages() -> None:
    with pytest.raises(UnhandledMessageError, match="str"):
        await echo_agent("a").ref().ask("hello")


async def test_the_events_of_a_run_go_to_its_sink_as_fast_as_they_are_read() -> None:
    agent = Agent("a", model=scripted_model(["one two three"]))
    channel = EventChannel(1)
    run = asyncio.create_task(agent.ask(agent.request(["x"], {}, sink=StreamSink(channel, agent))))

    items = [await channel.get() for _ in range(3)]
    assert not run.done()
    while not run.done():
        await settle_one(channel, run)

    assert [item.event.event_kind for item in items] == ["part_start", "final_result", "part_delta"]
    assert [item.text for item in items] == ["one ", "", "two "]
    assert (await run).content == "one two three"
    assert len(agent.history) == 2


async def settle_one(channel: EventChannel, run: asyncio.Task[Any]) -> None:
    reader = asyncio.create_task(channel.get())
    await asyncio.wait({reader, run}, return_when=asyncio.FIRST_COMPLETED)
    reader.cancel()
