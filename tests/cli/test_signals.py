"""A second and a third signal: what does not want to end is left behind."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from actors.cli.chat import _Talk as Talking  # pyright: ignore[reportPrivateUsage]
from actors.cli.exit_code import ExitCode, stuck
from actors.cli.loop import CommandLoop, run
from actors.cli.shutdown import Shutdown
from actors.testing.faults import cut, silence
from actors.testing.hostile_server import HostileServer
from actors.testing.openai_answer import Answer
from tests.cli.conftest import ROOT, start_program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from actors.testing.hostile_server import Reply

FUNCTIONS = """
import asyncio, sys, threading

async def stubborn(text: str) -> str:
    while True:
        print("working", file=sys.stderr, flush=True)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

def blocking(text: str) -> str:
    print("working", file=sys.stderr, flush=True)
    threading.Event().wait(600)
    return text
"""
MANIFEST = """
allow_imports: [unwilling]
agents:
  a:
    type: callback
    callback: "unwilling:{function}"
    triggers: [{{type: interval, name: t, every: 3600, prompt: x, immediately: true}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with functions that do not end."""
    (tmp_path / "unwilling.py").write_text(FUNCTIONS, encoding="utf-8")
    return tmp_path


async def started(folder: Path, command: str, function: str) -> asyncio.subprocess.Process:
    """Start a command and wait until its agent works."""
    file = folder / "agents.yml"
    file.write_text(MANIFEST.format(function=function), encoding="utf-8")
    words = {"watch": [file, "--grace", "60"], "run": [file, "a", "x"], "chat": [file, "a"]}[command]
    process = await start_program(command, *words, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    await working(process)
    return process


async def working(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while (line := await process.stderr.readline()) != b"working\n":
        assert line, "the program has ended too early"


async def last_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdin is not None
    _, err = await process.communicate()
    assert b"Traceback" not in err
    return err.decode().splitlines()[-1]


@pytest.mark.parametrize("command", ["run", "watch", "chat"])
async def test_what_ignores_its_cancellation_is_left_behind_at_the_second_signal(folder: Path, command: str) -> None:
    async with asyncio.timeout(60):
        process = await started(folder, command, "stubborn")
        process.send_signal(signal.SIGTERM)
        if command != "watch":  # which cancels nothing before the end of the grace period
            await working(process)  # it has heard of its cancellation, and does not care
        process.send_signal(signal.SIGINT)
        last = await last_line(process)

    assert (process.returncode, last) in {
        (ExitCode.TERMINATED, "understage: terminated"),
        (ExitCode.INTERRUPTED, "understage: interrupted"),
    }


@pytest.mark.parametrize("command", ["run", "watch"])
async def test_signals_end_a_program_whose_event_loop_is_blocked(folder: Path, command: str) -> None:
    async with asyncio.timeout(60):
        process = await started(folder, command, "blocking")
        while process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)  # send_signal would take the exit code away from the loop
            await asyncio.sleep(0)
        last = await last_line(process)

    assert (process.returncode, last) == (ExitCode.TERMINATED, "understage: terminated, without an orderly end")


@pytest.mark.parametrize(
    ("number", "words", "code", "said"),
    [
        (signal.SIGHUP, "watch x", 0, ""),
        (signal.SIGHUP, "--debug watch", 0, ""),
        (signal.SIGHUP, "run watch", -signal.SIGHUP, ""),
        (signal.SIGINT, "chat x", ExitCode.INTERRUPTED, "understage: interrupted\n"),
        (signal.SIGTERM, "watch x", ExitCode.TERMINATED, ""),
    ],
)
def test_from_the_first_import_on_signals_end_a_program_in_order_and_a_hangup_never_ends_watch(
    number: int, words: str, code: int, said: str
) -> None:
    program = "import os, sys, types\nsys.modules['actors.cli.main'] = types.ModuleType('stub')\n"
    program += f"sys.modules['actors.cli.main'].main = lambda: os.kill(os.getpid(), {number:d})\n"
    program += "from actors.cli.__main__ import main\nmain()"
    command = [sys.executable, "-c", program, *words.split()]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, encoding="utf-8")

    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_that_another_thread_gets_is_heard_at_once(number: signal.Signals) -> None:
    ending = Shutdown(math.inf)
    with ending.listening():
        threading.Thread(target=lambda: signal.pthread_kill(threading.get_ident(), number)).start()
        async with asyncio.timeout(30):
            await ending.wait()

    assert ending.code == 128 + number
    assert signal.set_wakeup_fd(-1) == -1


# -- a chat -----------------------------------------------------------------------------------------------------------


async def swallow() -> bool:
    """An answer whose end takes no cancellation."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    return True


async def convert() -> bool:
    """An answer that makes a failure of a cancellation."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return False
    return True


async def be_cancelled() -> bool:
    await asyncio.Event().wait()
    return True


@pytest.mark.parametrize("answer", [swallow, convert, be_cancelled])
async def test_ctrl_c_during_an_answer_is_always_said_and_the_chat_goes_on(
    answer: Callable[[], Awaitable[bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["one", "two"])

    def read_line(_goes_on: bool) -> str | None:
        return next(lines, None)

    terminal: Any = SimpleNamespace(is_interactive=False, read_line=read_line)
    cancelled: list[int] = []

    class Turn:
        async def ask(self, prompt: str) -> bool:
            task = asyncio.current_task()
            assert task is not None
            cancelled.append(task.cancelling())
            talk.insist(ExitCode.INTERRUPTED, "interrupted")
            return await answer()

    talk = Talking(terminal)
    turn: Any = Turn()
    end: Any = SimpleNamespace(verdict=None)
    await talk.go_on(turn, end)

    assert capsys.readouterr().err == 2 * "understage: cancelled\n"
    assert (cancelled, talk.reason) == ([0, 0], "")


# -- the loop itself ------------------------------------------------------------------------------------------------


def test_a_loop_is_closed_when_everything_has_ended() -> None:
    async def work() -> int:
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        assert not task.done()
        return await asyncio.to_thread(int, "7")

    made = CommandLoop()

    assert made.run(work()) == 7
    assert made.loop.is_closed()
    assert stuck == []


def test_an_error_is_raised_as_it_is() -> None:
    async def work() -> None:
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        run(work())


@pytest.mark.parametrize("reply", [silence(), cut(Answer("one two three", pieces=3), 3, end="hang")])
async def test_a_provider_sees_its_connection_closed_when_a_signal_ends_a_run(reply: Reply, tmp_path: Path) -> None:
    file = tmp_path / "agents.yml"
    async with HostileServer(reply) as server:
        file.write_text(f"agents: {{a: {{model: {{name: openai-chat:m, base_url: {server.url}}}}}}}", encoding="utf-8")
        process = await start_program("run", file, "a", "x")
        request = await server.arrived(1)
        process.send_signal(signal.SIGTERM)
        await request.closed.wait()
        await process.communicate()

    assert process.returncode == ExitCode.TERMINATED
    assert len(server.requests) == 1
