import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Self

import pytest
from pydantic import BaseModel
from pydantic_ai import RunContext, ToolOutput
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import UsageLimits

from actors.nodes.agent import Agent
from actors.runtime.errors import AskCycleError
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.models import Answer, ModelCall, RecordingModel, echo_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import ConfigError, NodeStartError, NodeStoppedError, RunTimeoutError, UnknownModelError
from protocols.events import Event, ToolCalled


class City(BaseModel):
    name: str
    people: int = 0


@dataclass
class Login:
    user: str


def call(tool: str, **args: object) -> ModelResponse:
    return ModelResponse([ToolCallPart(tool, args)])


# -- model ----------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S26")
async def test_a_model_for_one_run_leaves_the_agents_own_unchanged() -> None:
    agent = Agent("a", model=echo_model("own"))

    answers = [await agent.run("x", model=echo_model("other")), await agent.run("x")]

    assert [answer.content for answer in answers] == ["other", "own"]


async def test_set_model_holds_from_the_next_run_on() -> None:
    agent = Agent("a", model=echo_model("old"))
    agent.set_model(echo_model("new"))

    assert (await agent.run("x")).content == "new"


async def test_the_default_model_is_offline_or_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent("a")
    assert (agent.model, (await agent.run("Cats sleep a lot.")).model_name) == ("offline", "offline")

    monkeypatch.setenv("UNDERSTUDY_MODEL", "test")

    assert (agent.model, (await agent.run("x")).model_name) == ("test", "test")


async def test_an_unknown_model_is_named_by_the_run_and_the_agent_stays_usable() -> None:
    agent = Agent("a", model="nonsense:x")

    with pytest.raises(UnknownModelError, match=r"node 'a'.*nonsense"):
        await agent.run("x")

    assert (await agent.run("x", model="test")).model_name == "test"


def test_an_agent_that_answers_by_a_function_has_no_model_to_set() -> None:
    agent = Agent.from_callback(str.upper)

    assert agent.model is None
    assert agent.history == ()
    with pytest.raises(ConfigError, match="function"):
        agent.set_model("test")
    with pytest.raises(ConfigError, match="function"):
        agent.register_worker(Agent("b"))


# -- answers --------------------------------------------------------------------------------------------------------


async def test_an_answer_says_what_it_cost() -> None:
    answer = await Agent("a", model="test").run("hello")

    assert answer.cost_info is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (51, 4)
    assert (float(answer.cost_info.total_cost), answer.cost_info.cost_known) == (0.0, True)
    assert answer.response_time is not None
    assert answer.provider_name == "test"


class PaidModel(RecordingModel):
    """A model that says it is one of OpenAI."""

    def __init__(self, name: str) -> None:
        async def respond(_: ModelCall) -> str:
            return "x"

        super().__init__(respond, name=name)

    @property
    def system(self) -> str:
        return "openai"

    @property
    def model_id(self) -> str:
        return f"openai:{self.model_name}"


async def test_the_price_comes_from_the_list_of_prices_and_is_unknown_for_a_strange_model() -> None:
    known = (await Agent("a", model=PaidModel("gpt-4o")).run("x")).cost_info
    unknown = (await Agent("a", model=PaidModel("no-such-model")).run("x")).cost_info

    assert known is not None
    assert unknown is not None
    assert (known.total_cost > 0, known.cost_known) == (True, True)
    assert (float(unknown.total_cost), unknown.cost_known) == (0.0, False)


async def test_structured_output_is_the_content() -> None:
    agent = Agent("a", model=scripted_model([City(name="Rome", people=3)]), output_type=City)

    assert (await agent.run("where?")).content == City(name="Rome", people=3)


async def test_the_output_type_of_one_run_leaves_the_agents_own_unchanged() -> None:
    agent = Agent("a", model=scripted_model([City(name="Rome"), "text"]))

    assert (await agent.run("x", output_type=City)).content == City(name="Rome")
    assert (await agent.run("x")).content == "text"


async def test_instructions_reach_the_model_and_a_run_may_add_some() -> None:
    model = echo_model()
    agent = Agent("a", model=model, system_prompt=["Be kind.", "Be brief."], instructions="Speak French.")

    await agent.run("x", instructions="Rhyme.")

    for text in ("Be kind.", "Be brief.", "Speak French.", "Rhyme."):
        assert text in model.requests[0].instructions


async def test_knowledge_is_given_once_while_the_model_remembers_it() -> None:
    model = echo_model()
    agent = Agent("a", model=model, knowledge=["The sky is green."])

    answers = [(await agent.run("colour?")).content for _ in range(2)]

    assert answers == ["The sky is green.\n\ncolour?", "colour?"]
    agent.reset()
    assert (await agent.run("colour?")).content == answers[0]


# -- history --------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S25")
async def test_store_history_says_whether_an_exchange_is_remembered() -> None:
    agent = Agent("a", model=echo_model())

    await agent.run("x", store_history=False)
    lengths = [len(agent.history)]
    await agent.run("x", store_history=True)
    lengths.append(len(agent.history))
    [_ async for _ in agent.run_iter("x", store_history=False)]
    lengths.append(len(agent.history))

    assert lengths == [0, 2, 2]


