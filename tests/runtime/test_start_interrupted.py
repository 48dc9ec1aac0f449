from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.errors import ActorStartError, ActorStoppingError
from actors.testing import ManualClock, settle
from tests.support.actors import SlowStart

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


async def test_a_stop_during_on_start_drains_what_was_sent_before_it(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(SlowStart, (gate, log))
    ref.tell(1)
    stopped = ref.stop()
    with pytest.raises(ActorStoppingError):
        ref.tell(2)
    gate.set()

    assert await stopped is True
    assert log == ["started", 1, "on_stop"]


async def test_a_stop_now_during_on_start_lets_on_start_finish(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(SlowStart, (gate, log))
    ref.tell(1)
    await settle()
    stopped = ref.stop(mode="now")
    gate.set()

    assert await stopped is True
    assert log == ["started", "on_stop"]


async def test_a_stop_now_before_on_start_has_begun_runs_no_hook(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(SlowStart, (asyncio.Event(), log))
    ref.tell(1)

    assert await ref.stop(mode="now") is True
    assert log == []
    assert actor_system.dead_letters.total == 1


async def test_a_kill_during_on_start_cancels_it(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(SlowStart, (asyncio.Event(), log))
    ready = ref.ready()
    await settle()

    assert await ref.kill() is True

    assert log == ["cancelled"]
    with pytest.raises(ActorStartError):
        await ready


async def test_a_stop_timeout_during_on_start_cancels_it(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    log: list[Any] = []
    ref = actor_system.start(SlowStart, (asyncio.Event(), log))
    await settle()
    stopped = ref.stop(timeout=2)
    await manual_clock.advance(2)

    assert stopped.done()
    assert log == ["cancelled"]
