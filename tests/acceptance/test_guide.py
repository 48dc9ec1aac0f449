"""The guides run: every example of a page, one after the other, as in a notebook."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from actors import AgentPool

DOCS = Path(__file__).parent.parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def write_files(folder: Path) -> None:
    """Write the files that the guide shows; the first line of each is its name."""
    for text in blocks("run-interface.md", "yaml"):
        (folder / text.partition("\n")[0].removeprefix("# ")).write_text(text, encoding="utf-8")


async def run_page(page: str, **given: Any) -> dict[str, Any]:
    names: dict[str, Any] = {"asyncio": asyncio, **given}
    for example in blocks(page, "python"):
        code = compile(example, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        work: object = eval(code, names)  # our own page
        if inspect.isawaitable(work):
            await work
    return names


@pytest.mark.seed("S1", "S9", "S20", "S29", "S39", "S65", "S73", "S74", "S78", "S86", "S89")
async def test_every_example_of_the_guide_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = await run_page("run-interface.md")
    printed = capsys.readouterr().out

    assert len(names["both"].content) == 2
    assert [message.name for message in names["steps"]] == ["analyst", "planner"]
    assert "analyst to planner" in printed
    assert "2 messages" in printed
    assert "stream_complete" in printed
    assert names["stats"].done
    assert names["answers"].success
    assert names["choice"].selection == "planner"
    assert names["reviewer"].total_stats.message_count == 1
    assert (names["first"].name, names["second"].name) == ("analyzer", "planner")


@pytest.mark.seed("S71", "S76")
async def test_every_example_of_the_page_about_connections_runs() -> None:
    async with AgentPool[None]() as pool:
        nodes = {name: await pool.add_agent(name, model="test") for name in ("a", "b", "c", "d", "planner")}
        names = await run_page("connections.md", **nodes)

        assert len(names["answers"]) == 1
        assert not names["talk"].active
        assert len(nodes["a"].connections) == 0


async def test_the_cells_of_a_notebook_run_agents_and_a_pool_and_show_the_dashboard(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agents.yml").write_text("agents: {writer: {model: offline}}", encoding="utf-8")
    names: dict[str, Any] = {}
    _, _, section = (DOCS / "embedding.md").read_text(encoding="utf-8").partition("## In a notebook")
    for cell in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        code = compile(cell.replace("8420", "0"), "embedding.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await eval(code, names)  # our own page
    first = names["planner"].total_stats.message_count
    await names["cells"].aclose()
    pool = names["pool"]
    ran = pool.is_running
    for _ in range(2):
        await pool.close()

    assert (ran, pool.is_running, first) == (True, False, 2)
    *answers, address = capsys.readouterr().out.splitlines()
    assert len(answers) == 3
    assert all(answers)
    assert "/?token=" in address
