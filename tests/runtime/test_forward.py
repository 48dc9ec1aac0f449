from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError, AskTimeoutError
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, settle
from tests.runtime.conftest import StartChild
from tests.support.actors import BlockedActor, Echo

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.ref import ActorRef


async def test_take_reply_hands_the_answer_to_somebody_else(actor_system: ActorSystem) -> None:
    echo = actor_system.start(Echo)

    class HandsOn(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            reply = self.take_reply()
            assert reply is not None
            assert self.take_reply() is None
            echo.forward(("forwarded", message), reply)

    assert await actor_system.start(HandsOn).ask(1) == ("forwarded", 1)


async def test_a_forwarded_ask_keeps_its_deadline_and_its_cancellation(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []
    last = actor_system.start(BlockedActor, (log,))

    class HandsOn(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            reply = self.take_reply()
            assert reply is not None
            last.forward(message, reply)

    first = actor_system.start(HandsOn)
    timed, cancelled = first.ask("timed", timeout=2), first.ask("cancelled", timeout=None)
    await manual_clock.advance(2)
    assert isinstance(timed.exception(), AskTimeoutError)
    await settle()
    cancelled.cancel()
    await settle()

    assert log == [("begin", "timed"), ("cancelled", "timed"), ("begin", "cancelled"), ("cancelled", "cancelled")]
    assert len(actor_system.deadlines) == 0


async def test_a_reply_forwarded_to_a_dead_actor_fails_the_asker(actor_system: ActorSystem) -> None:
    dead = actor_system.start(Echo)
    await dead.stop()

    class HandsOn(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            reply = self.take_reply()
            assert reply is not None
            dead.forward(message, reply)

    with pytest.raises(ActorStoppingError):
        await actor_system.start(HandsOn).ask(1, timeout=None)


class Takes(AsyncioActor):
    """Takes the reply of an ask over and does not answer it; "crash" ends this life."""

    def __init__(self, holds: str) -> None:
        super().__init__()
        self.holds = holds
        self.kept: Any = None

    async def _wait(self, _reply: Any) -> None:
        await asyncio.Event().wait()

    def on_receive(self, message: Any) -> None:
        if message == "crash":
            raise ValueError(message)
        reply = self.take_reply()
        if self.holds == "attribute":
            self.kept = reply
        elif self.holds == "task":
            self.create_task(self._wait(reply))


ENDS: dict[str, Callable[[ActorRef[Any]], object]] = {
    "stop": lambda ref: ref.stop(),
    "stop now": lambda ref: ref.stop(mode="now"),
    "kill": lambda ref: ref.kill(),
    "crash": lambda ref: ref.tell("crash"),
    "end of the system": lambda ref: cast("ActorSystem", ref.system).begin_close(),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("holds", ["attribute", "task", "nothing"])
async def test_the_asker_is_told_at_once_when_the_actor_that_took_its_reply_ends(
    no_leaked_actors: None, holds: str, end: str
) -> None:
    async with ActorSystem("test") as system:
        ref = system.start(Takes, (holds,))
        reply = ref.ask("take", timeout=None)
        await settle()
        ENDS[end](ref)

        with pytest.raises(ActorStoppingError, match="ended before it answered"):
            await reply


async def test_the_asker_is_told_at_once_when_the_actor_that_took_its_reply_restarts(start_child: StartChild) -> None:
    ref: ActorRef[Any] = start_child(Takes, "attribute")
    reply = ref.ask("take", timeout=None)
    ref.tell("crash")

    with pytest.raises(ActorStoppingError, match="ended before it answered: ValueError: crash"):
        await reply


async def test_a_reply_that_was_forwarded_outlives_the_actor_that_took_it(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    last = actor_system.start(BlockedActor, (log, gate))

    class HandsOn(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            reply = self.take_reply()
            assert reply is not None
            last.forward(message, reply)

    first = actor_system.start(HandsOn)
    reply = first.ask("go")
    await first.stop()
    gate.set()
    await reply

    assert log == [("begin", "go"), ("end", "go")]


async def test_a_reply_that_an_actor_forwarded_to_itself_is_for_its_next_life(start_child: StartChild) -> None:
    class Again(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            if self.actor_ref.incarnation > 1:
                return message
            reply = self.take_reply()
            assert reply is not None
            self.actor_ref.forward("later", reply)
            raise ValueError(message)

    ref: ActorRef[Any] = start_child(Again)

    assert await ref.ask("now") == "later"
