import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.talk.talk import Talk
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.errors import TalkError
from protocols.events import HopLimitReached, TalkFailed, TalkProcessed
from tests.support.nodes import blocked_agent, contents, current_system, echo_agent, failing_agent, record_events

if TYPE_CHECKING:
    from actors.talk.team_talk import TeamTalk
    from protocols.messages import ChatMessage


@pytest.mark.seed("S76")
async def test_a_connected_node_runs_with_the_answer_of_the_other() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    _ = a >> b
    await a.run("x")
    await b.complete_tasks()
    await settle()

    assert seen == ["a(x)"]


@pytest.mark.seed("S77")
@pytest.mark.seed("S78")
async def test_a_run_that_does_not_wait_returns_while_the_target_works() -> None:
    release, seen = asyncio.Event(), list[str]()
    a, b = echo_agent("a"), blocked_agent("b", release, seen)
    _ = a >> b
    answer = await a.run("x", wait_for_connections=False)
    await settle()
    waiting = asyncio.ensure_future(b.complete_tasks())
    await settle()

    assert (answer.content, seen, waiting.done()) == ("a(x)", ["a(x)"], False)
    release.set()
    await waiting


@pytest.mark.seed("S79")
async def test_a_run_that_waits_returns_when_indirect_targets_have_finished_too() -> None:
    seen: list[str] = []
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c", seen)
    _ = a >> b >> c
    await a.run("x", wait_for_connections=True)

    assert seen == ["b(a(x))"]


@pytest.mark.seed("S80")
async def test_by_default_a_run_does_not_wait() -> None:
    release, seen = asyncio.Event(), list[str]()
    a, b = echo_agent("a"), blocked_agent("b", release, seen)
    _ = a >> b
    answer = await a.run("x")

    assert (answer.content, release.is_set()) == ("a(x)", False)
    release.set()
    await a.complete_tasks()


async def test_a_connection_can_have_runs_wait_for_it_unless_they_say_otherwise() -> None:
    release, seen = asyncio.Event(), list[str]()
    a, b = echo_agent("a"), blocked_agent("b", release, seen)
    a.connect_to(b, wait_for_completion=True)
    waiting = asyncio.ensure_future(a.run("x"))
    hurried = await a.run("y", wait_for_connections=False)
    await settle()

    assert (hurried.content, waiting.done()) == ("a(y)", False)
    release.set()
    assert (await waiting).content == "a(x)"


@pytest.mark.seed("S81")
async def test_a_failing_target_neither_fails_the_source_nor_the_other_targets() -> None:
    seen: list[str] = []
    a, b, c = echo_agent("a"), failing_agent("b"), echo_agent("c", seen)
    talks: TeamTalk = a >> [b, c]
    events = record_events(current_system(), TalkFailed)
    answer = await a.run("x", wait_for_connections=True)

    assert (answer.content, seen) == ("a(x)", ["a(x)"])
    assert [(event.target, event.step, event.error) for event in events] == [("b", "deliver", "b cannot do a(x)")]
    assert talks.stats.errors[0][:2] == ("b", "ValueError: b cannot do a(x)")
    assert [letter.message.content for letter in current_system().dead_letters] == ["a(x)"]


async def test_a_slow_target_does_not_keep_the_others_waiting() -> None:
    release, seen, slow = asyncio.Event(), list[str](), list[str]()
    a, b, c = echo_agent("a"), blocked_agent("b", release, slow), echo_agent("c", seen)
    _ = a >> [b, c]
    for number in range(3):
        await a.run(str(number))
    await settle()

    assert (slow, seen) == (["a(0)"], ["a(0)", "a(1)", "a(2)"])
    release.set()
    await a.complete_tasks()


@pytest.mark.seed("S82")
async def test_the_target_knows_the_names_that_led_to_it_and_the_source_has_none() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    answers: list[ChatMessage[Any]] = []
    b.message_sent.connect(answers.append)
    _ = a >> b
    own = await a.run("x", wait_for_connections=True)

    assert (own.name, own.forwarded_from) == ("a", ())
    assert (answers[0].forwarded_from, answers[0].conversation_id) == (("a",), own.conversation_id)


async def test_a_paused_connection_lets_messages_pass_by() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    talk = a.connect_to(b)
    async with talk.paused(), talk.paused():
        await a.run("1", wait_for_connections=True)
    await a.run("2", wait_for_connections=True)

    assert seen == ["a(2)"]


async def test_connections_may_come_and_go_while_messages_flow() -> None:
    to_b, to_c = list[str](), list[str]()
    a, b, c = echo_agent("a"), echo_agent("b", to_b), echo_agent("c", to_c)
    first: Talk = a >> b
    first.message_forwarded.connect(lambda _message: a.connect_to(c))
    first.message_forwarded.connect(lambda _message: first.disconnect())
    for number in range(3):
        await a.run(str(number), wait_for_connections=True)

    assert (to_b, to_c) == (["a(0)"], ["a(1)", "a(2)"])


