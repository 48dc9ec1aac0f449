"""Handlers that block run in threads, one at a time for each actor."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.options import SystemConfig
from actors.runtime.system import ActorSystem
from actors.testing import settle
from tests.support.actors import Echo
from tests.support.waiting import wait_until


class Blocking(AsyncioActor):
    """Blocks its thread until it is let go."""

    blocking = True

    def __init__(self, go: threading.Event, log: list[Any]) -> None:
        super().__init__()
        self.go = go
        self.log = log

    def on_receive(self, message: Any) -> Any:
        self.log.append(("begin", message, threading.current_thread().name.split("_")[0]))
        self.go.wait()
        self.log.append(("end", message, self.is_cancelled))
        return message


async def begun(log: list[Any], count: int) -> None:
    """Wait until so many handlers have begun in their threads."""
    await wait_until(lambda: sum(entry[0] == "begin" for entry in log) >= count)


@pytest.mark.conformance("R113")
async def test_a_blocking_handler_runs_in_a_thread_and_the_loop_goes_on(actor_system: ActorSystem) -> None:
    go, log = threading.Event(), list[Any]()
    ref, bystander = actor_system.start(Blocking, (go, log)), actor_system.start(Echo)
    asked = ref.ask("go")
    await begun(log, 1)

    assert await bystander.ask(1) == 1
    go.set()
    assert await asked == "go"
    assert log == [("begin", "go", "understage-blocking"), ("end", "go", False)]


@pytest.mark.conformance("R94", "R113")
async def test_a_blocking_actor_never_runs_two_handlers_at_once_even_when_one_is_cancelled(
    actor_system: ActorSystem,
) -> None:
    go, log = threading.Event(), list[Any]()
    ref = actor_system.start(Blocking, (go, log))
    first, second = ref.ask("first"), ref.ask("second")
    await begun(log, 1)
    first.cancel()
    await settle()
    assert len(log) == 1
    go.set()
    assert await second == "second"

    assert [entry[:2] for entry in log] == [
        ("begin", "first"),
        ("end", "first"),
        ("begin", "second"),
        ("end", "second"),
    ]
    assert log[1][2] is True  # it could see that nobody waited any more
    assert ref.is_alive()


@pytest.mark.conformance("R83")
async def test_blocking_work_that_waits_for_a_thread_is_taken_back(no_leaked_actors: None) -> None:
    go, log = threading.Event(), list[Any]()
    async with ActorSystem("small", config=SystemConfig(blocking_threads=1)) as system:
        one, two = system.start(Blocking, (go, log)), system.start(Blocking, (go, log))
        first, second = one.ask("first"), two.ask("second")
        await begun(log, 1)
        second.cancel()
        await settle()
        go.set()
        assert await first == "first"
        await settle()

        assert [entry[1] for entry in log] == ["first", "first"]
        assert two.is_alive()


@pytest.mark.conformance("R113")
async def test_a_full_pool_does_not_stop_the_engine(no_leaked_actors: None) -> None:
    go, log = threading.Event(), list[Any]()
    config = SystemConfig(blocking_threads=1, grace=0.001, stop_timeout=0.001)
    async with ActorSystem("small", config=config) as system:
        refs = [system.start(Blocking, (go, log), name=f"b{n}") for n in range(3)]
        for ref in refs:
            ref.tell("go")
        await begun(log, 1)

        stuck = await system.stop_all()

        assert stuck == ["b0"]
        assert not any(ref.is_alive() for ref in refs)
        go.set()
    await wait_until(lambda: not system.dispatcher.tasks)  # the thread that was left behind ends as well


async def test_a_blocking_handler_that_raises_crashes_its_actor_with_that_error(actor_system: ActorSystem) -> None:
    class Raises(AsyncioActor):
        blocking = True

        def on_receive(self, message: Any) -> Any:
            raise message

    with pytest.raises(LookupError):
        await actor_system.start(Raises).ask(LookupError("no"))
