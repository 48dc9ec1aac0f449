"""A pool that ends by itself ends the command: with an exit code of its own, the reason, and what was answered."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import ExitCode
from actors.storage.journal_sqlite import SqliteJournal
from tests.cli.conftest import start_program
from tests.durable.test_broken_journal import fail

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call

QUIT = """
allow_imports: [{module}]
agents:
  source:
    type: callback
    callback: "{module}:fine"
    connections: [{{type: node, name: sink, exit_condition: {{type: word_match, words: [quit]}}}}]
    triggers: [{{type: interval, name: tick, every: 3600, prompt: quit now, immediately: true}}]
  sink: {{type: callback, callback: "{module}:fine"}}
  leaver: {{type: callback, callback: "{module}:leave"}}
teams:
  chain: {{mode: sequential, members: [source, sink]}}
jobs:
  farewell: {{prompt: please quit}}
"""
BREAKS = """
name: crew
allow_imports: [{module}]
agents:
  boom:
    type: callback
    callback: "{module}:boom"
    crash_on: ["builtins:ValueError"]
    triggers: [{{type: interval, name: tick, every: 0.05, prompt: go, immediately: true}}]
  fine: {{type: callback, callback: "{module}:fine"}}
supervision: {{intensity: {{limit: 1, period: 60s}}, backoff: {{min: 1ms, max: 2ms}}}}
"""
KEPT = """
name: crew
allow_imports: [{module}]
journal: {{path: crew.journal, reserve: 0}}
agents:
  fine:
    type: callback
    callback: "{module}:fine"
    durable: true
    triggers: [{{type: interval, name: tick, every: 3600, prompt: go, immediately: true}}]
"""
LEAVE = "\n\ndef leave(text: str) -> str:\n    raise SystemExit(7)\n"
WHY = "understage: the exit condition of talk \"source->['sink']\" was true"


def written(manifest: Path, text: str) -> Path:
    module = next(manifest.parent.glob("functions_*.py"))
    module.write_text(module.read_text(encoding="utf-8") + LEAVE, encoding="utf-8")
    manifest.write_text(text.format(module=module.stem), encoding="utf-8")
    return manifest


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["run", "source", "quit"], "fine: quit\n"),
        (["run", "chain", "quit"], "fine: fine: quit\n"),
        (["job", "source", "farewell"], "fine: please quit\n"),
    ],
)
def test_the_answer_is_written_before_an_exit_condition_ends_a_run(
    cli: Call, manifest: Path, words: list[str], answer: str
) -> None:
    command, *rest = words
    done = cli(command, written(manifest, QUIT), *rest)

    assert (done.code, done.out) == (ExitCode.EXIT_CONDITION, answer)
    assert done.err.splitlines()[-1] == WHY
    assert "agent  " in done.err, "the numbers are kept"


def test_a_run_whose_exit_condition_was_not_true_ends_as_ever(cli: Call, manifest: Path) -> None:
    done = cli("run", written(manifest, QUIT), "source", "go on", "--json")

    assert done.code == ExitCode.OK
    assert json.loads(done.out)["text"] == "fine: go on"


def test_triggers_start_nothing_during_a_run(cli: Call, manifest: Path) -> None:
    done = cli("run", written(manifest, QUIT), "sink", "hello")

    assert done.code == ExitCode.OK
    assert "source" not in done.err


def test_an_exit_condition_ends_watch_after_the_answer(cli: Call, manifest: Path) -> None:
    done = cli("watch", written(manifest, QUIT), "--json")

    assert done.code == ExitCode.EXIT_CONDITION
    assert json.loads(done.out)["text"].endswith("quit now")
    assert done.err.splitlines()[-1] == WHY


@pytest.mark.parametrize("typed", ["hello\nquit\nlate\n", "hello\nquit"])
def test_an_exit_condition_ends_a_chat_that_is_piped_in(
    cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch, typed: str, tmp_path: Path
) -> None:
    (tmp_path / "typed.txt").write_text(typed, encoding="utf-8")
    with (tmp_path / "typed.txt").open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        done = cli("chat", written(manifest, QUIT), "source")

    assert (done.code, done.out) == (ExitCode.EXIT_CONDITION, "fine: hello\nfine: quit\n")
    assert done.err.splitlines()[-1] == WHY


async def test_an_exit_condition_ends_a_chat_that_waits_for_somebody_to_type(manifest: Path) -> None:
    process = await start_program("chat", written(manifest, QUIT), "source", stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"quit\n")
    answer = await asyncio.wait_for(process.stdout.readline(), 30)
    code = await asyncio.wait_for(process.wait(), 30)  # its standard input is still open
    process.stdin.close()
    await process.communicate()

    assert (code, answer) == (ExitCode.EXIT_CONDITION, b"fine: quit\n")


def test_a_pool_that_is_given_up_ends_watch(cli: Call, manifest: Path) -> None:
    done = cli("watch", written(manifest, BREAKS))

    assert (done.code, done.out) == (ExitCode.GAVE_UP, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("understage: the pool 'crew' has given up: 'boom' broke too often (2 times, the last time: ")
    assert "no luck today" in last


def test_a_disk_of_the_journal_that_fails_ends_watch(
    cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.app.journal_watch.LOOK", 0.01)
    monkeypatch.setattr(SqliteJournal, "_seal", fail)
    done = cli("watch", written(manifest, KEPT))

    assert (done.code, done.out) == (ExitCode.GAVE_UP, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("understage: the pool 'crew' has given up: journal ")
    assert "check the disk, then restart the pool" in last


@pytest.mark.parametrize("command", ["run", "chat"])
def test_a_handler_that_leaves_the_program_is_a_failure(
    cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    (tmp_path / "typed.txt").write_text("go\n", encoding="utf-8")
    with (tmp_path / "typed.txt").open(encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        done = cli(command, written(manifest, QUIT), "leaver", *(["go"] if command == "run" else []))

    assert done.code == ExitCode.FAILED
    assert done.err.splitlines()[-1] == "understage: a handler has ended the program: SystemExit: 7"
