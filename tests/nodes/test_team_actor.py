import asyncio
import gc

import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.runtime.errors import ActorCrashedError
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.errors import MemberError
from tests.support.nodes import BlockedAgents, echo_agent
from tests.support.waiting import wait_until


class BrokenError(Exception):
    """Breaks the actor of the member that raises it."""


def fragile(name: str, calls: list[str]) -> Agent[object, str]:
    def answer(text: str) -> str:
        calls.append(text)
        if text == "break":
            raise BrokenError
        return f"{name}({text})"

    return Agent.from_callback(answer, name=name, crash_on=(BrokenError,))


async def test_members_that_nobody_owns_are_children_of_the_team() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    await b.run("q")
    team = Team([a, b])
    await team.run("q")

    children = await team.ref().proxy().children()

    assert [(child.name, child.restart) for child in children] == [("a", "transient")]


@pytest.mark.conformance("R119")
async def test_a_member_that_crashes_in_a_run_is_restarted_and_the_run_keeps_the_other_answers() -> None:
    calls: list[str] = []
    member = fragile("a", calls)
    team = Team([member, echo_agent("b")], backoff=None)

    answer = await team.run("break")
    again = await team.run("go on")

    assert (answer.content, list(answer.metadata["errors"])) == (["b(break)"], ["a"])
    assert again.content == ["a(go on)", "b(go on)"]
    assert (member.ref().incarnation, calls) == (2, ["break", "go on"])


async def test_a_team_whose_members_crash_too_often_starts_anew_with_the_next_run() -> None:
    team = Team([fragile("a", []), echo_agent("b")], intensity=RestartIntensity(0, 5.0))
    with pytest.raises(ActorCrashedError):  # the whole team ends under the run
        await team.run("break")
    await wait_until(lambda: team.home.find() is None)

    assert (await team.run("q")).content == ["a(q)", "b(q)"]


async def test_a_team_made_for_one_run_leaves_its_members_usable() -> None:
    system = ActorSystem.of(asyncio.get_running_loop())
    gate = BlockedAgents()
    a, b = gate.agent("a"), echo_agent("b")
    first = asyncio.ensure_future((a & b).run("1"))
    await gate.until_started(1)
    other = asyncio.ensure_future((a | b).run("2"))
    await gate.until_started(2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    del first
    gc.collect()
    gate.open("a")

    assert (await other).content == "b(a(2))"
    assert (await a.run("3")).content == "a(3)"
    del other, a, b, gate
    gc.collect()
    await settle(system)
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    assert [cell.name for cell in system.cells] == []


async def test_a_closed_team_leaves_its_members_usable() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    async with a & b as team:
        await team.run("q")

    assert (await a.run("q")).content == "a(q)"
    assert (await (b | a).run("q")).content == "a(b(q))"


async def test_closing_a_team_waits_for_its_runs() -> None:
    gate = BlockedAgents()
    team = gate.agent("a") | echo_agent("b")
    await team.open()
    run = asyncio.ensure_future(team.run("q"))
    await gate.until_started(1)
    closing = asyncio.ensure_future(team.close())
    await asyncio.sleep(0)
    gate.open("a")

    await closing
    assert (await run).content == "b(a(q))"


async def test_a_team_takes_in_a_member_that_its_other_team_has_left_behind() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    first, second = Team([a]), Team([a, b])
    await first.open()
    await second.run("q")
    assert [child.name for child in await second.ref().proxy().children()] == ["b"]

    await first.close()
    assert (await second.run("r")).content == ["a(r)", "b(r)"]
    children = await second.ref().proxy().children()
    assert [child.name for child in children] == ["b", "a"]
    assert children[1].ref == a.home.find()


async def test_members_of_a_supervisor_stay_its_own() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    owner = await Supervisor.start([ChildSpec(a.factory(), name="a", restart="transient")]).ready()
    team = Team([a, b])
    await team.run("q")
    assert [child.name for child in await team.ref().proxy().children()] == ["b"]

    await owner.stop()
    answer = await team.run("q")
    assert (answer.content, list(answer.metadata["errors"])) == (["b(q)"], ["a"])


async def test_a_supervisor_may_own_a_team() -> None:
    team = Team([echo_agent("a"), echo_agent("b")], name="both")
    root = await Supervisor.start([ChildSpec(team.factory(), name="both", restart="transient")]).ready()

    assert (await team.run("q")).content == ["a(q)", "b(q)"]
    child = (await root.proxy().children())[0]
    assert (child.name, child.kind) == ("both", "supervisor")
    await root.stop()


async def test_a_team_that_nobody_owns_ends_with_its_last_member() -> None:
    a = echo_agent("a")
    owner = await Supervisor.start([ChildSpec(a.factory(), name="a", restart="transient")]).ready()
    team = Team([a])
    await team.run("q")

    await owner.stop()
    await wait_until(lambda: team.home.find() is None)
    with pytest.raises(MemberError, match="has been stopped"):
        await team.run("q")
