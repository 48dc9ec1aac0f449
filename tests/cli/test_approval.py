"""`understage approvals`, `approve` and `deny`: a person decides from another process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from actors.app import open_app
from actors.cli.exit_code import ExitCode
from actors.cli.feed_client import socket_path
from actors.cli.run_once import at_console
from actors.config.load import load_manifest, parse_manifest
from actors.dashboard import serve_monitor
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

    async with open_app(load_manifest(file)) as app, serve_monitor(app.pool, socket_path(file)):
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
        odd = [await understage("approve", run, "../x?y#z") for run in ("", "\ud800", "a/../b")]
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
    assert {(one.code, one.err.count("\n")) for one in odd} == {(ExitCode.FAILED, 1)}
    assert answer.content.startswith("a is gone; The call of delete was not allowed: too old; ")
    assert (nothing.out, files.deleted) == ("no tool call waits for approval\n", ["a"])


@pytest.mark.parametrize("arguments", [["approvals"], ["approve", "r1"], ["deny", "r1"]])
def test_without_a_running_pool_it_is_said(file: Path, cli: Call, arguments: list[str]) -> None:
    done = cli(arguments[0], file, *arguments[1:])

    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "no running pool at" in done.err
    assert "start it with 'understage watch FILE'" in done.err


@pytest.mark.parametrize("name", ["a/b", "../approve", "%2F?#&é", "x" * 1_500])
async def test_a_call_is_decided_whatever_its_id_is(file: Path, cli: Call, name: str) -> None:
    async with open_app(load_manifest(file)) as app, serve_monitor(app.pool, socket_path(file)):
        files = Files()
        await app.pool.add_node(parked_agent(files))
        run = asyncio.ensure_future(app.pool["clerk"].run(f"delete {name}"))
        await settle()
        (asked,) = json.loads((await asyncio.to_thread(cli, "approvals", file, "--json")).out)
        done = await asyncio.to_thread(cli, "approve", file, asked["run_id"], asked["tool_call_id"])
        await run

    assert (done.code, done.err, files.deleted) == (ExitCode.OK, "", [name])


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
