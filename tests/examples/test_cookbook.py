"""Each recipe of the cookbook prints what it says that it prints, and stands on the page."""

from __future__ import annotations

import ast
import re
import runpy
import textwrap
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = ROOT / "examples" / "cookbook"
RECIPES: Final = sorted(FOLDER.glob("*.py"))
PAGE: Final = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_prints_what_it_says(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ast.get_docstring(ast.parse(recipe.read_text(encoding="utf-8"))) or ""

    runpy.run_path(str(recipe), run_name="__main__")

    assert capsys.readouterr().out.rstrip() == textwrap.dedent(told.partition("Prints:\n")[2])


def test_a_recipe_is_short() -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in RECIPES}

    assert {name: count for name, count in lines.items() if not 20 <= count <= 60} == {}


def test_the_page_shows_each_recipe_once() -> None:
    shown = re.findall(r'^--8<-- "examples/cookbook/(.+)"$', PAGE, re.MULTILINE)

    assert sorted(shown) == sorted(path.name for path in FOLDER.glob("*.*"))
