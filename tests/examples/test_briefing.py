"""The briefing example, which is also the demo."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import ROOT, Call, cli, program

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["cli", "program"]

EXAMPLE = ROOT / "examples" / "briefing"
DOCUMENTS = sorted((EXAMPLE / "documents").iterdir())
QUESTION = "What must we do, and what can go wrong?"
FILES = [word for path in DOCUMENTS for word in ("--file", str(path))]


def run(program: Call, *arguments: str) -> tuple[str, str]:
    done = program("run", EXAMPLE / "agents.yml", "briefing", QUESTION, *arguments)
    assert done.code == 0, done.err
    return done.out, done.err


def points(answer: str, part: str) -> list[str]:
    """Return the points of one part of a briefing."""
    _, _, rest = answer.partition(f"## {part}\n")
    return [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("- ")]


def test_the_demo_says_what_to_do_and_what_can_go_wrong_and_names_its_sources(program: Call) -> None:
    answer, told = run(program, *FILES)
    texts = {path.name: " ".join(path.read_text(encoding="utf-8").split()) for path in DOCUMENTS}

    for part in ("obligations", "risks"):
        found = points(answer, part)
        assert {line.rpartition("[")[2].rstrip("]") for line in found} == set(texts)
        for line in found:
            sentence, _, name = line.removeprefix("- ").rstrip("]").rpartition(" [")
            assert sentence.rstrip(".") in texts[name].replace("* ", ""), "a briefing quotes; it makes nothing up"
    assert any("must" in line for line in points(answer, "obligations"))
    assert any(re.search("liab|terminate", line) for line in points(answer, "risks"))
    assert [line.split()[:2] for line in told.splitlines()[-5:]] == [
        ["analyzer", "1"],
        ["obligations", "1"],
        ["risks", "1"],
        ["editor", "1"],
        ["total", "4"],
    ]


@pytest.mark.parametrize("victim", ["analyzer", "obligations", "risks", "editor", "findings", "briefing"])
def test_a_broken_member_comes_back_and_the_answer_is_the_same(cli: Call, victim: str) -> None:
    arguments = ["run", EXAMPLE / "agents.yml", "briefing", QUESTION, "--file", DOCUMENTS[0]]
    whole = cli(*arguments)
    broken = cli(*arguments, "--chaos", victim)

    assert (broken.code, broken.out) == (0, whole.out)
    assert f"{victim}: started\n" in broken.err.partition(f"{victim}: crashed")[0]
    assert f"{victim}: restarted after" in broken.err


def test_any_file_can_be_briefed(program: Call, tmp_path: Path) -> None:
    note = tmp_path / "minutes.md"
    note.write_text("We must deliver by Friday. If we are late, we are liable for damages.", encoding="utf-8")
    answer, _ = run(program, "--file", str(note))

    assert points(answer, "obligations") == ["- We must deliver by Friday. [minutes.md]"]
    assert points(answer, "risks") == ["- If we are late, we are liable for damages. [minutes.md]"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_documents_are_verbatim(path: Path) -> None:
    rows = (EXAMPLE / "README.md").read_text(encoding="utf-8")

    assert f"| `{path.name}` |" in rows
    assert hashlib.sha256(path.read_bytes()).hexdigest() in rows


def test_the_demo_of_the_makefile_runs_this_example() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert f"QUESTION ?= {QUESTION}" in makefile
    assert "understage run examples/briefing/agents.yml briefing" in makefile
