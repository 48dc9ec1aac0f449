"""Actors that nobody stopped: they delay the end of the interpreter by a limit only, and are named."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

_ACTORS = """
import asyncio, sys, threading
from actors.runtime import background_loop as background
from actors.runtime.actor import AsyncioActor

class Idle(AsyncioActor):
    def on_receive(self, message):
        return message

class Cleans(Idle):
    def on_stop(self):
        sys.stdout.write("cleaned up\\n")

class Deaf(Idle):
    async def on_receive(self, message):
        self.begun.set()
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if message == "soft":
                    raise

    begun = threading.Event()
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own, which has to end."""
    code = _ACTORS + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.conformance("R30")
def test_a_forgotten_actor_is_stopped_in_order_and_named_at_the_end_of_the_interpreter() -> None:
    ended = run("""
        assert Cleans.start().ask(1) == 1
    """)
    assert (ended.returncode, ended.stdout) == (0, "cleaned up\n")
    assert "actors were still alive at exit: Cleans" in ended.stderr


@pytest.mark.conformance("R30")
@pytest.mark.parametrize("message", ["soft", "hard"])
def test_a_forgotten_actor_that_does_not_end_delays_the_exit_by_the_limit_and_is_named(message: str) -> None:
    ended = run(f"""
        background.stop_background.__defaults__ = (0.05,)
        Deaf.start().tell({message!r})
        Deaf.begun.wait()
    """)
    assert ended.returncode == 0, ended.stderr
    assert "actors were still alive at exit: Deaf" in ended.stderr
    assert ("actors that did not end at exit: Deaf" in ended.stderr) is (message == "hard")


def test_an_actor_that_was_stopped_is_not_mentioned() -> None:
    ended = run("""
        Idle.start().stop()
    """)
    assert (ended.returncode, ended.stderr) == (0, "")
