from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError, AskTimeoutError
from actors.testing import ManualClock, settle
from tests.support.actors import BlockedActor, Echo

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


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
