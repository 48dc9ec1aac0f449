"""Tables as plain text."""

from hypothesis import given
from hypothesis import strategies as st

from actors.cli.output import table

CELL = st.text(alphabet=st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=12)


def test_text_stands_left_and_numbers_right() -> None:
    text = table(("agent", "tokens"), [("writer", "1,200"), ("ed", "80")])

    assert text.splitlines() == ["agent   tokens", "writer   1,200", "ed          80"]


def test_a_table_without_rows_is_its_head() -> None:
    assert table(("agent", "tokens"), []) == "agent  tokens"


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=6))
def test_every_cell_of_a_column_begins_at_the_same_place(rows: list[tuple[str, str, str]]) -> None:
    lines = table(("a", "b", "c"), rows).splitlines()
    start = lines[0].index("b")

    assert len(lines) == len(rows) + 1
    assert all(line[start:].startswith(row[1]) for line, row in zip(lines[1:], rows, strict=True))