async def test_a_failed_or_cancelled_run_leaves_the_history_unchanged() -> None:
    model = scripted_model(["one", ValueError("two")])
    agent = Agent("a", model=model)
    await agent.run("1")
    before = agent.history

    with pytest.raises(ValueError, match="two"):
        await agent.run("2")
    with pytest.raises(RunTimeoutError):
        await agent.run("3", model=slow_model(asyncio.Event()), timeout=0.01)
    await settle()

    assert agent.history == before


async def test_a_run_may_bring_its_own_history() -> None:
    model = echo_model()
    agent = Agent("a", model=model)
    await agent.run("x")
    past = agent.history

    await agent.run("y", message_history=[*past, *past])
    await agent.run("z", message_history=[])

    assert [len(call.messages) for call in model.requests] == [1, 5, 1]


async def test_a_stateless_agent_remembers_nothing_and_runs_concurrently() -> None:
    release = asyncio.Event()
    model = slow_model(release)
    agent = Agent("a", model=model, session=False)
    runs = asyncio.gather(*(agent.run(str(number)) for number in range(3)))
    await settle()
    assert model.waiting == 3

    release.set()
    await runs

    assert agent.history == ()


async def test_runs_of_an_agent_that_remembers_go_on_one_after_the_other() -> None:
    release = asyncio.Event()
    model = slow_model(release)
    agent = Agent("a", model=model)
    runs = asyncio.gather(*(agent.run(str(number)) for number in range(3)))
    await settle()
    assert model.waiting == 1

    release.set()
    await runs

    assert [len(call.messages) for call in model.requests] == [1, 3, 5]


async def test_the_history_of_an_agent_is_bounded() -> None:
    model = echo_model()
    agent = Agent("a", model=model, history_limit=4)

    for number in range(5):
        await agent.run(str(number))

    assert len(agent.history) == 4
    assert len(model.requests[-1].messages) == 5


# -- tools ----------------------------------------------------------------------------------------------------------


async def test_calls_of_tools_are_in_the_message_and_told_as_events() -> None:
    def double(number: int) -> int:
        return number * 2

    async def fail(text: str) -> str:
        raise LookupError(text)

    events: list[Event] = []
    ActorSystem.of(asyncio.get_running_loop()).events.subscribe(events.append, [ToolCalled])
    agent = Agent("a", model=scripted_model([call("double", number=4), "done"]), tools=[double, fail])
    answer = await agent.run("x")

    (used,) = answer.get_tool_calls()
    assert (used.tool_name, used.args, used.result, used.agent_name) == ("double", {"number": 4}, 8, "a")
    assert used.message_id == answer.message_id
    assert used.timing is not None

    with pytest.raises(LookupError, match="boom"):
        await agent.run("x", model=scripted_model([call("fail", text="boom")]))
    first, second = [event for event in events if isinstance(event, ToolCalled)]
    assert (first.tool_name, first.error, second.tool_name, second.error) == ("double", None, "fail", "boom")


async def test_handing_over_the_output_is_no_call_of_a_tool() -> None:
    def len_of(text: str) -> int:
        return len(text)

    model = scripted_model([call("emit", name="Rome")])
    agent = Agent("a", model=model, output_type=ToolOutput(City, name="emit"), tools=[len_of])

    answer = await agent.run("x")

    assert (answer.content, answer.tool_calls) == (City(name="Rome"), ())


async def test_a_run_may_bring_tools_and_leave_out_the_agents_own() -> None:
    def own() -> str:
        return "own"

    def job() -> str:
        return "job"

    def seen(model: RecordingModel) -> list[set[str]]:
        return [{tool.name for tool in call.info.function_tools} for call in model.requests]

    model = echo_model()
    agent = Agent("a", model=model, tools=[own])

    await agent.run("x", tools=[job])
    await agent.run("x", toolsets=[FunctionToolset([job])], include_agent_tools=False)
    await agent.run("x")

    assert seen(model) == [{"own", "job"}, {"job"}, {"own"}]


async def test_tools_get_the_dependencies_of_the_agent_or_of_the_run() -> None:
    def who(ctx: RunContext[Login]) -> str:
        return ctx.deps.user

    agent = Agent(
        "a",
        model=scripted_model([call("who"), "1", call("who"), "2"]),
        deps_type=Login,
        deps=Login("ann"),
        tools=[who],
    )

    users = [(await agent.run("x", deps=deps)).tool_calls[0].result for deps in (None, Login("bob"))]

    assert users == ["ann", "bob"]


async def test_limits_of_usage_end_a_run_and_hold_for_the_agent_or_for_the_run() -> None:
    def again() -> str:
        return "again"

    def model() -> RecordingModel:
        return scripted_model([call("again")] * 3)

    agent = Agent("a", model=model(), tools=[again], usage_limits=UsageLimits(request_limit=2))
    with pytest.raises(UsageLimitExceeded, match="2"):
        await agent.run("x")
    with pytest.raises(UsageLimitExceeded, match="1"):
        await agent.run("x", model=model(), usage_limits=UsageLimits(request_limit=1))


# -- agents as tools ------------------------------------------------------------------------------------------------


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


async def test_an_agent_that_asks_itself_through_others_fails_at_once() -> None:
    boss = Agent("boss", model=scripted_model([call("ask_worker", prompt="x")]))
    worker = Agent("worker", model=scripted_model([call("ask_boss", prompt="y")]), tools=[boss.to_tool()])
    boss.register_worker(worker)

    with pytest.raises(AskCycleError, match="boss -> worker -> boss"):
        await boss.run("x")


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
