"""Teams and chains as users write them, with the types that the checkers must infer."""

from collections.abc import Mapping
from typing import Any, assert_type

from pydantic import BaseModel

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runs.job import Job
from actors.runs.run_stats import RunStats
from actors.runs.selection import Selection
from actors.runs.stream import RunStream
from protocols.messages import ChatMessage
from protocols.response import TeamResponse


class City(BaseModel):
    name: str


class Login:
    user: str = ""


def count(text: str) -> int:
    return len(text)


async def shout(text: str) -> str:
    return text.upper()


plain = Agent("plain")
city = Agent("city", output_type=City)
typed: Agent[object, int] = Agent("typed", output_type=int)


async def chains_answer_what_their_last_member_does() -> None:
    assert_type(plain | city, TeamRun[object, City])
    assert_type(plain | city | count, TeamRun[object, int])
    assert_type(city | shout, TeamRun[object, str])
    assert_type(count | city, TeamRun[object, City])
    assert_type((await (plain | city).run("x")).content, City)
    assert_type(TeamRun([plain, plain]), TeamRun[object, str])
    assert_type(TeamRun([plain, city], validator=typed), TeamRun[object, int])
    assert_type(TeamRun([plain, city]), TeamRun[Any, Any])


async def teams_answer_a_list() -> None:
    assert_type(plain & city, Team[object, str | City])
    assert_type(plain & count, Team[object, str | int])
    assert_type(plain & city & typed, Team[object, str | City | int])
    assert_type((await (plain & city).run("x")).content, list[str | City])
    assert_type(Team([plain, plain]), Team[object, str])
    assert_type((plain & city) | typed, TeamRun[object, int])
    assert_type((plain | city) & typed, Team[object, City | int])


async def jobs_answer_what_they_require() -> None:
    job = Job(name="j", prompt="p", required_return_type=City)
    assert_type(job, Job[City])
    assert_type(Job(name="j", prompt="p"), Job[str])
    assert_type(await plain.run_job(job), ChatMessage[City])
    assert_type(await (plain | city).run_job(job), ChatMessage[City])
    assert_type(await Team([plain]).run_job(job), TeamResponse[City])
    assert_type(await (plain & city).run_job(Job(name="j", prompt="p")), TeamResponse[str])
    assert_type(await TeamRun([plain], validator=typed).run_job(job), ChatMessage[City])


async def dependencies_are_those_of_the_first() -> None:
    logged = Agent("logged", deps_type=Login)

    assert_type(logged | plain, TeamRun[Login, str])
    assert_type(logged & city, Team[Login, str | City])
    assert_type(logged | str.upper | len, TeamRun[Login, int])
    assert_type(TeamRun([logged, logged], validator=city), TeamRun[Login, City])


async def choosing_gives_what_there_was_to_choose_from() -> None:
    assert_type(await plain.pick(["x", "y"], "q"), Selection[str])
    assert_type((await city.pick([1, 2], "q")).selection, int)
    assert_type((await (plain | city).pick_multiple([plain], "q")).selections, tuple[Agent[object, str], ...])


async def every_way_of_running_knows_the_answer() -> None:
    chain = plain | city

    async with chain.run_stream("x") as stream:
        assert_type(stream, RunStream[City])
    assert_type(stream.result.content, City)
    assert_type(chain.run_sync("x"), ChatMessage[City])
    assert_type(await chain.run_in_background("x"), RunStats)
    assert_type(await chain.wait(), ChatMessage[City] | None)
    assert_type(chain.context.pool, Mapping[str, Any] | None)


async def what_does_not_fit_is_found() -> None:
    plain & 5  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
    plain | "x"  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]
    Team([plain], polcy="all")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await plain.run_job("digest")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
