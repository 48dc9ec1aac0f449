from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.watchdog import BlockedLoopWatch
from actors.testing.settle import settle
from protocols.events import LoopBlocked, StampedEvent

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


class Looker(AsyncioActor):
    """Has the watch look while this handler holds the loop, at a time that the test chooses."""

    def __init__(self, watch: BlockedLoopWatch) -> None:
        super().__init__()
        self.guard = watch

    def on_receive(self, message: float) -> Any:
        return self.guard.check(time.monotonic() + message)


@pytest.mark.conformance("R113")
async def test_a_blocked_loop_is_reported_once_with_actor_and_stack(actor_system: ActorSystem) -> None:
    watch = BlockedLoopWatch(actor_system, limit=3600.0)
    async with watch:
        ref = actor_system.start(Looker, (watch,), name="heavy")
        assert await ref.ask(1800.0) is None
        stack = await ref.ask(3700.0)
        assert "on_receive" in stack
        assert "test_watchdog.py" in stack
        assert actor_system.dispatcher.current is not None
        assert actor_system.dispatcher.current.name == "heavy"
        assert await ref.ask(3700.0) is None
        assert watch.warnings == 1


async def test_the_end_of_a_block_is_published_with_its_actor(actor_system: ActorSystem) -> None:
    seen: list[StampedEvent] = []
    actor_system.events.subscribe(seen.append, [LoopBlocked])
    watch = BlockedLoopWatch(actor_system, limit=3600.0)
    async with watch:
        ref = actor_system.start(Looker, (watch,), name="heavy")
        await ref.ask(3700.0)
        watch._tick()  # pyright: ignore[reportPrivateUsage]
        await settle()
    assert [event.actor for event in seen] == ["heavy"]


async def test_a_limit_that_is_no_time_is_refused(actor_system: ActorSystem) -> None:
    with pytest.raises(ValueError, match="limit must be seconds > 0, not 0"):
        BlockedLoopWatch(actor_system, limit=0)
