"""The table that moves while a run goes on."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from actors.cli.live_table import live_table, picture
from actors.stats.projection import Projection, StatsSnapshot
from actors.testing import ManualClock
from protocols.events import ChildRestarted, MessageSent, RunCompleted, RunStarted
from tests.cli.conftest import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path


def book() -> Projection:
    made = Projection()
    made.add(RunStarted(actor="a", run_id="1"))
    made.add(ChildRestarted(actor="pool", child="b"))
    return made


def shown(snapshot: StatsSnapshot) -> list[list[str]]:
    stream = io.StringIO()
    Console(file=stream, width=100).print(picture(snapshot, ["a", "b", "c"]))
    return [line.split() for line in stream.getvalue().splitlines()]


def test_every_node_is_shown_with_what_it_does() -> None:
    assert shown(book().snapshot())[1:] == [
        ["running", "a", "0", "0", "0.00", "s", "0"],
        ["idle", "b", "0", "0", "0.00", "s", "1"],
        ["idle", "c", "0", "0", "0.00", "s", "0"],
    ]


@pytest.mark.parametrize("name", ["[red]a[/red]", "[/]", "[link=x]"])
def test_a_name_that_looks_like_markup_is_shown_as_it_is(name: str) -> None:
    stream = io.StringIO()
    Console(file=stream, width=100).print(picture(Projection().snapshot(), [name]))

    assert name in stream.getvalue()


async def test_the_table_ends_with_its_block_even_when_reading_fails() -> None:
    before = asyncio.all_tasks()

    async def broken() -> StatsSnapshot:
        message = "no numbers"
        raise RuntimeError(message)

    async with live_table(broken, ["a"], ManualClock()):
        await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


async def test_the_time_of_a_node_that_works_moves_by_seconds_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, clock, made = Terminal(), ManualClock(start=100.0), Projection()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    seen: list[str] = []

    async def read() -> StatsSnapshot:
        return made.snapshot()

    async def at(*events: RunStarted | MessageSent | RunCompleted, seconds: float = 1.0) -> None:
        made.add_all(events)
        await clock.advance(seconds)
        terminal.seek(0)
        row = [line for line in terminal.read().splitlines() if " a " in line][-1]
        seen.append(" ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", row).split()))
        terminal.truncate(0)
        terminal.seek(0)

    async with live_table(read, ["a"], clock):
        await at(seconds=0.1)
        await at(RunStarted(actor="a", run_id="1"), seconds=0.1)
        await at()
        await at()
        await at(MessageSent(actor="a", run_id="1", response_time=2.25), RunCompleted(actor="a", run_id="1"))
        await at(RunStarted(actor="a", run_id="2"), seconds=0.1)
        await at(seconds=2.0)

    assert seen == [
        "idle a 0 0 0.00 s 0", "running a 0 0 0 s 0", "running a 0 0 1 s 0", "running a 0 0 2 s 0",
        "done a 1 0 2.25 s 0", "running a 1 0 2 s 0", "running a 1 0 4 s 0",
    ]  # fmt: skip


def test_on_a_terminal_the_table_moves_and_the_answer_follows(manifest: Path) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "actors.cli", "run", str(manifest), "chain", "hello", "--chaos", "writer"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=follower, cwd=ROOT, env=environment(TERM="xterm")
    )
    os.close(follower)
    told = bytearray()
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:  # the program has ended
            break
        if not piece:
            break
        told += piece
    out, _ = process.communicate(timeout=30)
    os.close(leader)

    assert (process.returncode, out) == (0, b"fine: hello\n")
    assert b"\x1b[" in told
    assert b"writer: crashed: ChaosError" in told
    assert told.decode().rstrip().splitlines()[-1].split()[:2] == ["total", "2"]
