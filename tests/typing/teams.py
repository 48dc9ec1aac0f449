"""Teams and chains as users write them, with the types that the checkers must infer."""

from typing import Any, assert_type

from pydantic import BaseModel

from actors.nodes.agent import Agent
from actors.nodes.job import Job
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from protocols.messages import ChatMessage
from protocols.response import TeamResponse


class City(BaseModel):
    name: str


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
    assert_type(await Team([plain]).run_job(job), TeamResponse[Any])
