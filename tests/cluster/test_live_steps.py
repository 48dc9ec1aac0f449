"""Steps of teams that live in another process: each answer as it comes, at the pace of who reads them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from protocols.errors import HostLostError, MemberError
from protocols.journal import NotDurableError
from tests.cluster.process import TTL, clerk
from tests.cluster.test_live_runs import Pair

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

KINDS = (Team, TeamRun)


class Crew:
    """Teams and chains of members that do what they are asked: fail, wait, or say who they are."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.is_durable = is_durable

    def nodes(self, _: str) -> Callable[[], list[Any]]:
        def member(name: str) -> Any:
            async def work(prompt: str) -> dict[str, str]:
                self.begun.append(name)
                if f"{name} fails" in prompt:
                    raise ValueError("bad number")
                if f"{name} waits" in prompt:
                    try:
                        await asyncio.Event().wait()
                    finally:
                        self.cancelled.append(name)
                return {"by": name}

            return clerk(name, work, is_durable=False)

        def made() -> list[Any]:
            members = [member(name) for name in "abc"]
            where: dict[str, Any] = {"durable": True} if self.is_durable else {"placement": "single"}
            return [*members, *(
                kind([x, y], name=f"{kind.__name__}-{x.name}{y.name}", **where)
                for kind in KINDS for x in members for y in members if x is not y
            )]  # fmt: skip

        return made


def far(pair: Pair, kind: type) -> Any:
    """Return a team that lives in the second process, as the first one has it."""
    return next(node for node in pair.at(pair.two) if type(node) is kind)


async def read(pair: Pair, work: Any, seconds: float = 3) -> Any:
    task = asyncio.ensure_future(work)
    await pair.clock.advance(seconds)
    return await task


async def steps_of(team: Any, prompt: str, found: list[Any], **options: Any) -> None:
    async for step in team.run_iter(prompt, **options):
        found.append(step)  # noqa: PERF401 - what came before an error counts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_durable", [False, True])
async def test_each_answer_is_a_step_wherever_the_team_lives(kind: type, is_durable: bool) -> None:
    crew = Crew(is_durable=is_durable)
    async with Pair(crew) as pair:
        near: Any = next(one for one in pair.at(pair.one) if type(one) is kind)
        team = far(pair, kind)
        for one in (team, near):
            names, found = [node.name for node in one.nodes], list[Any]()
            await read(pair, steps_of(one, "x", found))
            assert sorted(step.name for step in found) == sorted(names)
            assert kind is Team or [step.name for step in found] == names
            assert all(step.content == {"by": step.name} for step in found)
            response = await read(pair, one.execute("x"))
            assert sorted(answer.agent_name for answer in response) == sorted(names)
            assert response.success
            assert all(answer.timing is not None for answer in response)


async def test_the_failure_of_a_member_comes_after_the_answers() -> None:
    async with Pair(Crew()) as pair:
        team, chain, found = far(pair, Team), far(pair, TeamRun), list[Any]()
        first, second = team.nodes
        with pytest.raises(MemberError, match=f"{first.name}: .*bad number"):
            await read(pair, steps_of(team, f"{first.name} fails", found))
        assert [step.name for step in found] == [second.name]
        response = await read(pair, team.execute(f"{first.name} fails"))
        assert (response.failed_agents, [type(one) for one in response.errors.values()]) == ([first.name], [ValueError])
        with pytest.raises(ValueError, match="bad number") as caught:
            await read(pair, steps_of(chain, f"{chain.nodes[0].name} fails", []))
        assert getattr(caught.value, "failed_step", "") == chain.nodes[0].name
        response = await read(pair, chain.execute(f"{chain.nodes[0].name} fails", require_all=False))
        assert [answer.agent_name for answer in response] == [chain.nodes[1].name]
        assert response.failed_agents == [chain.nodes[0].name]


async def test_a_stage_begins_when_its_reader_asks_for_it_and_leaving_cancels_the_rest() -> None:
    crew = Crew()
    async with Pair(crew) as pair:
        chain = far(pair, TeamRun)
        steps = chain.run_iter("x")
        first = await read(pair, anext(steps))
        assert (crew.begun, first.name) == ([chain.nodes[0].name], chain.nodes[0].name)
        assert (await read(pair, anext(steps))).name == chain.nodes[1].name
        with pytest.raises(StopAsyncIteration):
            await read(pair, anext(steps))
        crew.begun.clear()
        steps = far(pair, Team).run_iter("a waits b waits c waits")
        waiting = asyncio.ensure_future(anext(steps))
        await pair.clock.advance(1)
        waiting.cancel()
        await pair.clock.advance(1)
        assert sorted(crew.begun) == sorted(crew.cancelled)
        assert len(crew.begun) == 2
        assert not pair.two.service.host.tasks


async def test_connections_between_stages_do_not_cross() -> None:
    async with Pair(Crew()) as pair:
        with pytest.raises(NotDurableError, match="connections do not cross; use run_iter"):
            await read(pair, anext(far(pair, TeamRun).execute_iter("x")))


async def test_the_reader_of_steps_at_a_lost_host_is_told() -> None:
    async with Pair(Crew()) as pair:
        found: list[Any] = []
        chain = far(pair, TeamRun)
        reading = asyncio.ensure_future(steps_of(chain, "x", found))
        steps = chain.run_iter("x")
        await read(pair, anext(steps))
        await reading
        await pair.two.die()
        await pair.clock.advance(TTL + 1)
        with pytest.raises(HostLostError):
            await read(pair, anext(steps))
        assert len(found) == 2
