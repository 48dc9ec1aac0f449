"""The notebook of the examples: its cells run one after the other on one running loop, as in Jupyter."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
from typing import TYPE_CHECKING, Any

from actors.testing.leak import living_actors
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    import pytest

NOTEBOOK = ROOT / "examples" / "notebook" / "agents.ipynb"


def cells() -> list[dict[str, Any]]:
    loaded: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in loaded["cells"] if cell["cell_type"] == "code"]


async def execute(source: str, names: dict[str, object]) -> object:
    """Execute one cell and return the value of its last expression, as Jupyter would show it."""
    tree = ast.parse(source)
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        target = ast.Name("_", ast.Store())
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
        ast.fix_missing_locations(tree)
    names["_"] = None
    made = eval(compile(tree, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(made):
        await made
    return names["_"]


async def test_the_cells_run_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    shown = [await asyncio.create_task(execute("".join(cell["source"]), names)) for cell in cells()]
    printed = capsys.readouterr().out

    assert "Every copy must carry the notice." in printed
    assert "Whoever forgets that is liable." in printed
    (table,) = [show(value) for value in shown if (show := getattr(type(value), "_repr_html_", None)) is not None]
    assert table.startswith("<table>")
    assert "duties" in table
    assert living_actors() == []


def test_the_notebook_is_stored_without_outputs() -> None:
    assert [cell["outputs"] for cell in cells() if cell["outputs"] or cell["execution_count"]] == []
