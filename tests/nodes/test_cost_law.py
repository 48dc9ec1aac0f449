"""What a node has cost is what its leaves have cost: answered, failed, limited and cancelled ones."""

import asyncio
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage, UsageLimits

from actors import Agent, Team, TeamRun
from actors.nodes.node import AnyNode
from actors.stats.event_totals import EventTotals
from protocols.errors import MemberError
from protocols.events import MessageSent, RunCancelled, RunFailed
from protocols.messages import ChatMessage
from tests.support.nodes import current_system, record_events

EACH = 5
"""Tokens of one request."""


class Provider:
    """Counts the requests that the models of a test have got."""

    def __init__(self) -> None:
        self.requests = 0
        self.asked = asyncio.Event()

    def leaf(self, name: str, kind: str) -> Agent[Any, Any]:
        """Return an agent that answers, or fails or is stopped after requests that are paid for."""

        def boom() -> str:
            raise ValueError(name)

        async def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self.requests += 1
            calls = sum(isinstance(one, ModelResponse) for one in messages)
            part = TextPart("done")
            if kind == "hangs" and calls:
                self.requests -= 1
                self.asked.set()
                await asyncio.Event().wait()
            elif kind != "answers":
                return ModelResponse([ToolCallPart("boom" if kind == "fails" else "fine", {})], usage=_usage())
            return ModelResponse([part], usage=_usage())

        def fine() -> str:
            return "fine"

        limits = UsageLimits(request_limit=2) if kind == "limited" else None
        return Agent(name, model=FunctionModel(respond), session=False, usage_limits=limits, tools=[boom, fine])


def _usage() -> RequestUsage:
    return RequestUsage(input_tokens=3, output_tokens=EACH - 3)


kinds = st.sampled_from(["answers", "answers", "fails", "limited"])
trees = st.recursive(
    kinds, lambda inner: st.tuples(st.booleans(), st.lists(inner, min_size=1, max_size=3)), max_leaves=6
)


def built(tree: Any, provider: Provider, path: str = "n") -> AnyNode:
    if isinstance(tree, str):
        return provider.leaf(path, tree)
    is_chain, parts = tree
    nodes = [built(part, provider, f"{path}{place}") for place, part in enumerate(parts)]
    return TeamRun(nodes, name=path) if is_chain else Team(nodes, name=path)


@settings(max_examples=40)
@given(tree=trees)
def test_the_totals_of_a_node_are_the_sum_over_its_leaves(tree: Any) -> None:
    asyncio.run(_check(tree))


async def _check(tree: Any) -> None:
    provider, system = Provider(), current_system()
    events = record_events(system, MessageSent, RunFailed, RunCancelled)
    node = built(tree, provider)
    answer: ChatMessage[Any] | None = None
    with suppress(ValueError, UsageLimitExceeded, MemberError):
        answer = await node.run("go")
    await system.close()
    spent = EACH * provider.requests

    assert node.total_stats.token_count == spent
    assert node.stats.token_count == spent
    assert answer is None or answer.usage.total_tokens == spent
    assert EventTotals(events).snapshot().token_count == spent


async def test_a_member_that_is_given_up_has_cost_what_it_asked() -> None:
    provider = Provider()
    slow, fast = provider.leaf("slow", "hangs"), Agent.from_callback(_after(provider.asked), name="fast")
    team = Team([slow, fast], policy="first")

    answer = await team.run("go")

    assert (answer.usage.total_tokens, team.stats.token_count, slow.total_stats.token_count) == (EACH, EACH, EACH)


async def test_one_agent_twice_fails_twice() -> None:
    provider = Provider()
    agent = provider.leaf("a", "fails")
    team = Team([agent, agent])

    response = await team.execute("go")

    assert list(response.errors) == ["a", "a (2)"]
    assert (team.stats.error_count, team.stats.token_count) == (2, 2 * EACH)


async def test_failures_inside_of_a_member_are_shown() -> None:
    provider = Provider()
    inner = Team([provider.leaf("web", "answers"), provider.leaf("critic", "fails")], name="inner")
    chain = TeamRun([provider.leaf("planner", "answers"), inner, provider.leaf("writer", "answers")])

    answer = await chain.run("go")

    assert answer.metadata["errors"] == {"critic": "critic"}
    assert [(name, text) for name, text, _ in chain.stats.errors] == [("critic", "critic")]
    assert answer.usage.total_tokens == chain.total_stats.token_count == 4 * EACH


async def test_a_picker_is_paid_by_its_team() -> None:
    provider = Provider()

    async def choose(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        (tool,) = info.output_tools
        return ModelResponse([ToolCallPart(tool.name, {"selections": ["a"], "reason": ""})], usage=_usage())

    picker = Agent("picker", model=FunctionModel(choose), session=False)
    team = Team([provider.leaf("a", "answers"), provider.leaf("b", "answers")], picker=picker)

    answer = await team.run("go")

    assert (provider.requests, answer.usage.total_tokens, team.total_stats.token_count) == (1, 2 * EACH, 2 * EACH)


def _after(event: asyncio.Event) -> Any:
    async def answer(text: str) -> str:
        await event.wait()
        return text

    return answer
