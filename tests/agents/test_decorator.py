"""Agents of pydantic_ai as ours, and its decorators on ours."""

from typing import Any

import pydantic_ai
import pytest
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models.test import TestModel

from actors import Agent, Budget, ModelPolicy, Team
from protocols.errors import ConfigError


async def test_an_agent_of_pydantic_ai_keeps_model_tools_output_and_deps() -> None:
    theirs = pydantic_ai.Agent(TestModel(), name="theirs", output_type=list[int], deps_type=str, instructions="Count.")
    seen: list[str] = []

    @theirs.tool
    def look(context: RunContext[str]) -> str:
        seen.append(context.deps)
        return "looked"

    budget, policy = Budget(requests=9), ModelPolicy(attempts=2)
    async with Agent.from_pydantic_ai(theirs, deps="the stage", budget=budget, policy=policy) as agent:
        answer = await agent.run("How many?")

    assert str(answer.content) == "[0]"
    assert (agent.name, seen) == ("theirs", ["the stage"])
    assert [call.tool_name for call in answer.tool_calls] == ["look"]


async def test_what_is_added_to_it_later_holds_as_well_also_in_a_team() -> None:
    theirs = pydantic_ai.Agent(TestModel())
    member = Agent.from_pydantic_ai(theirs, name="member")

    @theirs.tool_plain
    def add(one: int) -> int:
        return one + 1

    async with Team([member], name="team") as team:
        answers = await team.run("Add")

    assert "add" in str(answers.content)


async def test_decorators_add_tools_and_instructions() -> None:
    theirs = TestModel()
    agent = Agent("ours", model=theirs, deps_type=str, deps="blue")

    @agent.tool
    def colour(context: RunContext[str]) -> str:
        return context.deps

    @agent.tool_plain(name="size")
    def measure() -> int:
        return 7

    @agent.instructions
    async def mood(context: RunContext[str]) -> str:
        return f"Be {context.deps}."

    async with agent:
        answer = await agent.run("Describe")

    asked = answer.messages[0]
    assert isinstance(asked, ModelRequest)
    assert asked.instructions == "Be blue."
    assert sorted(call.tool_name for call in answer.tool_calls) == ["colour", "size"]
    assert [one.__name__ for one in (colour, measure, mood)] == ["colour", "measure", "mood"]


def test_an_agent_that_answers_by_a_function_takes_no_decorator() -> None:
    agent = Agent.from_callback(str.upper)
    for name in ("tool", "tool_plain", "instructions"):
        with pytest.raises(ConfigError, match=f"{name} needs a model"):
            getattr(agent, name)(str.upper)


def test_what_the_other_agent_was_made_with_is_not_given_twice() -> None:
    with pytest.raises(ConfigError, match="give instructions, retries to the pydantic_ai"):
        Agent.from_pydantic_ai(pydantic_ai.Agent(TestModel()), instructions="x", retries=2)
    with pytest.raises(ConfigError, match=r"takes a pydantic_ai\.Agent, not 'model'"):
        Agent.from_pydantic_ai("model")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("part", ["model", "output_type", "deps_type", "system_prompt", "tools"])
def test_the_parts_of_an_agent_with_a_model_are_refused_where_there_is_another_one_or_none(part: str) -> None:
    given: dict[str, Any] = {part: "test"}

    with pytest.raises(ConfigError, match=f"agent 'theirs': give {part} to the pydantic_ai.Agent"):
        Agent.from_pydantic_ai(pydantic_ai.Agent(TestModel()), name="theirs", **given)
    with pytest.raises(ConfigError, match=f"agent 'upper' answers by a function, so it takes no {part};"):
        Agent.from_callback(str.upper, **given)
