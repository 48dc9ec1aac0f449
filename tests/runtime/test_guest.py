"""The engine in a process of others: their signal handlers, their threads, the end of their interpreter."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.background_loop import background_system
from actors.runtime.errors import WrongLoopError
from actors.runtime.options import SystemConfig
from actors.runtime.signals import SignalHandling
from actors.runtime.system import ActorSystem
from tests.support.actors import Echo

if TYPE_CHECKING:
    from collections.abc import Callable


class Blocking(AsyncioActor):
    """Calls a function with itself, in a thread."""

    blocking = True

    def __init__(self) -> None:
        super().__init__()
        self.came: list[Any] = []

    def on_receive(self, message: Any) -> Any:
        return message(self) if callable(message) else self.came.append(message)

    def on_terminated(self, terminated: Any) -> None:
        self.came.append("terminated")


def doing(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function of the actor as a message."""
    return function


async def one() -> int:
    """Return 1."""
    return 1


def outcome(value: int | None, _error: BaseException | None) -> int | None:
    """Make a message of a result."""
    return value


def fail(actor: AsyncioActor) -> None:
    """Answer with an error."""
    actor.fail_reply(ValueError("no"))


async def test_a_blocking_handler_may_use_the_whole_actor(actor_system: ActorSystem) -> None:
    asyncio.get_running_loop().set_debug(True)  # it refuses what is not safe in a thread
    ref, other = actor_system.start(Blocking), actor_system.start(Echo)
    does: list[Callable[[Any], object]] = [
        lambda actor: actor.schedule(60, "later").cancel(),
        lambda actor: actor.watch(other),
        lambda actor: actor.unwatch(other),
        lambda actor: actor.link(other),
        lambda actor: actor.create_task(one()),
        lambda actor: actor.pipe_to_self(one(), outcome),
        lambda actor: actor.take_reply().set(None),
    ]
    for do in does:
        await ref.ask(do)
    with pytest.raises(ValueError, match="no"):
        await ref.ask(fail)


async def test_threads_that_wait_for_an_actor_leave_it_a_thread(no_leaked_actors: None) -> None:
    async with ActorSystem("test", config=SystemConfig(blocking_threads=1)) as system:
        database, report = system.start(Blocking), system.start(Blocking)
        assert await report.ask(doing(lambda _: database.ask(doing(lambda _: "row")))) == "row"


async def test_watching_over_two_loops_is_refused_with_what_to_do(actor_system: ActorSystem, background: None) -> None:
    elsewhere = await asyncio.to_thread(background_system().start, Echo)
    ref = actor_system.start(Blocking)
    with pytest.raises(WrongLoopError, match="watch it from an actor on its own loop"):
        await ref.ask(doing(lambda actor: actor.watch(elsewhere)))
    with pytest.raises(WrongLoopError, match="link: actor"):
        await actor_system.start(Blocking).ask(doing(lambda actor: actor.link(elsewhere)))
    await asyncio.to_thread(elsewhere.stop)


async def test_a_tell_from_a_plain_signal_handler_wakes_a_loop_that_sleeps(actor_system: ActorSystem) -> None:
    came = asyncio.Event()

    class Reloader(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            came.set()

    ref = actor_system.start(Reloader)
    await ref.ready()

    def reload(_number: int, _frame: object) -> None:
        ref.tell("reload")

    before = signal.signal(signal.SIGUSR1, reload)
    try:
        process = await asyncio.create_subprocess_exec("kill", "-USR1", str(os.getpid()))
        await came.wait()  # nothing else moves this loop
        await process.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)


async def test_signal_handlers_are_given_back_as_they_were_found(actor_system: ActorSystem) -> None:
    def theirs(_number: int, _frame: object) -> None:
        """Do nothing."""

    before = signal.signal(signal.SIGTERM, theirs)
    try:
        async with SignalHandling(actor_system, (signal.SIGTERM,)):
            async with SignalHandling(actor_system, (signal.SIGTERM,)):
                assert signal.getsignal(signal.SIGTERM) is not theirs
            assert signal.getsignal(signal.SIGTERM) is not theirs
        assert signal.getsignal(signal.SIGTERM) is theirs
    finally:
        signal.signal(signal.SIGTERM, before)


FORGOTTEN = """
import threading
from actors import AsyncioActor

begun, never = threading.Event(), threading.Event()

class Fetcher(AsyncioActor):
    def on_receive(self, message):
        begun.set()
        never.wait()

Fetcher.start().tell("go")
begun.wait()
"""
STUCK_HANDLER = """
import asyncio, threading
from actors import ActorSystem, AsyncioActor
from actors.runtime.options import SystemConfig

begun, never = threading.Event(), threading.Event()

class Fetcher(AsyncioActor):
    blocking = True
    def on_receive(self, message):
        begun.set()
        never.wait()

async def main():
    system = ActorSystem("s", config=SystemConfig(grace=0.1))
    system.start(Fetcher).tell("go")
    await asyncio.to_thread(begun.wait)
    assert await system.close(timeout=0.1) == ["Fetcher"]

asyncio.run(main())
"""
STUCK_CALLBACK = """
import asyncio, threading
from actors import Agent

def hang(text):
    threading.Event().wait()

async def main():
    try:
        await Agent.from_callback(hang, blocking=True).run("x", timeout=0.2)
    except TimeoutError:
        pass

asyncio.run(main())
"""


@pytest.mark.parametrize("program", [FORGOTTEN, STUCK_CALLBACK, STUCK_HANDLER])
def test_nothing_that_blocks_keeps_the_interpreter_from_ending(program: str) -> None:
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=25, check=False)
    assert ended.returncode == 0, ended.stderr
    if program is FORGOTTEN:
        assert "actors that did not end at exit: Fetcher" in ended.stderr
