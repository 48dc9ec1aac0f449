import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import pytest

from actors.nodes.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runtime.system import ActorSystem
from actors.supervision.child import ChildSpec
from actors.talk.talk import Talk
from actors.testing.models import echo_model, scripted_model
from protocols.errors import ConfigError, NodeNameError, RunError, RunTimeoutError, TalkError, TransformError
from protocols.events import Event, RunFailed
from protocols.messages import ChatMessage
from protocols.response import AgentResponse
from tests.nodes.crew import Gate, failing, rec, until


async def steps_of(
    steps: AsyncIterator[Any], seen: list[Any], change: Callable[[Talk], object] = lambda _: None
) -> None:
    async for step in steps:
        if isinstance(step, Talk):
            change(step)
        seen.append(step)


@pytest.mark.seed("S6")
@pytest.mark.seed("S110")
async def test_each_member_gets_the_answer_of_the_one_before() -> None:
    answer = await TeamRun([rec("a"), rec("b"), rec("c")], name="chain").run("q")

    assert (answer.content, answer.role, answer.name) == ("c(b(a(q)))", "assistant", "chain")


@pytest.mark.seed("S111")
@pytest.mark.seed("S112")
@pytest.mark.seed("S113")
async def test_the_answer_says_how_it_came_about() -> None:
    chain = TeamRun([rec("a"), Agent("b", model=echo_model())])
    first, second = await chain.run("q"), await chain.run("q")

    assert [message.name for message in first.associated_messages] == ["a", "b"]
    assert first.messages == first.associated_messages[1].messages != ()
    assert first.message_id != second.message_id
    assert first.conversation_id != second.conversation_id
    assert first.metadata["execution_order"] == ["a", "b"]
    assert first.metadata["errors"] == {}
    assert datetime.fromisoformat(first.metadata["start_time"]).tzinfo is not None


@pytest.mark.seed("S114")
async def test_a_message_as_only_input_is_forwarded() -> None:
    first = await rec("a").run("q")
    answer = await (rec("b") | rec("c")).run(first)

    assert (answer.content, answer.forwarded_from) == ("c(b(a(q)))", ("a",))
    assert answer.conversation_id == first.conversation_id
    assert [message.forwarded_from for message in answer.associated_messages] == [("a",), ("a", "b")]


@pytest.mark.seed("S109")
@pytest.mark.seed("S115")
async def test_signals_fire_once_around_the_members() -> None:
    told: list[str] = []
    a, b = rec("a"), rec("b")
    chain = a | b
    for node in (chain, a, b):
        name = node.name
        node.message_received.connect(lambda message, name=name: told.append(f"{name} got {message.content}"))  # type: ignore[misc] # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportUnknownArgumentType]
        node.message_sent.connect(lambda message, name=name: told.append(f"{name} sent {message.content}"))  # type: ignore[misc] # pyright: ignore[reportUnknownLambdaType, reportUnknownMemberType, reportUnknownArgumentType]

    await chain.run("q")

    assert told == [
        "a & b got q", "a got q", "a sent a(q)", "b got a(q)", "b sent b(a(q))", "a & b sent b(a(q))",
    ]  # fmt: skip


@pytest.mark.seed("S46")
@pytest.mark.seed("S106")
def test_a_chain_has_exactly_its_nodes_in_order() -> None:
    a, b, c = rec("a"), rec("b"), rec("c")
    chain = TeamRun(
        [a, b], name="n", description="d", display_name="D", shared_prompt="s", validator=c, picker=None,
        num_picks=None, pick_prompt=None,
    )  # fmt: skip

    assert list(a | b | c) == [a, b, c]
    assert (chain.name, chain.description, chain.display_name, chain.shared_prompt) == ("n", "d", "D", "s")
    assert (chain.validator, list(chain)) == (c, [a, b])
    by_place: Any = TeamRun
    with pytest.raises(TypeError):
        by_place([a], "name")


