from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import (
    ActorCrashedError,
    ActorStoppingError,
    BlockingCallError,
)
from actors.testing import settle
from protocols.control import ActorState
from tests.support.actors import BlockedActor, Echo, RecordingActor

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from tests.runtime.conftest import StartChild


async def test_kill_cancels_the_handler_and_skips_on_stop(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(BlockedActor, (log,))
    running, queued = ref.ask("running"), ref.ask("queued")
    await settle()

    assert await ref.kill() is True

    assert log == [("begin", "running"), ("cancelled", "running")]
    with pytest.raises(ActorCrashedError):
        await running
    with pytest.raises(ActorStoppingError):
        await queued


async def test_kill_ends_an_actor_that_is_already_stopping(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(BlockedActor, (log,))
    ref.tell("running")
    await settle()
    stopped = ref.stop()

    await ref.kill()

    assert stopped.done()
    assert log == [("begin", "running"), ("cancelled", "running")]


async def test_kill_before_the_first_step_ends_an_idle_actor(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(RecordingActor, (log,))
    ref.tell(1)

    assert await ref.kill() is True
    assert log == []


async def test_an_actor_can_kill_itself(actor_system: ActorSystem) -> None:
    log: list[Any] = []

    class KillsItself(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            self.actor_ref.kill(block=False)
            try:
                await asyncio.sleep(0)
                log.append("went on")
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

    ref = actor_system.start(KillsItself)
    ref.tell("go")
    await settle()

    assert log == ["cancelled"]
    assert ref.state is ActorState.STOPPED


async def test_blocking_on_the_loop_of_the_actor_is_refused(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)

    with pytest.raises(BlockingCallError, match=r"await ref\.stop"):
        ref.stop(block=True)
    with pytest.raises(BlockingCallError, match=r"await ref\.ask"):
        ref.ask(1, block=True)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon", True])
async def test_a_stop_timeout_that_is_no_time_is_refused_and_nothing_stops(
    actor_system: ActorSystem, timeout: Any
) -> None:
    ref = actor_system.start(Echo)
    with pytest.raises(ValueError, match="seconds >= 0"):
        ref.stop(timeout=timeout)
    with pytest.raises(ValueError, match="not 'later'"):
        ref.stop(mode="later")  # type: ignore[call-overload] # pyright: ignore[reportArgumentType, reportCallIssue]

    assert await ref.ask(1) == 1


@pytest.mark.conformance("R19")
async def test_children_stop_one_after_the_other_in_reverse_order_before_on_stop(
    actor_system: ActorSystem, start_child: StartChild, parent: ActorRef[Any]
) -> None:
    log: list[str] = []

    class Child(AsyncioActor):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        async def on_stop(self) -> None:
            log.append(f"{self.name} begins")
            await asyncio.sleep(0)
            log.append(f"{self.name} ends")

    for name in ("c7", "c3", "c10"):
        start_child(Child, name)

    await parent.stop()

    assert log == ["c10 begins", "c10 ends", "c3 begins", "c3 ends", "c7 begins", "c7 ends"]
    assert actor_system.actors() == []


@pytest.mark.conformance("R24")
async def test_a_child_that_ends_by_itself_during_the_stop_of_its_parent_is_not_restarted(
    actor_system: ActorSystem, start_child: StartChild, parent: ActorRef[Any]
) -> None:
    gate = asyncio.Event()

    class EndsBadly(AsyncioActor):
        async def on_receive(self, message: object) -> None:
            await gate.wait()
            raise ValueError("no")

    children = [start_child(EndsBadly) for _ in range(3)]
    for child in children:
        child.tell("go")
    await settle()
    stopped = parent.stop()
    gate.set()
    await stopped

    assert [child.incarnation for child in children] == [1, 1, 1]
    assert not any(child.is_alive() for child in children)


@pytest.mark.conformance("R86")
async def test_a_child_that_asks_its_stopping_parent_is_refused_and_blocks_nothing(
    start_child: StartChild, parent: ActorRef[Any]
) -> None:
    answers: list[BaseException] = []

    class AsksItsParent(AsyncioActor):
        async def on_stop(self) -> None:
            try:
                await parent.ask("may I?")
            except ActorStoppingError as error:
                answers.append(error)

    start_child(AsksItsParent)

    assert await parent.stop() is True
    assert len(answers) == 1
