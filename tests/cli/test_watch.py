"""`understage watch`: triggers start runs until a signal comes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sys
from typing import TYPE_CHECKING

import httpx2
import pytest

from actors import AgentPool
from actors.cli.command.watch import as_typer_reads
from actors.cli.exit_code import ExitCode
from actors.cli.web_server import web_servers
from tests.cli.conftest import Call, start_program

if TYPE_CHECKING:
    from pathlib import Path

FILES = """
allow_imports: [{module}]
agents:
  reviewer:
    type: callback
    callback: "{module}:fine"
    triggers:
      - {{type: file, name: docs, paths: ["docs/**/*.md"], extensions: [.md], debounce: 20, include_timestamp: false}}
"""
BUSY = """
allow_imports: [{module}]
agents:
  waiter:
    type: callback
    callback: "{module}:forever"
    triggers: [{{type: interval, name: tick, every: 3600, prompt: go, immediately: true}}]
"""
FAILING = """
allow_imports: [{module}]
agents:
  boom:
    type: callback
    callback: "{module}:boom"
    triggers: [{{type: interval, name: tick, every: 3600, prompt: go, immediately: true}}]
"""
NOTHING = """
agents:
  a: {{model: offline, triggers: [{{type: interval, name: t, every: 1, prompt: go, enabled: false}}]}}
