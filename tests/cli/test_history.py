"""`understudy history`: what was said, from the store of a manifest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

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


@pytest.fixture
def talked(tmp_path: Path, program: Call) -> Path:
    """A manifest whose agents have said something, each in a process of its own."""
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    for name in ("one", "one", "two"):
        assert program("run", file, name, f"Hello {name}").code == 0
    return file


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
