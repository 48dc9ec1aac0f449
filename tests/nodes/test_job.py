from typing import TYPE_CHECKING, Any

import pytest

from actors.nodes.agent import Agent
from actors.nodes.job import Job
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.testing.models import echo_model, scripted_model
from protocols.errors import JobError
from tests.nodes.crew import failing, rec

if TYPE_CHECKING:
    from protocols.response import TeamResponse


@pytest.mark.seed("S29")
async def test_run_job_runs_the_prompt_of_the_job() -> None:
    job = Job(name="digest", prompt="Sum up.", knowledge=["The notes."])

    assert (await rec("a").run_job(job)).content == "a(The notes.\n\nSum up.)"


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

    assert (await rec("a").run_job(Job(name="j", prompt=prompt))).content == "a(made)"


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
        await failing("a", KeyError("k")).run_job(Job(name="j", prompt="p"))

    assert isinstance(raised.value.__cause__, KeyError)


async def test_a_job_whose_dependency_does_not_fit_runs_nothing() -> None:
    calls: list[str] = []
    agent = Agent.from_callback(calls.append, name="a")
    job = Job(name="j", prompt="p", required_dependency=dict)

    with pytest.raises(JobError, match="needs dependencies of type dict, but agent 'a' has None"):
        await agent.run_job(job)
    with pytest.raises(JobError, match="does not fit"):
        await Team([TeamRun([agent]), rec("b")]).run_job(job)
    assert calls == []
    assert not await job.can_be_executed_by(agent)
    await agent.run_job(job, deps={})
    assert calls == ["p"]


async def test_an_answer_of_another_type_than_required_is_an_error() -> None:
    job: Job[int] = Job(name="j", prompt="p", required_return_type=int)

    with pytest.raises(JobError, match="answered str, not int"):
        await rec("a").run_job(job)
    assert (await Agent.from_callback(len, name="n").run_job(job)).content == 1
    agent = Agent("m", model=scripted_model(['{"response": 3}']))
    assert (await agent.run_job(job)).content == 3


async def test_a_chain_does_a_job_and_gives_a_message() -> None:
    assert (await (rec("a") | rec("b")).run_job(Job(name="j", prompt="p"))).content == "b(a(p))"


async def test_a_team_does_a_job_and_gives_one_answer_per_member() -> None:
    response: TeamResponse[Any] = await Team([rec("a"), failing("b"), rec("c") | rec("d")]).run_job(
        Job(name="j", prompt="p")
    )

    assert {one.agent_name: one.response for one in response} == {"a": "a(p)", "c & d": "d(c(p))"}
    assert response.failed_agents == ["b"]
