"""The guide runs: every example of docs/run-interface.md, one after the other, as in a notebook."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "run-interface.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


async def run_page() -> dict[str, Any]:
    names: dict[str, Any] = {"asyncio": asyncio}
    for example in examples():
        code = compile(example, PAGE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        work: object = eval(code, names)  # our own page
        if inspect.isawaitable(work):
            await work
    return names


@pytest.mark.seed("S1", "S9", "S20", "S39", "S65")
async def test_every_example_of_the_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names = await run_page()
    printed = capsys.readouterr().out

    assert len(names["both"].content) == 2
    assert [message.name for message in names["steps"]] == ["analyst", "planner"]
    assert "analyst to planner" in printed
    assert "2 messages" in printed
    assert "stream_complete" in printed
    assert names["stats"].done
