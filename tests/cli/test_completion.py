"""Shells are told which commands there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.conftest import Call


@pytest.mark.parametrize(
    ("typed", "words"),
    [("understudy ch", ["chat"]), ("understudy top --on", ["--once"]), ("understudy xyz", [])],
)
def test_commands_and_options_are_completed(program: Call, typed: str, words: Sequence[str]) -> None:
    place = str(len(typed.split()) - 1)
    done = program(_UNDERSTUDY_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=place)

    assert (done.code, done.out.split()) == (0, words), done.err
