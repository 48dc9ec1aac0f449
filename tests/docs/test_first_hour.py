"""The tasks of docs/first-hour.md can be done, and what is expected is what one sees."""

from __future__ import annotations

import io
import re
import runpy
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import ROOT, Call, cli
from tests.docs.test_snippets import DOCS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli"]

PAGE: Final = (DOCS / "first-hour.md").read_text(encoding="utf-8")
SOLUTIONS: Final = ROOT / "examples" / "first_hour"
_TASK: Final = re.compile(r"^### (\d+)\. (.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
TASKS: Final = {int(number): text for number, text in _TASK.findall(PAGE)}
PROGRAMS: Final = [
    (number, name)
    for number, text in TASKS.items()
    for name in re.findall(r"^Write `(\w+)\.py`", text, re.MULTILINE)
    if name != "test_guide"
]


def is_expected(task: int, output: str) -> bool:
    """True if the output is the block of a task, whose `...` stands for anything."""
    (block,) = re.findall(r"^```text\n(.*?)\n```$", TASKS[task], re.MULTILINE | re.DOTALL)
    pattern = ".*".join(map(re.escape, re.split(r" ?\.\.\. ?", block)))
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


@pytest.mark.parametrize(("task", "name"), PROGRAMS, ids=[name for _, name in PROGRAMS])
def test_a_program_prints_what_its_task_expects(task: int, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(SOLUTIONS / f"{name}.py"), run_name="__main__")

    told = capsys.readouterr()
    assert is_expected(task, told.out or told.err), told


async def test_a_test_of_an_agent_passes() -> None:
    (test,) = [
        value for name, value in runpy.run_path(str(SOLUTIONS / "test_guide.py")).items() if name.startswith("test")
    ]

    await test(None)


def test_a_manifest_is_begun_checked_run_and_broken(cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    version, begun, valid = cli("--version"), cli("init"), cli("validate", "agents.yml")
    done = cli("run", "agents.yml", "briefing", "What must we do?", "--file", ROOT / "LICENSE")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(re.findall(r"`(\w+ \w+ [^`]*\. [^`]*\.)`", TASKS[20]))))
    chat = cli("chat", "agents.yml", "duties")
    file = tmp_path / "agents.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("model:", "modle:", 1), encoding="utf-8")
    broken = cli("validate", "agents.yml")

    assert begun.code == 0
    assert is_expected(2, version.out)
    assert is_expected(17, valid.out)
    assert is_expected(18, done.err[done.err.index("agent ") :])
    assert is_expected(20, chat.out)
    assert (broken.code, is_expected(19, broken.err)) == (2, True), broken.err


def test_there_are_25_tasks_each_with_what_one_sees() -> None:
    assert list(TASKS) == list(range(1, 26))
    assert [number for number, text in TASKS.items() if "**Right if**" not in text] == []
    assert {name for _, name in PROGRAMS} | {"test_guide"} == {file.stem for file in SOLUTIONS.glob("*.py")}
