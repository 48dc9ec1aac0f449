"""`understage history`: what was said, from the store of a manifest."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from actors.app import AgentPool
from actors.cli.exit_code import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call

TEXT = """
storage: {type: sqlite, path: history.db}
agents:
  one: {model: test, session: true}
  two: {model: test}
"""


@pytest.fixture(scope="module")
def talks(tmp_path_factory: pytest.TempPathFactory, program: Call) -> Path:
    """The folder of a manifest whose agents have said something, each in a process of its own."""
    folder = tmp_path_factory.mktemp("talks")
    file = folder / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    for name in ("one", "one", "two"):
        assert program("run", file, name, f"Hello {name}").code == 0
    return folder


@pytest.fixture
def talked(tmp_path: Path, talks: Path) -> Path:
    """A manifest with a copy of these talks."""
    shutil.copytree(talks, tmp_path, dirs_exist_ok=True)
    return tmp_path / "agents.yml"


async def talk_in_sessions(file: Path) -> None:
    async with AgentPool[None](file) as pool:
        for name in ("alice", "bob"):
            await pool["one"].run(f"I am {name}.", session=name)


def test_a_session_is_exported_and_forgotten(talked: Path, cli: Call) -> None:
    asyncio.run(talk_in_sessions(talked))
    lines = cli("history", "export", talked, "--session", "alice").out.splitlines()

    assert [json.loads(line)["content"] for line in lines] == ["I am alice.", "success (no tool calls)"]
    assert cli("history", "forget", talked, "--session", "alice", "--agent", "two").out == "0 messages removed\n"
    assert json.loads(cli("history", "forget", talked, "--session", "alice", "--json").out) == {"removed": 2}
    assert cli("history", "export", talked, "--session", "alice").out == ""
    assert "I am bob." in cli("history", "export", talked, "--session", "bob").out
    assert cli("history", "forget", talked, "--session", "a\nb").code == ExitCode.USAGE
    assert cli("history", "forget", talked).code != 0


def test_history_of_earlier_processes_is_shown_summed_up_exported_and_removed(talked: Path, cli: Call) -> None:
    shown = cli("history", "show", talked, "--agent", "one").out.splitlines()
    sums = json.loads(cli("history", "stats", talked, "--json").out)
    exported = [json.loads(line) for line in cli("history", "export", talked).out.splitlines()]
    table = cli("history", "stats", talked, "--by", "role").out.splitlines()
    removed = cli("history", "prune", talked, "--most", "2").out
    left = cli("history", "show", talked, "--json").out.splitlines()

    assert [line.split(" ", 2)[2] for line in shown] == [
        "one <- Hello one",
        "one -> success (no tool calls)",
        "one <- Hello one",
        "one -> success (no tool calls)",
    ]
    assert {one["key"]: one["messages"] for one in sums} == {"one": 4, "two": 2}
    assert len(exported) == 6
    assert len({one["conversation_id"] for one in exported if one["node"] == "one"}) == 1
    assert exported[1]["payload"][0]["kind"] == "request"
    assert table[0].split() == ["role", "messages", "tokens", "cost", "last"]
    assert removed == "4 messages removed\n"
    assert [json.loads(line)["node"] for line in left] == ["two", "two"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stats", "--by", "moon"], "--by must be one of agent, role"),
        (["show", "--limit", "0"], "limit"),
        (["prune"], "nothing under 'retention'"),
        (["prune", "--days", "-1"], "max_age"),
        (["prune", "--days", "nan"], "max_age"),
        (["prune", "--days", "1e308"], "max_age"),
        (["prune", "--most", "-1"], "max_messages"),
        (["prune", "--most", "1.5"], "--most"),
        (["prune", "--per-conversation", "-1"], "max_per_conversation"),
        (["show", "--limit", "10001"], "limit"),
        (["show", "--limit", "many"], "--limit"),
        (["show", "--since", "nan"], "--since must be a date"),
        (["show", "--since", "-5"], "--since must be a date"),
        (["show", "--since", "1e300"], "--since must be a date"),
        (["show", "--since", "yesterday"], "--since must be a date"),
        (["show", "--until", "2026-13-01"], "--until must be a date"),
        (["show", "--until", "1900-01-01"], "until must be seconds since 1970"),
        (["show", "--since", "1h", "--until", "2h"], "must be before until"),
        (["show", "--role", "boss"], "role must be one of 'user', 'assistant', 'system'"),
        (["show", "--text", ""], "text must be 1 to"),
        (["show", "--agent", ""], "agent must be 1 to 255"),
        (["show", "--agent", "x" * 256], "agent must be 1 to 255"),
        (["export", "--format", "xls"], "--format must be one of jsonl, json, csv, not 'xls'"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Call, tmp_path: Path, arguments: list[str], words: str) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    done = cli("history", arguments[0], file, *arguments[1:])

    assert done.code == ExitCode.USAGE
    assert words in done.err


def test_a_manifest_without_storage_has_no_history(cli: Call, manifest: Path) -> None:
    assert "keeps no history; add 'storage: sqlite'" in cli("history", "show", manifest).err


HOSTILE = [
    " \ufeff=1",
    "x;=1+1",
    "\uff1d1+1",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    'a,b"c\nd',
    "'; DROP TABLE understage_history; --",
]


def test_an_export_for_spreadsheets_holds_no_formula_and_every_message(tmp_path: Path, cli: Call) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    for text in HOSTILE:
        assert cli("run", file, "two", "--", text).code == 0
    exported = cli("history", "export", file, "--format", "csv").out
    lines = list(csv.DictReader(io.StringIO(exported)))
    listed = json.loads(cli("history", "export", file, "--format", "json", "--role", "user").out)

    asked = [line["content"] for line in lines if line["role"] == "user"]
    assert [one["content"] for one in listed] == HOSTILE
    assert '"x;=1+1"' in exported  # else programs that split at semicolons see a formula
    assert asked == ["' \ufeff=1", "x;=1+1", "'\uff1d1+1", "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", *HOSTILE[8:]]
    assert len(lines) == 2 * len(HOSTILE)
    assert not [cell for line in lines for cell in line.values() if cell.startswith(("=", "+", "-", "@", "\t"))]


def test_no_line_of_a_message_looks_like_another_message(tmp_path: Path, cli: Call) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    assert cli("run", file, "two", "--", "one\n2026-01-01 00:00:00 two -> two\u2028three").code == 0

    first, *more = cli("history", "show", file, "--role", "user").out.splitlines()

    assert first.endswith("two <- one")
    assert more == ["    2026-01-01 00:00:00 two -> two", "    three"]


def test_messages_are_found_by_role_and_time(talked: Path, cli: Call) -> None:
    def shown(*conditions: str) -> int:
        done = cli("history", "show", talked, *conditions)
        assert done.code == 0, done.err
        return len(done.out.splitlines())

    assert shown("--role", "user") == 3
    assert shown("--since", "1h") == shown("--since", "2000-01-01") == shown("--until", "2999-12-31T12:00Z") == 6
    assert shown("--until", "1h") == shown("--until", "2001-01-01") == 0
    assert cli("history", "export", talked, "--format", "json", "--until", "1h").out == "[]\n"


def test_the_latest_of_each_conversation_are_kept(talked: Path, cli: Call) -> None:
    assert cli("history", "prune", talked, "--per-conversation", "2").out == "2 messages removed\n"


def test_the_next_store_is_asked_when_the_first_cannot_be_opened(talked: Path, cli: Call) -> None:
    (talked.parent / "bad.db").write_bytes(b"no database" * 1_000)
    stores = "{providers: [memory, {type: sqlite, path: bad.db}, {type: sqlite, path: history.db}]}"
    talked.write_text(TEXT.replace("{type: sqlite, path: history.db}", stores), encoding="utf-8")
    done = cli("history", "show", talked)

    assert (done.code, len(done.out.splitlines())) == (0, 6)
    assert "bad.db" in done.err
    assert "the next store is asked" in done.err


@pytest.mark.parametrize("words", [["show"], ["stats"], ["export"], ["prune", "--days", "1"]])
def test_looking_makes_no_store(tmp_path: Path, cli: Call, words: list[str]) -> None:
    (tmp_path / "agents.yml").write_text(TEXT.replace("history.db", "new/history.db"), encoding="utf-8")

    assert cli("history", words[0], tmp_path / "agents.yml", *words[1:]).code == 0
    assert not (tmp_path / "new").exists()


def test_history_in_memory_only_has_nothing_to_show(talked: Path, cli: Call) -> None:
    talked.write_text(TEXT.replace("{type: sqlite, path: history.db}", "memory"), encoding="utf-8")
    done = cli("history", "show", talked)

    assert done.code == ExitCode.USAGE
    assert "in memory only, which ends with each process; add a 'sqlite' store" in done.err


def test_a_session_that_nothing_is_kept_for_is_told_on_standard_error(tmp_path: Path, program: Call) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT.replace("storage: {type: sqlite, path: history.db}", ""), encoding="utf-8")
    done = program("run", file, "one", "Hello.")

    assert done.code == 0
    assert "agent 'one': nothing is stored that its session could go on with; add `storage`" in done.err
    assert "session" not in done.out
