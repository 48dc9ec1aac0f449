"""The programs in the documentation run: every Python block behind the comment `<!-- runnable -->`."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Final

import pytest

DOCS: Final = Path(__file__).parent.parent.parent / "docs"
_SNIPPET: Final = re.compile(r"^<!-- runnable -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK: Final = "<!-- runnable -->"


def snippets(page: str) -> list[tuple[int, str]]:
    """Return the runnable programs of a page, each with the line on which its text begins."""
    return [(page.count("\n", 0, found.start(1)) + 1, found[1]) for found in _SNIPPET.finditer(page)]


def pages() -> list[Path]:
    """Return all pages."""
    return sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize(
    ("line", "program"),
    [
        pytest.param(line, program, id=f"{page.relative_to(DOCS)}:{line}")
        for page in pages()
        for line, program in snippets(page.read_text(encoding="utf-8"))
    ],
)
def test_the_program_runs(line: int, program: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("\n" * (line - 1) + program, encoding="utf-8")  # so that a traceback names the line of the page

    runpy.run_path(str(file), run_name="__main__")


def test_every_mark_stands_before_a_program() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        assert text.count(_MARK) == len(snippets(text)), page


def test_a_program_is_found_with_its_line() -> None:
    page = "# Title\n\n<!-- runnable -->\n```python\nassert True\n```\n\n```python\nnot run\n```\n"
    assert snippets(page) == [(5, "assert True\n")]
