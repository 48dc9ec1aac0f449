import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.talk.talk import Talk
from protocols.errors import TalkError, TransformError
from protocols.response import AgentResponse
from tests.support.nodes import BlockedAgents, collect_steps, echo_agent, failing_agent
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from actors.nodes.team_run import TeamRun


@pytest.mark.seed("S28")
@pytest.mark.seed("S130")
async def test_run_iter_yields_the_answer_of_each_member_in_order() -> None:
    contents = [
        message.content async for message in (echo_agent("a") | echo_agent("b") | echo_agent("c")).run_iter("q")
    ]

    assert contents == ["a(q)", "b(a(q))", "c(b(a(q)))"]


@pytest.mark.seed("S39")
@pytest.mark.seed("S40")
@pytest.mark.seed("S121")
@pytest.mark.seed("S125")
async def test_execute_iter_alternates_answers_and_connections() -> None:
    seen: list[str] = []
    chain: TeamRun[Any, Any] = echo_agent("a") | echo_agent("b") | echo_agent("c")
    async for step in chain.execute_iter("q"):
        match step:
            case Talk():
                assert step.queued
                seen.append(f"{step.source.name}->{step.targets[0].name}")
                assert step.target is step.targets[0]
            case AgentResponse():
                assert step.message is not None
                seen.append(f"{step.agent_name}: {step.message.content}")

    assert seen == ["a: a(q)", "a->b", "b: b(a(q))", "b->c", "c: c(b(a(q)))"]


@pytest.mark.seed("S41")
async def test_a_transform_set_on_a_yielded_connection_changes_what_the_next_node_gets() -> None:
    seen: list[Any] = []
    async for step in (echo_agent("a") | echo_agent("b")).execute_iter("q"):
        if isinstance(step, Talk):
            step.transform(lambda message: message.content.upper())
        seen.append(step)

    assert seen[-1].response == "b(A(Q))"


async def test_the_consumer_paces_the_chain() -> None:
    gate = BlockedAgents()
    chain = gate.agent("a") | gate.agent("b")
    gate.open("a", "b")
    steps = chain.execute_iter("q")

    await anext(steps)
    for _ in range(20):
        await asyncio.sleep(0)
    assert gate.started == ["a"]
    await anext(steps)
    for _ in range(20):
        await asyncio.sleep(0)
    assert gate.started == ["a"]
    await anext(steps)
    assert gate.finished == ["a", "b"]


async def test_a_filter_that_lets_nothing_through_ends_the_chain_with_a_recorded_error() -> None:
    chain = echo_agent("a") | echo_agent("b")
    with pytest.raises(TalkError, match="let nothing through to 'b'"):
        await collect_steps(chain.execute_iter("q"), [], lambda talk: talk.when(lambda _: False))

    assert [name for name, _, _ in chain.stats.errors] == ["b"]


async def test_a_transform_that_raises_ends_the_chain_and_leaves_it_usable() -> None:
    chain = echo_agent("a") | echo_agent("b")
    with pytest.raises(TransformError):
        await collect_steps(chain.execute_iter("q"), [], lambda talk: talk.transform(lambda _: 1 / 0))

    assert (await chain.run("q")).content == "b(a(q))"


@pytest.mark.seed("S127")
@pytest.mark.parametrize("how", ["success", "error", "early"])
async def test_connections_of_a_run_are_disconnected_in_every_case(how: str) -> None:
    talks: list[Talk] = []
    a = echo_agent("a")
    chain = a | (failing_agent("b") if how == "error" else echo_agent("b")) | echo_agent("c")
    try:
        async for step in chain.execute_iter("q"):
            if isinstance(step, Talk):
                talks.append(step)
                if how == "early":
                    break
    except ValueError:
        assert how == "error"
    await wait_until(lambda: not any(talk.active for talk in talks))

    assert talks
    assert a.talks == ()


@pytest.mark.seed("S128")
async def test_other_runs_of_a_member_do_not_leak_into_a_chain() -> None:
    gate = BlockedAgents()
    a, b = echo_agent("a"), gate.agent("b")
    steps = (a | b).execute_iter("mine")
    seen = [await anext(steps)]
    await a.run("foreign")
    gate.open("b")
    await b.run("foreign")
    await collect_steps(steps, seen)

    assert [one.response for one in seen if not isinstance(one, Talk)] == ["a(mine)", "b(a(mine))"]


@pytest.mark.seed("S129")
@pytest.mark.seed("S51")
@pytest.mark.seed("S56")
async def test_the_connections_of_a_run_grow_to_one_per_node() -> None:
    chain = echo_agent("a") | echo_agent("b") | echo_agent("c")
    steps = chain.execute_iter("q")
    await anext(steps)

    assert (len(chain.stats), chain.stats.message_count) == (2, 1)
    await collect_steps(steps, [])
    stats = chain.stats
    assert (len(stats), stats.message_count) == (3, 3)
    assert [message.content for message in stats.messages] == ["a(q)", "b(a(q))", "c(b(a(q)))"]
    assert (stats.source_names, stats.target_names) == ({"a", "b", "c"}, {"b", "c"})
