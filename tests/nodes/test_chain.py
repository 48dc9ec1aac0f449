import asyncio

import pytest

from actors.agents.agent import Agent
from actors.nodes.team_run import TeamRun
from actors.runtime.system import ActorSystem
from protocols.errors import RunError, RunTimeoutError
from protocols.events import Event, RunFailed
from tests.support.nodes import BlockedAgents, echo_agent, failing_agent
from tests.support.waiting import wait_until


@pytest.mark.seed("S126")
async def test_an_error_reaches_the_caller_and_later_nodes_do_not_run() -> None:
    calls: list[str] = []
    last = echo_agent("c")
    last.message_received.connect(lambda message: calls.append(message.text))
    error = ValueError("no")
    chain = echo_agent("a") | failing_agent("b", error) | last

    for run in (chain.run, chain.execute):
        with pytest.raises(ValueError, match="no") as raised:
            await run("q")
        assert raised.value is error
        assert "chain 'a -> b -> c': step 'b' failed; finished before it: a" in error.__notes__
        assert [one.agent_name for one in error.transcript] == ["a"]  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
        assert (chain.stats.message_count, [name for name, _, _ in chain.stats.errors]) == (1, ["b"])
    assert calls == []


async def test_the_failed_step_is_published() -> None:
    seen: list[tuple[str, str]] = []
    system = ActorSystem.of(asyncio.get_running_loop())

    def note(event: Event) -> None:
        if isinstance(event, RunFailed):
            seen.append((event.actor, event.step))

    subscription = system.events.subscribe(note, (RunFailed,))
    with pytest.raises(ValueError, match="b cannot"):
        await (echo_agent("a") | (echo_agent("x") | failing_agent("b"))).run("q")
    await asyncio.sleep(0)
    system.events.remove(subscription)

    assert seen == [("b", ""), ("x & b", "b"), ("a & x & b", "x & b")]


@pytest.mark.parametrize("method", ["run", "execute", "run_iter"])
async def test_a_failing_node_is_skipped_when_not_all_are_required(method: str) -> None:
    chain = failing_agent("x") | echo_agent("a") | failing_agent("b") | echo_agent("c")

    if method == "run":
        answer = await chain.run("q", require_all=False)
        assert answer.metadata["execution_order"] == ["a", "c"]
        assert set(answer.metadata["errors"]) == {"x", "b"}
        contents = [message.content for message in answer.associated_messages]
    elif method == "execute":
        response = await chain.execute("q", require_all=False)
        assert response.failed_agents == ["x", "b"]
        contents = [one.response for one in response]
    else:
        contents = [message.content async for message in chain.run_iter("q", require_all=False)]
    assert contents == ["a(q)", "c(a(q))"]


@pytest.mark.seed("S116")
async def test_a_chain_in_which_nobody_answers_fails() -> None:
    with pytest.raises(RunError, match="no member has answered"):
        await (failing_agent("a") | failing_agent("b")).run("q", require_all=False)


class BrokenError(Exception):
    """Breaks the actor of the member that raises it."""


@pytest.mark.conformance("R119")
@pytest.mark.parametrize("is_tolerant", [False, True])
async def test_a_member_that_crashes_in_mid_run_ends_the_run_with_the_step_or_is_skipped(*, is_tolerant: bool) -> None:
    def breaks(text: str) -> str:
        if "go on" in text:
            return text
        raise BrokenError

    member = Agent.from_callback(breaks, name="b", crash_on=(BrokenError,))
    chain = TeamRun([echo_agent("a"), member, echo_agent("c")], backoff=None)

    if is_tolerant:
        assert (await chain.run("q", require_all=False)).content == "c(a(q))"
    else:
        with pytest.raises(BrokenError) as raised:
            await chain.run("q")
        assert any("step 'b' failed; finished before it: a" in note for note in raised.value.__notes__)
    assert (await chain.run("go on")).content == "c(a(go on))"
    assert member.ref().incarnation == 2


async def test_a_chain_ends_with_its_time_and_cancels_the_step_in_hand() -> None:
    gate = BlockedAgents()
    chain = echo_agent("a") | gate.agent("b") | echo_agent("c")

    with pytest.raises(RunTimeoutError, match=r"not finished within 0\.01 s"):
        await chain.run("q", timeout=0.01)
    await wait_until(lambda: gate.cancelled == gate.started)
    gate.open("b")
    assert (await chain.run("q")).content == "c(b(a(q)))"


async def test_a_member_with_less_time_than_the_chain_ends_with_its_own() -> None:
    gate = BlockedAgents()
    slow = gate.agent("b")
    slow.timeout = 0.01

    with pytest.raises(RunTimeoutError, match="node 'b'"):
        await (echo_agent("a") | slow).run("q")
    assert gate.cancelled == gate.started


async def test_cancelling_a_run_cancels_the_step_in_hand() -> None:
    gate = BlockedAgents()
    chain = echo_agent("a") | gate.agent("b")
    run = asyncio.ensure_future(chain.run("q"))
    await gate.until_started(1)

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await wait_until(lambda: gate.cancelled)
    assert gate.cancelled == ["b"]