@pytest.mark.seed("S119")
async def test_the_shared_prompt_comes_before_the_task_of_the_first_in_every_method() -> None:
    chain = TeamRun([rec("a"), rec("b")], shared_prompt="Be brief.")
    expected = "b(a(Be brief.\n\nq))"

    assert (await chain.run("q")).content == expected
    assert (await chain.execute("q"))[-1].response == expected
    assert [message.content async for message in chain.run_iter("q")][-1] == expected
    seen: list[Any] = []
    await steps_of(chain.execute_iter("q"), seen)
    assert seen[-1].response == expected


@pytest.mark.seed("S124")
async def test_a_validator_is_the_last_node_and_its_answer_the_result() -> None:
    answer = await TeamRun([rec("a"), rec("b")], validator=rec("v")).run("q")

    assert (answer.content, answer.metadata["execution_order"]) == ("v(b(a(q)))", ["a", "b", "v"])


def test_bad_validators_and_doubtful_names_are_refused() -> None:
    nobody: Any = "b"
    with pytest.raises(ConfigError, match="validator 'b' is no node"):
        TeamRun([rec("a")], validator=nobody)
    with pytest.raises(NodeNameError, match="called 'a'"):
        TeamRun([rec("a")], validator=rec("a"))


async def test_a_node_may_stand_in_a_chain_twice() -> None:
    a = rec("a")

    assert (await TeamRun([a, rec("b"), a]).run("q")).content == "a(b(a(q)))"


@pytest.mark.seed("S107")
async def test_result_mode_is_last_or_concat_and_nothing_else() -> None:
    chain = TeamRun([rec("a"), rec("b")])
    assert chain.result_mode == "last"

    chain.result_mode = "concat"
    assert (await chain.run("q")).content == "a(q)\n\nb(a(q))"
    chain.result_mode = "first"  # type: ignore[assignment] # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="result_mode='first' is unknown"):
        await chain.run("q")


@pytest.mark.seed("S117")
@pytest.mark.seed("S118")
async def test_execute_returns_the_answers_in_order_with_their_times() -> None:
    chain = rec("a") | rec("b")
    await chain.execute("p")
    response = await chain.execute("q")

    assert [(one.agent_name, one.response) for one in response] == [("a", "a(q)"), ("b", "b(a(q))")]
    assert all(one.timing is not None and one.timing >= 0 for one in response)
    assert response.start_time <= response.end_time
    assert (len(chain.talk), chain.talk.errors) == (2, [])


@pytest.mark.seed("S120")
async def test_keywords_reach_every_member() -> None:
    agents = [Agent(name, model=scripted_model(["never asked"])) for name in "ab"]
    model = echo_model("{prompt}!")

    for run in (TeamRun(agents).run, TeamRun(agents).execute):
        result = await run("q", model=model, store_history=False)
        assert "q!!" in str(result)
    assert [agent.history for agent in agents] == [(), ()]
    await TeamRun(agents).run("q", model=model)
    assert [len(agent.history) for agent in agents] == [2, 2]


# -- nesting ------------------------------------------------------------------------------------------------------


async def test_teams_and_chains_nest_in_every_combination() -> None:
    a, b, c, d = (rec(name) for name in "abcd")

    assert (await (a | (b & c) | d).run("q")).content == "d([b]: b(a(q))\n\n[c]: c(a(q)))"
    assert (await (a | (b | c)).run("q")).content == "c(b(a(q)))"
    assert (await ((a | b) & c).run("q")).content == ["b(a(q))", "c(q)"]
    assert (await Team([a, Team([b, c])]).run("q")).content == ["a(q)", ["b(q)", "c(q)"]]
    assert (await ((a & b) | (c | d)).run("q")).content == "d(c([a]: a(q)\n\n[b]: b(q)))"


async def test_a_nested_team_is_one_step_and_one_message() -> None:
    chain = rec("a") | (rec("b") & rec("c")) | rec("d")
    answer = await chain.run("q")

    assert answer.metadata["execution_order"] == ["a", "b & c", "d"]
    assert chain.stats.message_count == 3
    assert answer.associated_messages[2].forwarded_from == ("a", "b & c")


