"""`understage chat`: prompts from a pipe or a terminal, answers on standard output."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from actors import Agent
from actors.cli.chat import ChatTurn
from actors.cli.exit_code import ExitCode
from tests.cli.conftest import ROOT, environment
from tests.nodes.test_stream_law import look, model_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call

CATS = "The cat sleeps all day long on the mat."


@pytest.fixture
def say(cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Chat with a node; the first words are options, the last is what is piped in."""

    def chat(node: str, text: str, *options: str) -> object:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return cli("chat", manifest, node, *options)

    return chat  # type: ignore[return-value]


def test_every_line_is_answered_and_only_answers_are_on_standard_output(say: Call) -> None:
    done = say("fine", "one\n\ntwo\n")

    assert (done.code, done.out, done.err) == (ExitCode.OK, "fine: one\nfine: two\n", "")


def test_prompts_of_several_lines(say: Call) -> None:
    assert say("fine", 'one \\\ntwo\n"""\nthree\nfour\n"""\n').out == "fine: one \ntwo\nfine: three\nfour\n"


def test_quit_ends_and_what_comes_after_is_not_read(say: Call) -> None:
    assert say("fine", "one\n/quit\ntwo\n").out == "fine: one\n"


def test_a_double_slash_begins_a_prompt_with_a_slash(say: Call) -> None:
    assert say("fine", "//quit\n").out == "fine: /quit\n"


def test_an_unknown_command_says_which_there_are(say: Call) -> None:
    done = say("fine", "/foo bar\none\n")

    assert done.out == "fine: one\n"
    assert done.err.startswith("understage: unknown command '/foo': /quit ends")


def test_stats_are_a_table_on_standard_error(say: Call) -> None:
    done = say("fine", "/stats\none\n/stats\n")
    lines = done.err.splitlines()

    assert lines[0] == "nothing was said yet"
    assert lines[2].split()[:2] == ["fine", "1"]


def test_a_chat_is_one_conversation_until_it_is_reset(say: Call) -> None:
    done = say("writer", f"{CATS}\n{CATS}\n/reset\n{CATS}\n", "--json")
    answers = [json.loads(line) for line in done.out.splitlines()]

    first, second, third = (answer["conversation_id"] for answer in answers)
    assert first == second
    assert first != third
    assert answers[0]["input_tokens"] < answers[1]["input_tokens"], "it remembers"
    assert answers[0]["input_tokens"] == answers[2]["input_tokens"], "it has forgotten"
    assert [answer["text"] for answer in answers] == [CATS] * 3


def test_a_chain_is_heard_from_its_last_stage_only(say: Call) -> None:
    assert say("chain", f"{CATS}\n").out == f"fine: {CATS}\n"


def test_a_failure_is_one_message_and_the_chat_goes_on(say: Call) -> None:
    done = say("boom", "one\ntwo\n")

    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert len(done.err.splitlines()) == 2
    assert "no luck today" in done.err
    assert "Traceback" not in done.err


def test_a_failure_is_a_line_for_programs(say: Call) -> None:
    done = say("boom", "one\n", "--json")
    (answer,) = [json.loads(line) for line in done.out.splitlines()]

    assert (answer["prompt"], answer["node"]) == ("one", "boom")
    assert "no luck today" in answer["error"]


def test_an_answer_that_takes_too_long_fails(say: Call) -> None:
    done = say("waiter", "one\n", "--timeout", "0.01")

    assert done.code == ExitCode.FAILED
    assert "was not finished within 0.01 s" in done.err


@pytest.mark.parametrize(
    ("node", "options", "text"),
    [
        ("writter", [], "no node 'writter' in "),
        ("writer", ["--model", "nope"], "model 'nope' is unknown"),
        ("writer", ["--timeout", "-1"], "--timeout must be a number of seconds > 0, not -1"),
    ],
)
def test_what_cannot_be_talked_to_is_one_message(say: Call, node: str, options: list[str], text: str) -> None:
    done = say(node, "one\n", *options)

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert text in done.err
    assert len(done.err.splitlines()) == 1


def test_input_that_is_no_text_is_one_message(cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), encoding="utf-8"))
    done = cli("chat", manifest, "fine")

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "standard input is not text in utf-8" in done.err


def test_without_standard_input_there_is_one_message(
    cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)

    assert "standard input is closed" in cli("chat", manifest, "fine").err


# -- as a program -----------------------------------------------------------------------------------------------------