"""


async def until(stream: asyncio.StreamReader | None, text: str) -> list[str]:
    """Read lines until one holds the text."""
    assert stream is not None
    lines: list[str] = []
    async with asyncio.timeout(30):
        while text not in (line := (await stream.readline()).decode()):
            assert line, f"the program ended before it said {text!r}, after {lines}"
            lines.append(line)
    return [*lines, line]


def written(manifest: Path, text: str) -> Path:
    module = next(manifest.parent.glob("functions_*.py")).stem
    manifest.write_text(text.format(module=module), encoding="utf-8")
    (manifest.parent / "docs" / "deep").mkdir(parents=True)
    return manifest


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, ExitCode.INTERRUPTED, "interrupted"), (signal.SIGTERM, ExitCode.TERMINATED, "terminated")],
)
async def test_a_changed_file_is_answered_and_a_signal_ends_in_order(
    manifest: Path, number: signal.Signals, code: ExitCode, word: str
) -> None:
    process = await start_program("watch", written(manifest, FILES))
    await until(process.stderr, "watching reviewer/docs")
    (manifest.parent / "docs" / "deep" / "note.md").write_text("Text.", encoding="utf-8")
    answer = await until(process.stdout, "note.md")
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 30)

    assert answer[0].startswith("reviewer: fine: ")
    assert (process.returncode, out) == (code, b"")
    lines = err.decode().splitlines()
    assert lines[-1] == f"understage: {word}"
    assert [line for line in lines if "Traceback" in line or "rror" in line] == []


async def test_answers_are_one_document_per_event_with_json_and_top_sees_the_pool(
    manifest: Path, program: Call
) -> None:
    process = await start_program("watch", "--config", written(manifest, FILES), "--json")
    await until(process.stderr, "watching reviewer/docs")
    seen = await asyncio.to_thread(program, "top", "--config", manifest, "--once", "--json")
    (manifest.parent / "docs" / "a.md").write_text("Text.", encoding="utf-8")
    assert process.stdout is not None
    document = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 30)

    assert (document["node"], document["trigger"]) == ("reviewer", "docs")
    assert "docs/a.md" in document["text"]
    assert "reviewer" in seen.out


async def test_without_messages_only_trouble_is_shown(manifest: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        hook = f"triggers:\n      - {{{{type: webhook, name: w, port: {port}, path: /w, insecure: true}}}}"
        process = await start_program(
            "watch", written(manifest, FILES.replace("triggers:", hook)), "--no-show-messages"
        )
        await until(process.stderr, "stop what uses it")
    await until(process.stderr, "watching")
    process.send_signal(signal.SIGINT)
    out, _ = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, out) == (ExitCode.INTERRUPTED, b"")


@pytest.mark.parametrize("arguments", [["--grace", "0"], []])
async def test_what_hangs_is_cancelled_after_the_grace_period_or_at_the_second_signal(
    manifest: Path, arguments: list[str]
) -> None:
    process = await start_program("watch", written(manifest, BUSY), *arguments)
    await until(process.stderr, "waiter: started")
    process.send_signal(signal.SIGTERM)
    if not arguments:
        process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode in {ExitCode.TERMINATED, ExitCode.INTERRUPTED}
    assert "Traceback" not in err.decode()


@pytest.mark.parametrize("arguments", [[], ["--no-show-messages"]])
async def test_a_failure_names_its_trigger_and_its_run(manifest: Path, arguments: list[str]) -> None:
    process = await start_program("watch", written(manifest, FAILING), *arguments)
    *_, line = await until(process.stderr, "failed")
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 30)

    assert re.fullmatch(r"boom: failed: ValueError: no luck today \(trigger tick, run [0-9a-f]{32}\)\n", line)


async def test_a_manifest_whose_triggers_are_switched_off_stays_alive_and_says_so(manifest: Path) -> None:
    process = await start_program("watch", written(manifest, NOTHING))
    await until(process.stderr, "no trigger")
    assert process.returncode is None
    os.kill(process.pid, signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == ExitCode.INTERRUPTED


@pytest.mark.parametrize(("both", "text"), [(True, "unexpected extra argument"), (False, "Missing argument 'FILE'")])
def test_one_manifest_has_to_be_named(cli: Call, manifest: Path, both: bool, text: str) -> None:
    done = cli("watch", *([manifest, "--config", manifest] if both else []))

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert text in done.err


def test_a_wrong_grace_period_is_refused(cli: Call, manifest: Path) -> None:
    assert "--grace must be" in cli("watch", manifest, "--grace", "-1").err


def test_an_unknown_model_of_a_watched_agent_is_found_before_anything_starts(cli: Call, manifest: Path) -> None:
    manifest.write_text(NOTHING.format().replace("offline", "nope").replace("false", "true"), encoding="utf-8")
    done = cli("watch", manifest)

    assert done.code == ExitCode.USAGE
    assert "'nope' is unknown" in done.err


# -- over HTTP --------------------------------------------------------------------------------------------------------


async def test_health_metrics_and_the_dashboard_share_a_server_of_this_machine_until_the_end(manifest: Path) -> None:
    options = [word for name in ("health", "metrics", "dashboard") for word in (f"--{name}", "127.0.0.1:0")]
    process = await start_program("watch", written(manifest, FAILING), *options)
    lines: list[str] = []
    while not all(any(word in line for line in lines) for word in ("dashboard on", "no luck today")):
        lines += await until(process.stderr, "")
    (address,) = (line.split()[-1] for line in lines if "dashboard on" in line)
    site = address.partition("/?")[0]
    evil = {"host": "evil.example"}
    async with httpx2.AsyncClient(trust_env=False) as http:
        live, ready, metrics, page = [
            await http.get(site + path) for path in ("/health/live", "/health/ready", "/metrics", "/")
        ]
        opened = await http.get(address, follow_redirects=True)
        refused = [
            (await http.get(site + path, headers=evil)).status_code for path in ("/health/live", "/metrics", "/")
        ]
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 30)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", site)
    said = [line.split()[-1] for line in lines if " on http" in line]
    assert said[:2] == [f"{site}/health/ready", f"{site}/metrics"]
    assert (live.json(), ready.json()["status"]) == ({"status": "alive"}, "ready")
    assert 'understage_run_failed_total{node="boom"} 1.0' in metrics.text.splitlines()
    assert 'understage_trigger_failed_total{node="boom"} 1.0' in metrics.text.splitlines()
    assert "no luck today" not in metrics.text
    assert (page.status_code, opened.status_code) == (401, 200), "the dashboard wants its token wherever it listens"
    assert refused == [403, 403, 403]
    assert process.returncode == ExitCode.TERMINATED


@pytest.mark.parametrize(
    ("address", "shown", "answered"),
    [
        ("0", "127.0.0.1", {"127.0.0.1": 200, "evil.example": 403}),
        ("0.0.0.0:0", "0.0.0.0", {"10.0.0.7": 200, "evil.example": 403}),
        ("localhost:0", "localhost", {"localhost": 200, "10.0.0.7": 200}),
        ("[::1]:0", "[::1]", {"[::1]": 200, "evil.example": 403}),
    ],
)
async def test_a_server_listens_where_it_is_told_and_answers_that_name(
    address: str, shown: str, answered: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    async with AgentPool[None]() as pool:
        with web_servers({"health": address, "metrics": None}) as serve:
            url = capsys.readouterr().err.split()[-1]
            async with serve(pool), httpx2.AsyncClient(trust_env=False) as http:
                at = url.replace("0.0.0.0", "127.0.0.1")
                found = {name: (await http.get(at, headers={"host": name})).status_code for name in answered}

    assert re.fullmatch(rf"http://{re.escape(shown)}:\d+/health/ready", url)
    assert found == answered


def test_a_port_in_use_is_one_line(cli: Call, manifest: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = cli("watch", written(manifest, BUSY), "--metrics", port)

    assert outcome.code == ExitCode.USAGE
    assert re.fullmatch(rf"understage: --metrics {port}: the port cannot be used: .*in use\n", outcome.err)


@pytest.mark.parametrize("option", ["health", "metrics", "dashboard"])
@pytest.mark.parametrize("address", ["70000", ":80", "host:", "host:x", "-1", "\u0663", "1.2.3.4:99999"])
def test_what_is_no_address_is_one_line(cli: Call, manifest: Path, option: str, address: str) -> None:
    outcome = cli("watch", written(manifest, BUSY), f"--{option}={address}")

    words = f"--{option} {address}: that is no port from 0 to 65535, alone or after a host, as in --{option} 8080 or"
    assert (outcome.code, outcome.err) == (ExitCode.USAGE, f"understage: {words} --{option} 0.0.0.0:8080\n")


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("watch a.yml --dashboard", "watch a.yml --dashboard=8420"),
        ("watch --dashboard a.yml", "watch --dashboard=8420 a.yml"),
        ("watch --config a.yml --dashboard", "watch a.yml --dashboard=8420"),
        ("watch --config=a.yml", "watch a.yml"),
        ("watch --dashboard --json a.yml", "watch --dashboard=8420 --json a.yml"),
        *[(words, words) for words in ("watch --dashboard 0 a.yml", "watch --dashboard [::]:80", "top --dashboard")],
    ],
)
def test_config_is_the_file_and_the_dashboard_has_a_usual_port(words: str, read: str) -> None:
    assert as_typer_reads(words.split()) == read.split()


def test_a_missing_extra_is_one_line(cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "actors.telemetry.prometheus", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    outcome = cli("watch", written(manifest, BUSY), "--metrics", "0")

    words = "--metrics needs prometheus_client, which is not installed: pip install 'understage[prometheus,web]'"
    assert (outcome.code, outcome.err) == (ExitCode.USAGE, f"understage: {words}\n")
