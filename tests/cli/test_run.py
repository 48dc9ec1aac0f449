"""`understage run`: the answer on standard output, all else on standard error, one message when it cannot be had."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call


def test_the_answer_alone_is_on_standard_output(cli: Call, manifest: Path) -> None:
    done = cli("run", manifest, "fine", "hello", "world")

    assert (done.code, done.out) == (ExitCode.OK, "fine: hello world\n")
    assert "fine: started\n" in done.err
    assert done.err.splitlines()[-1].split()[:2] == ["fine", "1"]


def test_a_chain_hands_on_and_the_table_has_a_line_per_agent(cli: Call, manifest: Path) -> None:
    done = cli("run", manifest, "chain", "The cat sleeps all day long on the mat.")
    table = done.err[done.err.index("agent ") :].splitlines()

    assert done.out == "fine: The cat sleeps all day long on the mat.\n"
    assert [line.split()[:2] for line in table[1:]] == [["writer", "1"], ["fine", "1"], ["total", "2"]]


def test_where_both_streams_meet_the_table_comes_after_the_answer(
    cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    lines = cli("run", manifest, "fine", "hello").out.splitlines()

    assert lines[0] == "fine: started"
    assert lines[-3] == "fine: hello"
    assert [line.split()[0] for line in lines[-2:]] == ["agent", "fine"]


def test_files_are_read_as_named_documents(cli: Call, manifest: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Every copy must carry the notice. Whoever forgets that is liable.", encoding="utf-8")
    done = cli("run", manifest, "writer", "What must we do?", "--file", notes)

    assert done.code == ExitCode.OK
    assert done.out.startswith("- ")
    assert done.out.endswith("[notes.txt]\n")


def test_a_file_alone_is_a_prompt(cli: Call, manifest: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("Cats sleep.", encoding="utf-8")

    assert '<document name="notes.txt">' in cli("run", manifest, "fine", "--file", notes).out


def test_a_dash_reads_the_prompt_from_standard_input(
    cli: Call, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe"))

    assert cli("run", manifest, "fine", "-").out == "fine: from a pipe\n"


def test_an_agent_with_prompts_of_its_own_needs_none(cli: Call, manifest: Path) -> None:
    assert cli("run", manifest, "writer").out == "The cat sleeps all day long on the mat.\n"


def test_structured_content_is_json(cli: Call, manifest: Path) -> None:
    assert json.loads(cli("run", manifest, "structured", "a b").out) == {"words": ["a", "b"]}


def test_json_for_programs_holds_content_and_numbers(cli: Call, manifest: Path) -> None:
    document = json.loads(cli("run", manifest, "structured", "a b", "--json").out)

    assert (document["node"], document["content"], document["failed_members"]) == (
        "structured",
        {"words": ["a", "b"]},
        {},
    )
    assert [(row["name"], row["messages"]) for row in document["agents"]] == [("structured", 1)]


def test_another_model_can_be_used_for_one_run(cli: Call, manifest: Path) -> None:
    document = json.loads(cli("run", manifest, "writer", "hi", "--model", "test", "--json").out)

    assert document["model"] == "test"


def test_a_member_that_a_team_can_do_without_is_said_to_have_failed(cli: Call, manifest: Path) -> None:
    done = cli("run", manifest, "partial", "hi")

    assert (done.code, done.out) == (ExitCode.OK, "[fine]: fine: hi\n")
    assert "understage: member 'boom' failed: " in done.err
    assert "no luck today" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("node", ["boom", "broken", "hopeless"])
def test_a_member_that_raises_is_one_message(cli: Call, manifest: Path, node: str) -> None:
    done = cli("run", manifest, node, "hi")

    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert done.err.splitlines()[-1].startswith("understage: ")
    assert "no luck today" in done.err.splitlines()[-1]
    assert "boom" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_debug_shows_where_a_member_raised(cli: Call, manifest: Path) -> None:
    done = cli("run", manifest, "boom", "hi", "--debug")

    assert done.code == ExitCode.FAILED
    assert 'raise ValueError("no luck today")' in done.err


def test_a_run_that_takes_too_long_fails(cli: Call, manifest: Path) -> None:
    done = cli("run", manifest, "waiter", "hi", "--timeout", "0.01")

    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "was not finished within 0.01 s" in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["writter", "hi"], "no node 'writter' in the manifest"),
        (["fine", "hi", "--chaos", "fines"], "no node 'fines' in the manifest"),
        (["fine"], "there is no prompt"),
        (["fine", ""], "the prompt is empty"),
        (["fine", " \t "], "the prompt is empty"),
        (["fine", "hi", "--timeout", "0"], "--timeout must be a number of seconds > 0, not 0"),
        (["fine", "hi", "--timeout", "nan"], "--timeout must be a number of seconds > 0, not nan"),
        (["fine", "hi", "--file", "no-such-file.txt"], "'no-such-file.txt' does not exist"),
        (["writer", "hi", "--model", "nope"], "model 'nope' is unknown"),
        (["writer", "hi", "--model", "openai:gpt-4o"], "'openai:gpt-4o'"),
        (["chain", "hi", "--model", "nope:x"], "node 'writer': model 'nope:x' is unknown"),
    ],
)
def test_what_cannot_be_run_is_one_message_before_anything_starts(
    cli: Call, manifest: Path, arguments: list[str], text: str
) -> None:
    done = cli("run", manifest, *arguments)

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert len(done.err.splitlines()) == 1, done.err
    assert text in done.err


@pytest.mark.parametrize("content", [b"\x7fELF\x02\x01\x01\x00", b"", b"caf\xe9 au lait"])
def test_a_file_that_is_no_text_is_one_message(cli: Call, manifest: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "thing.bin"
    file.write_bytes(content)
    done = cli("run", manifest, "fine", "hi", "--file", file)

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert len(done.err.splitlines()) == 1
    assert str(file) in done.err


def test_a_model_that_no_member_uses_is_not_looked_at(cli: Call, manifest: Path) -> None:
    assert cli("run", manifest, "fine", "hi", "--model", "nope").code == ExitCode.OK


@pytest.mark.parametrize("victim", ["fine", "writer", "chain"])
def test_a_broken_member_is_restarted_and_the_answer_is_complete(cli: Call, manifest: Path, victim: str) -> None:
    done = cli("run", manifest, "chain", "hello there", "--chaos", victim)

    assert (done.code, done.out) == (ExitCode.OK, "fine: hello there\n")
    assert f"{victim}: crashed: ChaosError: broken on purpose (--chaos)\n" in done.err
    assert f"{victim}: restarted after " in done.err
    begun, _, rest = done.err.partition(f"{victim}: crashed: ")
    assert f"{victim}: started\n" in begun, "it had the message of the run in its hands"
    assert rest.count(f"{victim}: started\n") == 1, "the next incarnation was handed it again"
    row = next(line for line in done.err.splitlines() if line.startswith(f"{victim} "))
    assert row.split()[-1] == "1"