class Program:
    """A chat whose signals and lines a test decides."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        await self.process.stdin.drain()

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 30)).decode()

    async def error(self) -> str:
        assert self.process.stderr is not None
        return (await asyncio.wait_for(self.process.stderr.readline(), 30)).decode()

    async def end(self) -> tuple[int | None, str, str]:
        out, err = await asyncio.wait_for(self.process.communicate(b""), 30)
        return self.process.returncode, out.decode(), err.decode()


def _add_gate(manifest: Path, folder: Path) -> None:
    """Add an agent `gate` that says on standard error when it works, and a chain of it."""
    module = next(folder.glob("functions_*.py"))
    with module.open("a", encoding="utf-8") as file:
        file.write("\n\nasync def gate(text):\n    import sys\n    if text == 'wait':\n")
        file.write("        print('working', file=sys.stderr, flush=True)\n        await asyncio.Event().wait()\n")
        file.write("    return text\n")
    gate = f'agents:\n  gate: {{type: callback, callback: "{module.stem}:gate"}}'
    text = manifest.read_text(encoding="utf-8").replace("agents:", gate, 1)
    manifest.write_text(text + "  gated: {mode: sequential, members: [gate]}\n", encoding="utf-8")


async def start(manifest: Path, node: str, folder: Path) -> Program:
    """Start a chat with `gate` or `gated`."""
    _add_gate(manifest, folder)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "actors.cli", "chat", str(manifest), node),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Program(process)


async def test_ctrl_c_cancels_the_answer_and_keeps_the_chat(manifest: Path, tmp_path: Path) -> None:
    chat = await start(manifest, "gate", tmp_path)
    await chat.type("one\n")
    assert await chat.line() == "one\n"
    for _ in range(2):
        await chat.type("wait\n")
        assert await chat.error() == "working\n"
        chat.process.send_signal(signal.SIGINT)
        assert await chat.error() == "understage: cancelled\n"
    await chat.type("two\n")
    assert await chat.line() == "two\n"

    assert await chat.end() == (ExitCode.FAILED, "", "")


async def test_ctrl_c_between_answers_ends_a_chat_of_a_program(manifest: Path, tmp_path: Path) -> None:
    chat = await start(manifest, "gate", tmp_path)
    await chat.type("one\n")
    assert await chat.line() == "one\n"
    told = "understage: cancelled\n"
    while told == "understage: cancelled\n":  # the last word of an answer is there before its end
        chat.process.send_signal(signal.SIGINT)
        told = await chat.error()

    assert told == "understage: interrupted\n"
    assert await chat.end() == (ExitCode.INTERRUPTED, "", "")


async def test_sigterm_in_mid_answer_ends_in_order(manifest: Path, tmp_path: Path) -> None:
    chat = await start(manifest, "gated", tmp_path)
    await chat.type("wait\n")
    assert await chat.error() == "working\n"
    chat.process.send_signal(signal.SIGTERM)

    assert await chat.end() == (ExitCode.TERMINATED, "", "understage: terminated\n")


async def test_a_reader_that_has_gone_ends_the_chat(manifest: Path) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "actors.cli", "chat", str(manifest), "fine"),
        cwd=ROOT,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    os.close(reading)
    _, err = await asyncio.wait_for(process.communicate(b"one\ntwo\n"), 30)

    assert (process.returncode, err) == (ExitCode.BROKEN_PIPE, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_is_asked_and_ctrl_d_ends(manifest: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "actors.cli", "chat", str(manifest), "fine"],
        cwd=ROOT,
        env=environment(TERM="dumb"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        try:
            os.close(theirs)
            shown = _until(ours, rb"> $")
            os.write(ours, b"one\n")
            shown += _until(ours, rb"fine: one\s+> $")
            os.write(ours, b"\x04")
            assert process.wait(30) == ExitCode.OK
        finally:
            process.kill()
            os.close(ours)

    assert b"/quit ends, /reset forgets" in shown


async def test_a_terminal_shows_at_once_what_is_said_before_the_call_of_a_tool(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    agent = Agent("a", model=model_of([["text", "tool"], ["text"]]), tools=[look], session=False)
    app: Any = SimpleNamespace(pool={"a": agent})
    async with agent:
        assert await ChatTurn(app, "a").ask("q")

    assert capsys.readouterr().out == "so it is. \nso it is. \n"


def _until(terminal: int, pattern: bytes) -> bytes:
    shown = b""
    while not re.search(pattern, shown):
        assert select.select([terminal], [], [], 30)[0], shown
        shown += os.read(terminal, 1024)
    return shown
