"""Lines become prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.cli.chat_reader import MOST_CHARACTERS, QUOTES, ChatReader
from actors.cli.exit_code import CommandError


def prompts(*lines: str) -> list[str]:
    left = iter(lines)
    reader = ChatReader(lambda _: next(left, None))
    found: list[str] = []
    while (prompt := reader.next()) is not None:
        found.append(prompt)
    return found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        (["one", "", "two"], ["one", "", "two"]),
        (["one\\", "two\\", "three", "four"], ["one\ntwo\nthree", "four"]),
        (["one\\"], ["one"]),
        ([QUOTES, "one", "", "  two", QUOTES, "three"], ["one\n\n  two", "three"]),
        ([f"{QUOTES}one", f"two{QUOTES}"], ["one\ntwo"]),
        ([f"{QUOTES}one line{QUOTES}"], ["one line"]),
        ([QUOTES, "a\\", "b", QUOTES], ["a\\\nb"]),
        ([QUOTES, "never ended"], ["never ended"]),
        ([QUOTES, QUOTES], [""]),
        (["say \"hi\" ''' to x"], ["say \"hi\" ''' to x"]),
    ],
)
def test_lines_go_on_and_blocks_end(lines: list[str], expected: list[str]) -> None:
    assert prompts(*lines) == expected


def test_whoever_reads_is_told_whether_the_prompt_goes_on() -> None:
    lines = iter(["a\\", "b", QUOTES, "c", QUOTES])
    told: list[bool] = []

    def read(goes_on: bool) -> str | None:
        told.append(goes_on)
        return next(lines, None)

    reader = ChatReader(read)
    assert [reader.next(), reader.next(), reader.next()] == ["a\nb", "c", None]
    assert told == [False, True, False, True, True, False]


@pytest.mark.parametrize("first", [QUOTES, "\\"])
def test_a_prompt_without_end_is_refused(first: str) -> None:
    endless = ["x" * 1000 + "\\"] * (MOST_CHARACTERS // 1000 + 2)

    with pytest.raises(CommandError, match="longer than 1,000,000 characters"):
        prompts(first, *endless)


@given(st.lists(st.text(st.characters(exclude_characters='\\"\n'), max_size=20), max_size=10))
def test_no_plain_line_is_lost_or_changed(lines: list[str]) -> None:
    assert prompts(*lines) == lines
