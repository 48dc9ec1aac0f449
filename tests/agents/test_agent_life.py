import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Self

import pytest
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import UsageLimits

from actors.agents.agent import Agent
from actors.agents.settings import AgentKeywords, AgentSettings
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.models import Answer, echo_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import ConfigError, NodeStartError, NodeStoppedError, RunTimeoutError
from tests.runs.tool_answer import call


async def test_an_agent_asks_its_worker_as_a_tool() -> None:
    worker = Agent("searcher", model=echo_model("found {prompt}"), description="Searches.")
    model = scripted_model([call("ask_searcher", prompt="cats"), "done"])
    boss = Agent("boss", model=model)
    boss.register_worker(worker)

    answer = await boss.run("x")

    assert (answer.content, answer.tool_calls[0].result) == ("done", "found cats")
    tool = model.requests[0].info.function_tools[0]
    assert (tool.name, "Searches." in (tool.description or "")) == ("ask_searcher", True)


async def test_the_cost_of_a_worker_is_not_counted_for_its_boss_but_limits_hold_for_both() -> None:
    worker = Agent("worker", model="test")
    script: list[Answer] = [call("ask_worker", prompt="x"), "done"]
    boss = Agent("boss", model=scripted_model(script), tools=[worker.to_tool()])
    alone = await Agent("alone", model=scripted_model(["done", "done"])).run("x")
    costs: list[int] = []
    worker.message_sent.connect(lambda message: costs.append(message.usage.total_tokens))

    answer = await boss.run("x")

    assert costs == [55]
    assert answer.usage.output_tokens < alone.usage.output_tokens + 20
    with pytest.raises(UsageLimitExceeded):
        await boss.run("x", model=scripted_model(script), usage_limits=UsageLimits(request_limit=1))


async def test_the_time_of_the_boss_ends_its_worker(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    slow = slow_model(asyncio.Event())
    boss = Agent("boss", model=scripted_model([call("ask_worker", prompt="x")]))
    boss.register_worker(Agent("worker", model=slow))
    actor_system.start(boss.factory())
    run = asyncio.create_task(boss.run("x", timeout=5))
    await slow.started.wait()

    await manual_clock.advance(5)

    with pytest.raises(RunTimeoutError):
        await run
    await settle(actor_system)
    assert (slow.cancelled, slow.waiting) == (1, 0)


# -- opening --------------------------------------------------------------------------------------------------------


class Server(FunctionToolset[Any]):
    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        super().__init__(id=name)
        self.log = log
        self.error = error

    async def __aenter__(self) -> Self:
        if self.error is not None:
            raise self.error
        self.log.append(f"+{self.id}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.log.append(f"-{self.id}")


@pytest.mark.parametrize("parallel", [True, False])
async def test_opening_enters_what_the_agent_needs_and_closing_leaves_it(parallel: bool) -> None:
    log: list[str] = []
    agent = Agent("a", toolsets=[Server("one", log)], mcp_servers=[Server("two", log)], parallel_init=parallel)

    async with agent:
        assert log == ["+one", "+two"]

    assert log[2:] == ["-two", "-one"]


@pytest.mark.parametrize("parallel", [True, False])
async def test_a_failing_start_closes_again_what_was_open_and_chains_the_cause(parallel: bool) -> None:
    log: list[str] = []
    broken = OSError("no server")
    agent = Agent("a", toolsets=[Server("one", log), Server("two", log, broken)], parallel_init=parallel)

    with pytest.raises(NodeStartError, match=r"'a'.*no server") as caught:
        await agent.open()

    assert caught.value.__cause__ is broken
    assert log == ["+one", "-one"]


async def test_resources_are_left_also_when_the_body_fails() -> None:
    log: list[str] = []

    async def use(agent: AbstractAsyncContextManager[Agent]) -> None:
        async with agent:
            raise KeyError("x")

    agent = Agent("a", toolsets=[Server("one", log)])
    with pytest.raises(KeyError):
        await use(agent)

    assert log == ["+one", "-one"]
    with pytest.raises(NodeStoppedError):
        await agent.run("x")


# -- bad settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"timeout": -1}, "timeout"),
        ({"tool_timeout": 0}, "tool_timeout"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"history_limit": 0}, "history_limit"),
        ({"retries": -1}, "retries"),
        ({"knowledge": "text"}, "knowledge"),
        ({"mcp_servers": ["server.py"]}, "server.py"),
    ],
)
def test_an_impossible_setting_is_refused_when_the_agent_is_made(settings: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Agent("a", **settings)


def test_every_setting_is_a_keyword() -> None:
    assert AgentKeywords.__annotations__.keys() == {*AgentSettings.__struct_fields__}


def test_an_unknown_setting_is_named_with_the_nearest_one() -> None:
    with pytest.raises(TypeError, match=r"'a'.*'retrys'.*'retries'"):
        Agent("a", retrys=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def test_a_session_that_cannot_be_meant_is_refused() -> None:
    with pytest.raises(TypeError, match="session"):
        Agent("a", session=1.5)  # type: ignore[arg-type]


def test_an_agent_has_a_name_for_people_and_a_description() -> None:
    agent = Agent("a", display_name="Ann", description="Knows a lot.")

    assert (agent.display_name, agent.description, Agent("b").display_name) == ("Ann", "Knows a lot.", "b")
    assert repr(agent) == "<Agent 'a'>"


@pytest.mark.parametrize("session", [None, False])
async def test_agents_that_ask_each_other_are_told_of_the_circle_and_the_run_goes_on(
    session: Literal[False] | None,
) -> None:
    seen: list[str] = []

    def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            seen.append(str(last.content))
            return ModelResponse([TextPart("done")])
        return ModelResponse([ToolCallPart(info.function_tools[0].name, {"prompt": "p"})])

    a, b = (Agent(name, model=FunctionModel(reply), session=session) for name in "ab")
    a.register_worker(b)
    b.register_worker(a)

    assert (await a.run("x", timeout=20.0)).content == "done"
    assert seen[0].startswith("Error: a -> b -> a")
    assert len(seen) == (2 if session is None else 8)