async def test_functions_may_stand_on_either_side() -> None:
    a = rec("a")

    assert (await (str.strip | a | str.upper).run(" q ")).content == "A(Q)"
    assert (await (str.upper & a).run("q")).content == ["Q", "a(q)"]


# -- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.seed("S126")
async def test_an_error_reaches_the_caller_and_later_nodes_do_not_run() -> None:
    calls: list[str] = []
    last = rec("c")
    last.message_received.connect(lambda message: calls.append(message.text))
    error = ValueError("no")
    chain = rec("a") | failing("b", error) | last

    for run in (chain.run, chain.execute):
        with pytest.raises(ValueError, match="no") as raised:
            await run("q")
        assert raised.value is error
        assert "chain 'a & b & c': step 'b' failed; finished before it: a" in error.__notes__
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
        await (rec("a") | (rec("x") | failing("b"))).run("q")
    await asyncio.sleep(0)
    system.events.remove(subscription)

    assert seen == [("b", ""), ("x & b", "b"), ("a & x & b", "x & b")]


@pytest.mark.parametrize("method", ["run", "execute", "run_iter"])
async def test_a_failing_node_is_skipped_when_not_all_are_required(method: str) -> None:
    chain = failing("x") | rec("a") | failing("b") | rec("c")

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
        await (failing("a") | failing("b")).run("q", require_all=False)


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
    chain = TeamRun([rec("a"), member, rec("c")], backoff=None)

    if is_tolerant:
        assert (await chain.run("q", require_all=False)).content == "c(a(q))"
    else:
        with pytest.raises(BrokenError) as raised:
            await chain.run("q")
        assert any("step 'b' failed; finished before it: a" in note for note in raised.value.__notes__)
    assert (await chain.run("go on")).content == "c(a(go on))"
    assert member.ref().incarnation == 2


async def test_a_chain_ends_with_its_time_and_cancels_the_step_in_hand() -> None:
    gate = Gate()
    chain = rec("a") | gate.member("b") | rec("c")

    with pytest.raises(RunTimeoutError, match=r"not finished within 0\.01 s"):
        await chain.run("q", timeout=0.01)
    await until(lambda: gate.cancelled)
    gate.open("b")
    assert (await chain.run("q")).content == "c(b(a(q)))"


async def test_a_member_with_less_time_than_the_chain_ends_with_its_own() -> None:
    gate = Gate()
    slow = gate.member("b")
    slow.timeout = 0.01

    with pytest.raises(RunTimeoutError, match="node 'b'"):
        await (rec("a") | slow).run("q")
    assert gate.cancelled == ["b"]


async def test_cancelling_a_run_cancels_the_step_in_hand() -> None:
    gate = Gate()
    chain = rec("a") | gate.member("b")
    run = asyncio.ensure_future(chain.run("q"))
    await gate.until_started(1)

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await until(lambda: gate.cancelled)
    assert gate.cancelled == ["b"]


# -- step by step -------------------------------------------------------------------------------------------------


@pytest.mark.seed("S28")
@pytest.mark.seed("S130")
async def test_run_iter_yields_the_answer_of_each_member_in_order() -> None:
    contents = [message.content async for message in (rec("a") | rec("b") | rec("c")).run_iter("q")]

    assert contents == ["a(q)", "b(a(q))", "c(b(a(q)))"]


@pytest.mark.seed("S39")
@pytest.mark.seed("S40")
@pytest.mark.seed("S121")
@pytest.mark.seed("S125")
async def test_execute_iter_alternates_answers_and_connections() -> None:
    seen: list[str] = []
    chain: TeamRun[Any, Any] = rec("a") | rec("b") | rec("c")
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
    async for step in (rec("a") | rec("b")).execute_iter("q"):
        if isinstance(step, Talk):
            step.transform(lambda message: message.content.upper())
        seen.append(step)

    assert seen[-1].response == "b(A(Q))"


async def test_the_consumer_paces_the_chain() -> None:
    gate = Gate()
    chain = gate.member("a") | gate.member("b")
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
    chain = rec("a") | rec("b")
    with pytest.raises(TalkError, match="let nothing through to 'b'"):
        await steps_of(chain.execute_iter("q"), [], lambda talk: talk.when(lambda _: False))

    assert [name for name, _, _ in chain.stats.errors] == ["b"]


