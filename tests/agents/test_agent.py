import asyncio
from dataclasses import dataclass

import pytest
from pydantic import BaseModel
from pydantic_ai import RunContext, ToolOutput
from pydantic_ai.exceptions import UsageLimitExceeded
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import UsageLimits

from actors.agents.agent import Agent
from actors.runtime.system import ActorSystem
from actors.testing.models import ModelCall, RecordingModel, echo_model, scripted_model, slow_model
from actors.testing.settle import settle
from protocols.errors import ConfigError, NodeStartError, RunTimeoutError, UnknownModelError
from protocols.events import Event, ToolCalled
from tests.runs.tool_answer import call


class City(BaseModel):
    name: str
    people: int = 0


@dataclass
class Login:
    user: str


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

    monkeypatch.setenv("UNDERSTAGE_MODEL", "test")

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


@pytest.mark.seed("S87")
async def test_functions_among_the_knowledge_are_called_when_the_agent_is_opened() -> None:
    async def weather() -> str:
        return "It rains."

    def notes() -> str:
        return "Take a coat."

    model = echo_model()
    agent = Agent("a", model=model, knowledge=[weather, notes])
    with pytest.raises(ConfigError, match="knowledge 'weather' has not been loaded; open the agent"):
        await agent.run("q")
    async with agent:
        answer = await agent.run("q")

    assert "It rains." in answer.content
    assert "Take a coat." in answer.content
    assert len(agent.history) == 2


async def test_knowledge_that_cannot_be_made_keeps_the_agent_closed() -> None:
    def broken() -> str:
        raise OSError("no network")

    with pytest.raises(NodeStartError, match="knowledge 'broken' cannot be loaded: OSError: no network") as raised:
        await Agent("a", model="test", knowledge=[broken]).open()
    assert raised.value.__cause__ is not None


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
