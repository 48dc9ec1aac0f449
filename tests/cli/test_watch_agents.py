"""`understage watch` as the event mode of the seeds: all agents of the file, all their triggers, until a signal."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import ExitCode
from tests.cli.conftest import Call, start_program
from tests.cli.test_watch import until

if TYPE_CHECKING:
    from pathlib import Path

SEVERAL = """
allow_imports: [{module}]
agents:
  reviewer:
    type: callback
    callback: "{module}:fine"
    connections: [{{type: node, name: idle}}]
    triggers:
      - {{type: file, name: docs, paths: ["docs/**/*.md"], extensions: [.md], debounce: 20, include_timestamp: false}}
  early:
    type: callback
    callback: "{module}:fine"
    triggers: [{{type: interval, name: tick, every: 3600, prompt: Good morning, immediately: true}}]
  after:
    type: callback
    callback: "{module}:fine"
    triggers:
      - type: connection
        name: seen
        event: message_forwarded
        source: reviewer
        condition: {{type: word_match, words: [note]}}
  off:
    type: callback
    callback: "{module}:fine"
    triggers: [{{type: interval, name: never, every: 1, prompt: go, immediately: true, enabled: false}}]
  idle: {{type: callback, callback: "{module}:fine"}}
"""


@pytest.fixture
def several(manifest: Path) -> Path:
    module = next(manifest.parent.glob("functions_*.py")).stem
    manifest.write_text(SEVERAL.format(module=module), encoding="utf-8")
    (manifest.parent / "docs").mkdir()
    return manifest


@pytest.mark.seed("S93")
async def test_all_agents_are_loaded_their_triggers_started_and_the_program_stays_alive(
    several: Path, program: Call
) -> None:
    process = await start_program("watch", "--config", several, "--json")
    said = await until(process.stderr, "watching")
    assert process.stdout is not None
    answers = [json.loads(await asyncio.wait_for(process.stdout.readline(), 30))]
    for name in ("note.md", "notes.md"):
        (several.parent / "docs" / name).write_text("Text.", encoding="utf-8")
        answers += [json.loads(await asyncio.wait_for(process.stdout.readline(), 30)) for _ in range(2)]
    seen = await asyncio.to_thread(program, "top", "--config", several, "--once", "--json")
    is_alive = process.returncode is None
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 30)

    assert [one for one in ("reviewer/docs", "early/tick", "after/seen") if one not in said[-1]] == []
    assert "off/never" not in said[-1]
    assert (answers[0]["node"], answers[0]["trigger"]) == ("early", "tick")
    assert sorted(one["node"] for one in answers[1:]) == ["after", "after", "reviewer", "reviewer"]
    assert is_alive
    assert [name for name in ("reviewer", "early", "after", "off", "idle") if name not in seen.out] == []


@pytest.mark.seed("S94")
async def test_an_interrupt_stops_triggers_and_agents_without_a_traceback(several: Path) -> None:
    process = await start_program("watch", several)
    await until(process.stderr, "watching")
    await until(process.stdout, "Good morning")
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, out) == (ExitCode.INTERRUPTED, b"")
    lines = err.decode().splitlines()
    assert lines[-1] == "understage: interrupted"
    assert [line for line in lines if "Traceback" in line or "rror" in line or "never awaited" in line] == []
