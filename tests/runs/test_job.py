from typing import TYPE_CHECKING, Any

import pytest
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.profiles import ModelProfile

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runs.job import Job
from actors.testing.models import echo_model, scripted_model
from protocols.errors import JobError
from tests.support.nodes import echo_agent, failing_agent

if TYPE_CHECKING:
    from protocols.response import TeamResponse


@pytest.mark.seed("S29")
async def test_run_job_runs_the_prompt_of_the_job() -> None:
    job = Job(name="digest", prompt="Sum up.", knowledge=["The notes."])

    assert (await echo_agent("a").run_job(job)).content == "a(The notes.\n\nSum up.)"


@pytest.mark.seed("S30")
async def test_a_job_is_kept_in_the_history_unless_told_otherwise() -> None:
    agent, job = Agent("a", model=echo_model()), Job(name="j", prompt="p")

    await agent.run_job(job, store_history=False)
    assert agent.history == ()
    await agent.run_job(job)
    assert len(agent.history) == 2


async def test_a_prompt_may_be_a_function() -> None:
    async def prompt() -> str:
        return "made"

    assert (await echo_agent("a").run_job(Job(name="j", prompt=prompt))).content == "a(made)"


@pytest.mark.seed("S31")
@pytest.mark.seed("S32")
@pytest.mark.seed("S33")
async def test_tools_of_a_job_are_there_for_that_run_only() -> None:
    def own() -> str:
        """Own."""
        return "own"

    def extra() -> str:
        """Extra."""
        return "extra"

    model = scripted_model(["1", "2", ValueError("3"), "4"])
    agent, job = Agent("a", model=model, tools=[own]), Job(name="j", prompt="p", tools=[extra])

    await agent.run_job(job)
    await agent.run_job(job, include_agent_tools=False)
    with pytest.raises(JobError, match="job 'j': node 'a' failed: 3"):
        await agent.run_job(job, include_agent_tools=False)
    await agent.run("p")

    tools = [{tool.name for tool in call.info.function_tools} for call in model.requests]
    assert tools == [{"own", "extra"}, {"extra"}, {"extra"}, {"own"}]


async def test_a_failing_job_keeps_the_cause() -> None:
    with pytest.raises(JobError) as raised:
        await failing_agent("a", KeyError("k")).run_job(Job(name="j", prompt="p"))

    assert isinstance(raised.value.__cause__, KeyError)


async def test_a_job_whose_dependency_does_not_fit_runs_nothing() -> None:
    calls: list[str] = []
    agent = Agent.from_callback(calls.append, name="a")
    job = Job(name="j", prompt="p", required_dependency=dict)

    with pytest.raises(JobError, match="needs dependencies of type dict, but agent 'a' has None"):
        await agent.run_job(job)
    with pytest.raises(JobError, match="does not fit"):
        await Team([TeamRun([agent]), echo_agent("b")]).run_job(job)
    assert calls == []
    assert not await job.can_be_executed_by(agent)
    await agent.run_job(job, deps={})
    assert calls == ["p"]


async def test_an_answer_of_another_type_than_required_is_an_error() -> None:
    job: Job[int] = Job(name="j", prompt="p", required_return_type=int)

    with pytest.raises(JobError, match="answered str, not int"):
        await echo_agent("a").run_job(job)
    assert (await Agent.from_callback(len, name="n").run_job(job)).content == 1
    agent = Agent("m", model=scripted_model(['{"response": 3}']))
    assert (await agent.run_job(job)).content == 3


async def test_a_chain_does_a_job_and_gives_a_message() -> None:
    assert (await (echo_agent("a") | echo_agent("b")).run_job(Job(name="j", prompt="p"))).content == "b(a(p))"


async def test_a_team_does_a_job_and_gives_one_answer_per_member() -> None:
    response: TeamResponse[Any] = await Team(
        [echo_agent("a"), failing_agent("b"), echo_agent("c") | echo_agent("d")]
    ).run_job(Job(name="j", prompt="p"))

    assert {one.agent_name: one.response for one in response} == {"a": "a(p)", "c & d": "d(c(p))"}
    assert response.failed_agents == ["b"]


class _Reader(FunctionModel):
    """A model that is known to read so many tokens at once."""

    def __init__(self, tokens: int | None, *, sees: bool) -> None:
        super().__init__(lambda _, __: ModelResponse(parts=[TextPart("read")]))
        self._tokens = tokens
        self._profile = ModelProfile(supports_image_input=sees)

    @property
    def context_window(self) -> int | None:
        return self._tokens


@pytest.mark.parametrize("kind", ["agent", "team", "chain", "validator", "nested"])
async def test_a_job_is_refused_for_an_agent_whose_model_is_known_to_be_too_weak(kind: str) -> None:
    small = Agent("small", model=_Reader(1_000, sees=False))
    node: Any = {
        "agent": small,
        "team": Team([echo_agent("a"), small]),
        "chain": TeamRun([echo_agent("a"), small]),
        "validator": TeamRun([echo_agent("a")], validator=small),
        "nested": TeamRun([echo_agent("a"), Team([echo_agent("b"), TeamRun([small])], name="inner")]),
    }[kind]

    with pytest.raises(JobError, match=r"needs a model that sees images, but 'function:.*' of agent 'small' does not"):
        await node.run_job(Job(name="j", prompt="p", requires_vision=True))
    with pytest.raises(JobError, match=r"needs 1001 tokens of context, .* of agent 'small' reads 1000"):
        await node.run_job(Job(name="j", prompt="p", min_context_tokens=1_001))
    assert small.history == ()
    await node.run_job(Job(name="j", prompt="p", min_context_tokens=1_000))
    assert len(small.history) == 2


async def test_the_model_for_one_run_decides_whether_a_job_fits() -> None:
    agent = Agent("a", model=_Reader(10, sees=False))
    job = Job(name="j", prompt="p", requires_vision=True, min_context_tokens=11)

    assert not await job.can_be_executed_by(agent)
    assert (await agent.run_job(job, model=_Reader(None, sees=True))).content == "read"


async def test_what_is_not_known_of_a_model_does_not_speak_against_it() -> None:
    job = Job(name="j", prompt="p", requires_vision=True, min_context_tokens=10**9)

    assert await job.can_be_executed_by(Agent("a", model="test"))
    assert await job.can_be_executed_by(echo_agent("b"))
    assert await job.can_be_executed_by(Agent("c", model="openai:gpt-9"))
    assert not await job.can_be_executed_by(Agent("d", model="offline"))


async def test_a_function_that_answers_another_type_cannot_do_a_job() -> None:
    def number(text: str) -> bool:
        return bool(text)

    job: Job[int] = Job(name="j", prompt="p", required_return_type=int)

    assert await job.can_be_executed_by(Agent.from_callback(number))
    assert not await job.can_be_executed_by(echo_agent("text"))
    assert await job.can_be_executed_by(Agent("m", model="test"))


async def test_members_of_a_team_that_answer_another_type_are_errors_beside_the_others() -> None:
    number = Agent.from_callback(len, name="number")
    team = Team([number, echo_agent("text"), Team([Agent.from_callback(len, name="inner")], name="nested")])
    job: Job[int] = Job(name="j", prompt="p", required_return_type=int)

    response = await team.run_job(job)

    assert {one.agent_name: one.response for one in response} == {"number": 1, "nested": [1]}
    assert isinstance(response.errors["text"], JobError)
    assert "answered str, not int" in str(response.errors["text"])
