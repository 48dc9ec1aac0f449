"""Pictures of manifests in files; a script stands in for Graphviz, which need not be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Call


@pytest.fixture
def graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `dot` that says how it was called and what it was given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "dot"
    program.write_text('#!/bin/sh\necho "$@"\n/bin/cat\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return program


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_graphviz_draws_the_picture(cli: Call, manifest: Path, tmp_path: Path, graphviz: Path, kind: str) -> None:
    picture = tmp_path / f"graph.{kind.upper()}"
    done = cli("graph", manifest, "-o", picture)

    assert (done.code, done.out) == (ExitCode.OK, "")
    assert picture.read_text().startswith(f"-T{kind}\ndigraph {{\n")


@pytest.mark.parametrize(
    ("name", "start"), [("g.mmd", "flowchart LR\n"), ("g.md", "```mermaid\nflowchart LR\n"), ("g.dot", "digraph {\n")]
)
def test_text_needs_no_graphviz(cli: Call, manifest: Path, tmp_path: Path, name: str, start: str) -> None:
    assert cli("graph", manifest, "--output", tmp_path / name).code == ExitCode.OK

    assert (tmp_path / name).read_text().startswith(start)


def test_without_graphviz_the_message_says_what_to_do(
    cli: Call, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = cli("graph", manifest, "-o", tmp_path / "g.svg")

    assert done.code == ExitCode.USAGE
    assert "write .mmd or .dot instead" in done.err
    assert not (tmp_path / "g.svg").exists()


@pytest.mark.parametrize(
    ("script", "text"),
    [("echo oh no >&2; exit 1", "Graphviz failed: oh no"), ("exit 3", "exit code 3"), ("exit 0", "exit code 0")],
)
def test_a_failure_of_graphviz_is_told(
    cli: Call, manifest: Path, tmp_path: Path, graphviz: Path, script: str, text: str
) -> None:
    graphviz.write_text(f"#!/bin/sh\n{script}\n")
    done = cli("graph", manifest, "-o", tmp_path / "g.svg")

    assert (done.code, text in done.err) == (ExitCode.FAILED, True)
    assert not (tmp_path / "g.svg").exists()


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [("g.gif", ExitCode.USAGE, "unknown kind of picture '.gif'"), ("no/g.dot", ExitCode.FAILED, "cannot be written")],
)
def test_a_file_that_cannot_be_is_refused(
    cli: Call, manifest: Path, tmp_path: Path, name: str, code: ExitCode, text: str
) -> None:
    done = cli("graph", manifest, "-o", tmp_path / name)

    assert (done.code, text in done.err) == (code, True)
