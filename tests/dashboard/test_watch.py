"""`understage watch --dashboard`: streams end before the grace of the runs; it takes its port or says why not."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx2

from actors.cli.exit_code import ExitCode
from actors.cli.web_server import TOKEN_VARIABLE, web_servers
from actors.pool.pool import AgentPool
from tests.cli.conftest import Call, start_program
from tests.cli.conftest import cli as cli
from tests.cli.conftest import manifest as manifest
from tests.cli.test_watch import BUSY, until, written
from tests.dashboard.client import Frames
from tests.support.waiting import TIMEOUT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TABS = 7
TOKEN = "a token of the operator"


async def test_open_tabs_are_told_the_end_while_a_run_has_its_grace(manifest: Path) -> None:
    process = await start_program("watch", written(manifest, BUSY), "--dashboard", "0", "--grace", "100000")
    said = await until(process.stderr, "dashboard on")
    address = said[-1].split()[-1]
    if not any("waiter: started" in line for line in said):
        await until(process.stderr, "waiter: started")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", address)
    async with (
        httpx2.AsyncClient(trust_env=False, timeout=TIMEOUT, follow_redirects=True) as http,
        AsyncExitStack() as stack,
    ):
        assert "Understage" in (await http.get(address)).text
        url = address.replace("?", "api/stream?")
        tabs = [Frames((await stack.enter_async_context(http.stream("GET", url))).aiter_lines()) for _ in range(TABS)]
        for frames in tabs:
            await frames.next()
        process.send_signal(signal.SIGTERM)
        for frames in tabs:
            async for _ in vars(frames)["_lines"]:
                pass
        still_runs = process.returncode is None  # the run has its grace
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), TIMEOUT)

    assert still_runs
    assert process.returncode in {ExitCode.TERMINATED, ExitCode.INTERRUPTED}
    assert "Traceback" not in err.decode()
    assert address.partition("token=")[2] not in err.decode()


def test_a_port_in_use_is_one_line(cli: Call, manifest: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = cli("watch", written(manifest, BUSY), "--dashboard", port)

    assert outcome.code == ExitCode.USAGE
    assert re.fullmatch(rf"understage: --dashboard {port}: the port cannot be used: .*in use\n", outcome.err)


async def test_a_token_of_the_environment_opens_the_page_and_is_not_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, f"{TOKEN}\n")
    with web_servers({"dashboard": "0"}) as serve:
        async with (
            AgentPool[None]() as pool,
            serve(pool),
            httpx2.AsyncClient(trust_env=False, timeout=TIMEOUT, follow_redirects=True) as http,
        ):
            said = capsys.readouterr().err
            page = await http.get(said.split()[-1].replace(f"${TOKEN_VARIABLE}", TOKEN))

    assert "Understage" in page.text
    assert TOKEN not in said


def test_a_short_token_of_the_environment_is_one_line(
    cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "guess me")
    outcome = cli("watch", written(manifest, BUSY), "--dashboard", "0")

    assert outcome.code == ExitCode.USAGE
    assert re.fullmatch(rf"understage: {TOKEN_VARIABLE}: a token is a text of 16 or more .*\n", outcome.err)
