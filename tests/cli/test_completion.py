"""Shells are told which commands there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cli.conftest import Call


@pytest.mark.parametrize(
    ("typed", "words"),
    [("understage ch", ["chat"]), ("understage top --on", ["--once"]), ("understage xyz", [])],
)
def test_commands_and_options_are_completed(program: Call, typed: str, words: Sequence[str]) -> None:
    place = str(len(typed.split()) - 1)
    done = program(_UNDERSTAGE_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=place)

    assert (done.code, done.out.split()) == (0, words), done.err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("run FILE", []),
        ("run FILE w", ["writer", "waiter"]),
        ("chat FILE fin", ["fine"]),
        ("job FILE writer da", ["daily"]),
        ("run FILE zzz", []),
        ("run no-such-file.yml w", []),
        ("run BROKEN w", []),
    ],
)
def test_the_names_of_a_manifest_are_completed(program: Call, manifest: Path, typed: str, words: Sequence[str]) -> None:
    with manifest.open("a", encoding="utf-8") as end:
        end.write("jobs: {daily: {prompt: go}}\n")
    (manifest.parent / "broken.yml").write_text("agents: [", encoding="utf-8")
    line = "understage " + typed.replace("FILE", str(manifest)).replace("BROKEN", str(manifest.parent / "broken.yml"))
    place = str(len(line.split()) - 1)
    done = program(_UNDERSTAGE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place)

    assert (done.code, done.err) == (0, "")
    assert done.out.split() == list(words)
