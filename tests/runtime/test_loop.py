"""Loops that close, processes that fork, systems beside each other."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pykka
import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import (
    ActorStoppingError,
    ForkedRuntimeError,
    RuntimeClosedError,
)
from actors.runtime.system import ActorSystem
from actors.testing import settle
from tests.support.actors import BlockedActor, Echo, RecordingActor
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.ref import ActorRef


@pytest.mark.conformance("R112")
def test_a_closed_loop_is_a_clear_error_for_tell_ask_and_stop() -> None:
    async def main() -> ActorRef[Any]:
        return await ActorSystem("short").start(Echo).ready()

    ref = asyncio.run(main())

    assert not ref.is_alive()
    with pytest.raises(RuntimeClosedError, match="system short is closed"):
        ref.tell(1)
    with pytest.raises(RuntimeClosedError):
        ref.ask(1)
    assert ref.stop() is False  # type: ignore[comparison-overlap] # a thread gets the value
    assert ref.kill() is False


@pytest.mark.conformance("R112")
def test_a_thread_that_waits_when_the_loop_is_closed_is_told() -> None:
    waiting = threading.Event()
    errors: list[BaseException] = []

    class Blocks(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            waiting.set()
            await asyncio.Event().wait()

    def ask(ref: ActorRef[Any]) -> None:
        try:
            ref.ask("go", timeout=None)
        except pykka.ActorDeadError as error:
            errors.append(error)

    async def main() -> threading.Thread:
        thread = threading.Thread(target=ask, args=(ActorSystem("short").start(Blocks),))
        thread.start()
        await wait_until(waiting.is_set)
        return thread

    asyncio.run(main()).join()

    assert len(errors) == 1


@pytest.mark.conformance("R112")
def test_the_end_of_asyncio_run_ends_the_actors_and_leaves_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    log: list[Any] = []
    refs: list[ActorRef[Any]] = []

    async def main() -> None:
        refs.append(BlockedActor.start(log))
        refs[0].tell("go")
        await settle()

    asyncio.run(main())

    assert log == [("begin", "go"), ("cancelled", "go")]
    assert not refs[0].is_alive()
    assert list(recwarn) == []


@pytest.mark.conformance("R112")
def test_the_end_of_a_loop_names_the_actors_of_its_default_system_that_had_something_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main(*kinds: Any) -> None:
        for kind in kinds:
            await kind.start([]).ready()

    asyncio.run(main(Echo))
    assert caplog.text == ""
    asyncio.run(main(Echo, RecordingActor))  # the latter has an on_stop
    assert "before on_stop could run: actors ['RecordingActor']" in caplog.text


@pytest.mark.conformance("R114")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_ref_fails_at_once_in_a_forked_child(background: None) -> None:
    ref = Echo.start()
    assert ref.ask(1) == 1

    pid = os.fork()
    if pid == 0:
        os._exit(_errors_in_child(ref))

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ref.ask(2) == 2


def _errors_in_child(ref: ActorRef[Any]) -> int:
    calls: list[Callable[[], object]] = [
        lambda: ref.tell(1),
        lambda: ref.ask(1),
        lambda: ref.ask(1, block=False),
        ref.stop,
        ref.kill,
        lambda: ref.system.start(Echo),
    ]
    for number, call in enumerate(calls):
        try:
            call()
        except ForkedRuntimeError:
            continue
        return number + 1
    return 100 if ref.is_alive() else 0


@pytest.mark.conformance("R118")
async def test_two_systems_on_one_loop_do_not_affect_each_other(actor_system: ActorSystem) -> None:
    async with ActorSystem("one") as one:
        first = one.start(Echo, name="same name")
        second = actor_system.start(Echo, name="same name")
        first.tell(1)
        await first.ask("barrier")
    with pytest.raises(ActorStoppingError):
        await first.ask(1)

    assert await second.ask(1) == 1
    assert actor_system.dead_letters.total == 0
    assert actor_system.get("same name") == second


@pytest.mark.conformance("R118")
def test_two_systems_on_two_loops_do_not_affect_each_other(background: None) -> None:
    here = Echo.start()

    async def main() -> int:
        there = ActorSystem("there")
        total: int = await there.start(Echo).ask(1) + await asyncio.to_thread(here.ask, 1)
        await there.close()
        return total

    assert asyncio.run(main()) == 2
    assert here.ask(3) == 3


@pytest.mark.conformance("R118")
async def test_a_crash_that_ends_one_system_leaves_the_other_alone(actor_system: ActorSystem) -> None:
    one = ActorSystem("one")
    one.start(RecordingActor, ([],)).tell(SystemExit(1))
    await settle()

    assert one.is_closed
    assert await actor_system.start(Echo).ask(1) == 1
