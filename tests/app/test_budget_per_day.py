"""With `storage` a budget per day goes on after a restart."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.usage import RequestUsage

from actors import AgentPool
from actors.testing.models import ModelCall, RecordingModel
from protocols.model_errors import BudgetExceededError

if TYPE_CHECKING:
    from pathlib import Path

    from actors.nodes.node import AnyNode

TEXT = """
storage: {type: sqlite, path: history.db}
agents: {a: {}, b: {}}
teams: {t: {mode: parallel, members: [a]}}
"""


async def hundred(_: ModelCall) -> ModelResponse:
    return ModelResponse([TextPart("yes")], usage=RequestUsage(input_tokens=90, output_tokens=10))


def changed(file: Path, *changes: tuple[str, str]) -> Path:
    text = TEXT
    for before, after in changes:
        text = text.replace(before, after)
    file.write_text(text, encoding="utf-8")
    return file


DAY = "{tokens: 250, per: day}"


@pytest.mark.parametrize(
    ("change", "runs", "name"),
    [
        (("a: {}", f"a: {{budget: {DAY}}}"), ("a", "a", "b", "a"), "node 'a'"),
        (("members: [a]", f"members: [a], budget: {DAY}"), ("t", "b", "t", "t"), "node 't'"),
        (("agents:", f"budget: {DAY}\nagents:"), ("t", "b", "a"), "the pool"),
        (("a: {}", f"a: {{sessions: {{budget: {DAY}}}}}"), ("a", "a", "b", "a"), "a session of node 'a'"),
    ],
)
async def test_what_was_spent_today_survives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], runs: tuple[str, ...], name: str
) -> None:
    file = changed(tmp_path / "agents.yml", change)
    model: Any = RecordingModel(hundred)

    async def run(*nodes: str) -> None:
        async with AgentPool[None](file, model=model) as pool:
            for node in nodes:
                found: AnyNode = pool[node]
                await found.run("Go", session="alice")

    await run(*runs[:2])
    await run(*runs[2:])
    before = len(model.requests)
    with pytest.raises(Exception, match=f"the budget of {name} is used up: 250 tokens, spent 300") as caught:
        await run(runs[-1])
    assert isinstance(caught.value, BudgetExceededError) or runs[-1] == "t"
    assert len(model.requests) == before

    tomorrow = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    await run(runs[-1])


async def test_a_budget_for_ever_begins_anew(tmp_path: Path) -> None:
    file = changed(tmp_path / "agents.yml", ("a: {}", "a: {budget: {tokens: 100}}"))
    for _ in range(2):
        async with AgentPool[None](file, model=RecordingModel(hundred)) as pool:
            await pool["a"].run("Go")
