"""Calls of tools that somebody has to confirm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.tools import Tool

from actors.agents.agent import Agent
from actors.agents.tool_approval import ApprovalMode, ConsoleQuestion, approval
from actors.testing.models import scripted_model
from tests.runs.tool_answer import call

if TYPE_CHECKING:
    from collections.abc import Mapping

Ask = Any


def deleter(deleted: list[str], *, asks: bool) -> Tool[Any]:
    def delete(name: str) -> str:
        """Delete a file."""
        deleted.append(name)
        return f"{name} is gone"

    return Tool(delete, requires_approval=asks)


async def results(ask: Ask, mode: ApprovalMode = "per_tool", *, asks: bool = True) -> tuple[list[str], list[object]]:
    """Let a model call a tool; return what it has deleted, and what it was told."""
    deleted: list[str] = []
    model = scripted_model([call("delete", name="x"), "done"])
    agent = Agent(
        "a",
        model=model,
        tools=[deleter(deleted, asks=asks)],
        capabilities=approval("a", ask, mode),
    )
    answer = await agent.run("go")

    assert answer.content == "done"
    told = [part for message in model.requests[1].messages for part in message.parts]
    return deleted, [part.content for part in told if isinstance(part, ToolReturnPart)]


async def test_a_call_that_is_confirmed_is_made_with_its_arguments() -> None:
    asked: list[tuple[str, Mapping[str, Any]]] = []

    def ask(tool: str, arguments: Mapping[str, Any]) -> bool:
        asked.append((tool, arguments))
        return True

    assert await results(ask) == (["x"], ["x is gone"])
    assert asked == [("delete", {"name": "x"})]


async def test_a_call_that_is_not_confirmed_is_not_made_and_the_model_hears_of_it() -> None:
    async def ask(_tool: str, _arguments: object) -> bool:
        return False

    assert await results(ask) == ([], ["The call of delete was not allowed."])


async def test_what_the_question_raises_fails_the_run() -> None:
    def ask(_tool: str, _arguments: object) -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await results(ask)


@pytest.mark.parametrize(
    ("mode", "asks", "questions"), [("always", False, 1), ("never", True, 0), ("per_tool", False, 0)]
)
async def test_all_tools_or_none_may_have_to_be_confirmed(mode: ApprovalMode, *, asks: bool, questions: int) -> None:
    asked: list[str] = []

    def ask(tool: str, _arguments: object) -> bool:
        asked.append(tool)
        return True

    assert (await results(ask, mode, asks=asks))[0] == ["x"]
    assert len(asked) == questions


@pytest.mark.parametrize(
    ("line", "expected"), [("y", True), (" YES ", True), ("", False), ("n", False), ("yellow", False), (None, False)]
)
async def test_only_a_yes_on_the_console_is_one(line: str | None, *, expected: bool) -> None:
    shown: list[str] = []

    def read(question: str) -> str:
        shown.append(question)
        if line is None:
            raise EOFError
        return line

    assert await ConsoleQuestion("a", read)("delete", {"name": "x\x1b[2J\n"}) is expected
    assert shown == ["a wants to call delete(name='x\\x1b[2J\\n'). Allow? [y/N] "]


async def test_two_agents_ask_one_after_the_other() -> None:
    open_questions, most = 0, 0

    def read(_question: str) -> str:
        nonlocal open_questions, most
        open_questions += 1
        most = max(most, open_questions)
        open_questions -= 1
        return "y"

    await asyncio.gather(*(ConsoleQuestion(name, read)("t", {}) for name in "abc"))

    assert most == 1
