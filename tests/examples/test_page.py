"""What the README and the guides show works as shown."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import ROOT, SECONDS, Call, environment, program

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["program"]

PAGES = ("README.md", "docs/index.md", "docs/quickstart.md", "docs/cli.md")
QUESTION = "What must we do, and what can go wrong?"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of one language on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


PROGRAMS = [(page, code) for page in PAGES for code in blocks(page, "python")]
COMMANDS = sorted(
    {
        line.partition(" #")[0].strip()
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("understage ") and line.split()[1] in {"run", "list", "validate", "graph", "schema"}
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the pages take for granted: a licence, notes, and the manifest of the quickstart."""
    shutil.copy(ROOT / "LICENSE", tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "agents.yml").write_text(blocks("docs/quickstart.md", "yaml")[0], encoding="utf-8")
    for name in ("notes.md", "contract.md", "minutes.txt"):
        (tmp_path / name).write_text("We must deliver by Friday.", encoding="utf-8")
    return tmp_path


def run_program(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=SECONDS,
    )


@pytest.mark.parametrize(("page", "code"), PROGRAMS, ids=[page for page, _ in PROGRAMS])
def test_every_program_on_a_page_runs(page: str, code: str, folder: Path) -> None:
    done = run_program(code, folder)

    assert (done.returncode, done.stderr) == (0, ""), page
    assert done.stdout.strip() != ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_on_a_page_works(command: str, folder: Path) -> None:
    words = [word if word != "NODE" else "review" for word in shlex.split(command)[1:]]
    done = subprocess.run(
        [sys.executable, "-m", "actors.cli", *words],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=SECONDS,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() != ""


def test_the_output_in_the_readme_is_what_the_demo_prints(program: Call) -> None:
    documents = sorted((ROOT / "examples" / "briefing" / "documents").iterdir())
    files = [word for path in documents for word in ("--file", str(path))]
    done = program("run", ROOT / "examples" / "briefing" / "agents.yml", "briefing", QUESTION, *files)
    table = done.err[done.err.index("agent  ") :]

    check_shown(blocks("README.md", "text")[0], f"{done.out}\n{table}")


def test_the_fifteen_lines_of_the_readme_print_what_stands_below_them(folder: Path) -> None:
    check_shown(blocks("README.md", "text")[1], run_program(blocks("README.md", "python")[0], folder).stdout)


def check_shown(shown: str, printed: str) -> None:
    """Compare a block of a page with what is printed; a line of the block may be cut with an ellipsis."""
    lines, wholes = without_times(shown).splitlines(), without_times(printed).splitlines()
    cut = [
        whole[: len(line) - 1] + "…" if line.endswith("…") else whole for line, whole in zip(lines, wholes, strict=True)
    ]

    assert lines == cut


def without_times(text: str) -> str:
    return re.sub(r"\d\.\d\d s", "0.00 s", text)


def test_there_is_something_to_run() -> None:
    assert len(PROGRAMS) >= 4
    assert len(COMMANDS) >= 3