async def test_a_transform_that_raises_ends_the_chain_and_leaves_it_usable() -> None:
    chain = rec("a") | rec("b")
    with pytest.raises(TransformError):
        await steps_of(chain.execute_iter("q"), [], lambda talk: talk.transform(lambda _: 1 / 0))

    assert (await chain.run("q")).content == "b(a(q))"


@pytest.mark.seed("S127")
@pytest.mark.parametrize("how", ["success", "error", "early"])
async def test_connections_of_a_run_are_disconnected_in_every_case(how: str) -> None:
    talks: list[Talk] = []
    a = rec("a")
    chain = a | (failing("b") if how == "error" else rec("b")) | rec("c")
    try:
        async for step in chain.execute_iter("q"):
            if isinstance(step, Talk):
                talks.append(step)
                if how == "early":
                    break
    except ValueError:
        assert how == "error"
    await until(lambda: not any(talk.active for talk in talks))

    assert talks
    assert a.talks == ()


@pytest.mark.seed("S128")
async def test_other_runs_of_a_member_do_not_leak_into_a_chain() -> None:
    gate = Gate()
    a, b = rec("a"), gate.member("b")
    steps = (a | b).execute_iter("mine")
    seen = [await anext(steps)]
    await a.run("foreign")
    gate.open("b")
    await b.run("foreign")
    await steps_of(steps, seen)

    assert [one.response for one in seen if not isinstance(one, Talk)] == ["a(mine)", "b(a(mine))"]


@pytest.mark.seed("S129")
@pytest.mark.seed("S51")
@pytest.mark.seed("S56")
async def test_the_connections_of_a_run_grow_to_one_per_node() -> None:
    chain = rec("a") | rec("b") | rec("c")
    steps = chain.execute_iter("q")
    await anext(steps)

    assert (len(chain.stats), chain.stats.message_count) == (2, 1)
    await steps_of(steps, [])
    stats = chain.stats
    assert (len(stats), stats.message_count) == (3, 3)
    assert [message.content for message in stats.messages] == ["a(q)", "b(a(q))", "c(b(a(q)))"]
    assert (stats.source_names, stats.target_names) == ({"a", "b", "c"}, {"b", "c"})


# -- many at once -------------------------------------------------------------------------------------------------


async def test_a_thousand_runs_over_shared_members_mix_nothing_and_leave_nothing() -> None:
    a, b, c = rec("a"), rec("b"), rec("c")
    chain = TeamRun([a, Team([b, c]), rec("d")])
    system = ActorSystem.of(asyncio.get_running_loop())
    await _many_runs(chain, 10)
    gc.collect()
    before = len(gc.get_objects())
    actors = len(system.cells)

    await _many_runs(chain, 1_000)
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()

    assert len(gc.get_objects()) - before < 2_000
    assert len(system.cells) == actors
    assert [node.talks for node in (a, b, c, chain)] == [(), (), (), ()]


async def _many_runs(chain: TeamRun[Any, Any], number: int) -> None:
    answers = await asyncio.gather(*(chain.run(f"q{n}") for n in range(number)))
    expected = [f"d([b]: b(a(q{n}))\n\n[c]: c(a(q{n})))" for n in range(number)]
    mixed = [answer.content for answer, wanted in zip(answers, expected, strict=True) if answer.content != wanted]

    assert mixed == []
    assert len({answer.conversation_id for answer in answers}) == number


async def test_a_chain_may_be_a_child_and_its_parts_restart() -> None:
    chain = rec("a") | rec("b")
    spec = ChildSpec(chain.factory(), name="chain")

    assert (spec.kind, spec.shutdown) == ("supervisor", "infinity")


async def test_a_users_message_adds_nobody_to_the_chain() -> None:
    answer = await (rec("a") | rec("b")).run(ChatMessage.user_prompt("q", "talk"))

    assert (answer.forwarded_from, answer.conversation_id) == ((), "talk")
    assert answer.associated_messages[0].forwarded_from == ()
