import asyncio
from typing import Any, Literal

import pytest

from actors.nodes.fan_out import MemberReply
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runtime.errors import ActorStoppingError, AskTimeoutError
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.errors import RunTimeoutError
from tests.support.actors import BlockedActor, Echo
from tests.support.nodes import BlockedAgents, echo_agent, failing_agent


async def test_the_reply_of_a_member_is_received_once_and_at_once_however_it_ends(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []
    blocked, stopped = actor_system.start(BlockedActor, ([],)), actor_system.start(Echo)
    await stopped.stop()

    def asked(ref: ActorRef[Any], message: int, timeout: float | None) -> MemberReply:
        reply: MemberReply = MemberReply(loop=asyncio.get_running_loop())
        reply.receive = lambda done: log.append("cancelled" if done.cancelled() else done.exception() or done.result())
        ref.ask_for(reply, message, timeout)
        return reply

    asked(stopped, 1, None)
    assert isinstance(log.pop(), ActorStoppingError)
    reply = asked(actor_system.start(Echo), 2, None)
    await settle()
    assert (reply.cancel(), log.pop()) == (False, 2)
    asked(blocked, 3, 5.0)
    await manual_clock.advance(5)
    assert isinstance(log.pop(), AskTimeoutError)
    reply = asked(blocked, 4, None)
    assert (reply.cancel(), log) == (True, ["cancelled"])


async def test_a_team_whose_time_ends_gives_the_answers_it_has(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    gate = BlockedAgents()
    team = Team([echo_agent("a"), gate.agent("slow"), failing_agent("bad")], name="team")
    actor_system.start(team.factory())
    run = asyncio.create_task(team.run("q", timeout=4))
    await gate.until_started(1)

    await manual_clock.advance(3.8)
    assert not run.done()
    await manual_clock.advance(0.2)
    answer = await run

    assert (answer.content, answer.metadata["agent_names"]) == (["a(q)"], ["a"])
    assert list(answer.metadata["errors"]) == ["bad", "slow"]
    assert "'slow': the run was not finished within the time of its team" in answer.metadata["errors"]["slow"]
    assert gate.cancelled == ["slow"]
    assert manual_clock.pending == 0


@pytest.mark.parametrize("policy", [2, "all"])
async def test_a_team_whose_time_ends_before_enough_members_have_answered_fails(
    actor_system: ActorSystem, manual_clock: ManualClock, policy: Literal["all"] | int
) -> None:
    gate = BlockedAgents()
    team = Team([echo_agent("a"), gate.agent("slow")], name="team", policy=policy)
    actor_system.start(team.factory())
    run = asyncio.create_task(team.run("q", timeout=4))
    await gate.until_started(1)

    await manual_clock.advance(4)

    with pytest.raises(RunTimeoutError, match="at work: 'slow'"):
        await run


async def test_a_team_inside_a_team_gives_its_answers_before_the_time_of_both_ends(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    gate = BlockedAgents()
    innermost = Team([echo_agent("c"), gate.agent("slow")], name="innermost")
    team = Team([echo_agent("a"), Team([echo_agent("b"), innermost], name="inner")], name="outer")
    actor_system.start(team.factory())
    run = asyncio.create_task(team.run("q", timeout=4))
    await gate.until_started(1)

    await manual_clock.advance(4)

    answer = await run
    assert answer.content == ["a(q)", ["b(q)", ["c(q)"]]]
    assert list(answer.metadata["errors"]) == ["slow"]


async def test_a_member_without_an_answer_in_time_is_named_with_what_was_at_work_in_it(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    gate = BlockedAgents()
    team = Team([echo_agent("a"), TeamRun([echo_agent("b"), gate.agent("slow")], name="chain")], name="team")
    actor_system.start(team.factory())
    run = asyncio.create_task(team.run("q", timeout=4))
    await gate.until_started(1)

    await manual_clock.advance(4)

    assert (await run).metadata["errors"]["chain"].endswith("at work: 'slow'")


async def test_execute_gives_what_it_has_as_well(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    gate = BlockedAgents()
    team = Team([echo_agent("a"), gate.agent("slow")], name="team")
    actor_system.start(team.factory())
    run = asyncio.create_task(team.execute("q", timeout=4))
    await gate.until_started(1)

    await manual_clock.advance(4)

    response = await run
    assert [one.agent_name for one in response] == ["a"]
    assert response.failed_agents == ["slow"]