async def test_context_is_read_before_the_next_run_of_the_target() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    a.connect_to(b, connection_type="context")
    await a.run("x", wait_for_connections=True)
    await settle()
    texts = b.notes.take(None)

    assert len(texts) == 1
    assert texts[0].startswith("[Context from a (role: assistant, time: ")
    assert texts[0].endswith("]\na(x)")


async def test_forwarding_passes_a_message_on_without_running_the_node_between() -> None:
    to_b, to_c = list[str](), list[str]()
    a, b, c = echo_agent("a"), echo_agent("b", to_b), echo_agent("c", to_c)
    _ = a.connect_to(b, connection_type="forward") >> c
    await a.run("x", wait_for_connections=True)

    assert (to_b, to_c) == ([], ["a(x)"])


async def test_a_circle_of_connections_ends_at_the_hop_limit() -> None:
    seen: list[str] = []
    a, b = echo_agent("a"), echo_agent("b", seen)
    a.connect_to(b, hop_limit=5)
    b.connect_to(a, hop_limit=5)
    events = record_events(current_system(), HopLimitReached)
    await a.run("x", wait_for_connections=True)

    assert len(seen) == 3
    assert [(event.limit, event.route) for event in events] == [(5, ("a", "b", "a", "b", "a", "b"))]
    assert current_system().dead_letters.counts[DeadLetterReason.HOPS] == 1


async def test_a_circle_of_forwarding_ends_where_it_closes() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    for source, targets in ((a, [b, c]), (b, [a, c]), (c, [a, b])):
        source.connect_to(targets, connection_type="forward")
    events = record_events(current_system(), HopLimitReached)
    await a.run("x", wait_for_connections=True)

    assert events
    assert {event.talk for event in events} <= {talk.name for node in (a, b, c) for talk in node.connections}


async def test_the_default_hop_limit_ends_a_circle_of_many_rounds() -> None:
    seen: list[str] = []

    def again(text: str) -> str:
        seen.append(text)
        return "again"

    a, b = Agent.from_callback(again, name="a"), Agent.from_callback(again, name="b")
    _ = a >> b >> a
    await a.run("x", wait_for_connections=True)

    assert len(seen) == 65


@pytest.mark.seed("S45")
@pytest.mark.seed("S115")
async def test_the_target_of_a_team_gets_the_output_of_all_members() -> None:
    seen: list[str] = []
    team = Team([echo_agent("a"), echo_agent("b")])
    talk: Talk = team >> echo_agent("c", seen)
    sent: list[ChatMessage[Any]] = []
    team.message_sent.connect(sent.append)
    await team.run("q", wait_for_connections=True)

    assert (seen, len(sent), talk.stats.message_count) == (["[a]: a(q)\n\n[b]: b(q)"], 1, 1)


async def test_a_connection_of_a_team_can_pass_on_one_message_per_member() -> None:
    seen: list[str] = []
    team = Team([echo_agent("a"), echo_agent("b")])
    team.connect_to(echo_agent("c", seen), per_member=True)
    await team.run("q", wait_for_connections=True)

    assert seen == ["a(q)", "b(q)"]


async def test_events_say_what_was_passed_on_and_what_was_filtered_away() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    a.connect_to(b, name="link", filter_condition=lambda context: "x" in context.message.text)
    events = record_events(current_system(), TalkProcessed)
    first = await a.run("x", wait_for_connections=True)
    await a.run("y", wait_for_connections=True)

    assert [(event.talk, event.source, event.targets) for event in events] == [("link", "a", ("b",)), ("link", "a", ())]
    assert (events[0].message_id, events[0].conversation_id) == (first.message_id, first.conversation_id)


@pytest.mark.seed("S61")
@pytest.mark.seed("S62")
async def test_numbers_are_exact_and_the_object_is_live() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    talk = Talk(a, [b, c])
    a.connections.attach(talk)
    stats = talk.stats
    for text in ("é", "xy"):
        await a.run(text, wait_for_connections=True)

    assert (stats.message_count, stats.byte_count, contents(stats.messages)) == (2, 10, ["a(é)", "a(xy)"])
    assert (stats.source_name, stats.target_names) == ("a", frozenset({"b", "c"}))
    assert stats.snapshot().message_count == 2
    assert stats.format() == "a: a(é)\na: a(xy)"


async def test_a_connection_has_targets_and_an_only_target() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")

    assert Talk(a, b).target is b
    with pytest.raises(TalkError, match=r"has 2 targets; use \.targets"):
        _ = Talk(a, [b, c]).target


async def test_functions_become_nodes_on_either_side() -> None:
    seen: list[str] = []
    talk: Talk = str.upper >> echo_agent("b", seen)
    both: TeamTalk = echo_agent("a") >> [str.upper, str.upper]
    await talk.source.run("x", wait_for_connections=True)  # type: ignore[attr-defined] # it is an agent

    assert seen == ["X"]
    assert [target.name for target in both.targets] == ["upper", "upper_2"]
