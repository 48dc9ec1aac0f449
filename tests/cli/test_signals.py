"""A second and a third signal: what does not want to end is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import ExitCode
from actors.cli.loop import CommandLoop, run, stuck
from actors.testing.faults import cut, silence
from actors.testing.hostile_server import HostileServer
from actors.testing.openai_answer import Answer
from tests.cli.conftest import start_program

if TYPE_CHECKING:
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
