from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from actors.runtime.shutdown import STOP_ACTORS
from actors.runtime.signals import SignalHandling
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from tests.support.actors import BlockedActor


@pytest.mark.conformance("R29")
async def test_sigterm_closes_the_intake_lets_handlers_finish_and_flushes(no_leaked_actors: None) -> None:
    flushed: list[str] = []
    log: list[object] = []
    gate = asyncio.Event()
    system = ActorSystem("test", clock=ManualClock())
    system.shutdown.add_phase("flush", after=(STOP_ACTORS,))
    system.shutdown.add_task("flush", "journal", lambda: flushed.append("journal"))
    ref = system.start(BlockedActor, (log, gate))
    reply = ref.ask("work", timeout=None)
    async with SignalHandling(system) as signals:
        await settle()
        os.kill(os.getpid(), signal.SIGTERM)
        waiting = asyncio.ensure_future(signals.closed())
        while ref.is_alive():  # noqa: ASYNC110 - the signal arrives when the kernel likes
            await asyncio.sleep(0)
        assert not flushed
        gate.set()
        assert await waiting == []
    assert await reply == "work"
    assert log == [("begin", "work"), ("end", "work"), "on_stop"]
    assert flushed == ["journal"]
    assert signals.received == [signal.SIGTERM]


@pytest.mark.conformance("R29", "R107")
async def test_a_second_signal_cancels_the_handlers_at_once(no_leaked_actors: None) -> None:
    log: list[object] = []
    system = ActorSystem("test", clock=ManualClock())
    ref = system.start(BlockedActor, (log,))
    reply = ref.ask("work", timeout=None)
    ref.tell("queued")
    async with SignalHandling(system) as signals:
        await settle()
        signals.receive(signal.SIGINT)
        await settle()
        assert log == [("begin", "work")]
        signals.receive(signal.SIGINT)
        await signals.closed()
    assert log == [("begin", "work"), ("cancelled", "work"), "on_stop"]
    assert system.dead_letters.counts[DeadLetterReason.STOPPED] == 1
    with pytest.raises(Exception, match="was stopped while it handled"):
        await reply


@pytest.mark.conformance("R29")
def test_a_process_that_gets_sigterm_ends_with_code_0() -> None:
    program = """
import asyncio, os, signal
from actors import ActorSystem, AsyncioActor
from actors.runtime.signals import SignalHandling

class Service(AsyncioActor):
    def on_stop(self):
        print("stopped in order")

async def main():
    async with ActorSystem("service") as system, SignalHandling(system) as signals:
        await system.start(Service).ready()
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.closed()

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "stopped in order\n"), ended.stderr


async def test_signals_are_refused_off_the_main_thread(actor_system: ActorSystem) -> None:
    errors: list[BaseException] = []

    def elsewhere() -> None:
        async def handle() -> None:
            async with SignalHandling(actor_system):
                pass

        try:
            asyncio.run(handle())
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "only be handled on the main thread" in str(errors[0])
