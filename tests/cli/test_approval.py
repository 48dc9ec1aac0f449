"""`understage approvals`, `approve` and `deny`: a person decides from another process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from actors.app import open_app
from actors.cli.approval_request import answer_ask
from actors.cli.exit_code import ExitCode
from actors.cli.monitor import serve_monitor
from actors.cli.monitor_client import monitor_path
from actors.cli.run_once import at_console
from actors.config.load import load_manifest, parse_manifest
from actors.testing.settle import settle
from tests.agents.parked_agent import Files, parked_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Call


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A manifest in a folder with a short name, where the socket is as well."""
    with TemporaryDirectory() as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        manifest = Path(name) / "agents.yml"
        manifest.write_text("agents: {writer: {model: offline}}", encoding="utf-8")
        yield manifest


async def test_a_person_decides_from_another_process(file: Path, cli: Call) -> None:
    files = Files()

    def understage(*arguments: str) -> Any:
        return asyncio.to_thread(cli, arguments[0], file, *arguments[1:])

    async with open_app(load_manifest(file)) as app, serve_monitor(app, monitor_path(file)):
        clerk = parked_agent(files)
        await app.pool.add_node(clerk)
        run = asyncio.ensure_future(clerk.run("delete a b sk-abcdefghijklmnopqrstuvwxyz0123456789"))
        await settle()
        shown = await understage("approvals")
        listed = json.loads((await understage("approvals", "--json")).out)
        run_id = listed[0]["run_id"]
        approved = await understage("approve", run_id, "call-a")
        wrong = await understage("approve", run_id, "call-a")
        long = await understage("deny", run_id, "--reason", "x" * 2_000)
        unknown = await understage("deny", "r1")
        denied = await understage("deny", run_id, "--reason", "too old")
        answer = await run
        nothing = await understage("approvals")

    assert shown.out.splitlines()[0].split() == ["run", "agent", "call", "tool"]
    assert shown.out.splitlines()[1].split() == [run_id, "clerk", "call-a", 'delete({"name":"a"})']
    assert shown.out.splitlines()[3].split()[-1] == 'delete({"name":"***"})'
    assert [one["tool_call_id"] for one in listed][:2] == ["call-a", "call-b"]
    assert (approved.code, approved.out, denied.code) == (ExitCode.OK, "", ExitCode.OK)
    assert (wrong.code, wrong.err.count("\n")) == (ExitCode.FAILED, 1)
    assert "decided or finished" in wrong.err
    assert (long.code, "too long" in long.err) == (ExitCode.USAGE, True)
    assert (unknown.code, "no agent of the pool knows it" in unknown.err) == (ExitCode.FAILED, True)
    assert answer.content.startswith("a is gone; The call of delete was not allowed: too old; ")
    assert (nothing.out, files.deleted) == ("no tool call waits for approval\n", ["a"])


@pytest.mark.parametrize("arguments", [["approvals"], ["approve", "r1"], ["deny", "r1"]])
def test_without_a_running_pool_it_is_said(file: Path, cli: Call, arguments: list[str]) -> None:
    done = cli(arguments[0], file, *arguments[1:])

    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "no running pool at" in done.err
    assert "start it with 'understage watch FILE'" in done.err


async def test_what_is_no_request_is_refused() -> None:
    assert "Expected" in answer_ask({}, b'{"action": 3}').error  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_a_run_of_the_command_line_asks_at_its_console() -> None:
    manifest = parse_manifest("""
        allow_imports: [tests.pool]
        agents:
          a: {model: offline}
          b: {type: callback, callback: 'tests.pool.manifest_functions:shout'}
          c: {input_provider: 'tests.pool.manifest_functions:allow'}
    """)

    providers = [spec.input_provider for spec in at_console(manifest).agents.values()]
    assert providers == ["console", None, "tests.pool.manifest_functions:allow"]
