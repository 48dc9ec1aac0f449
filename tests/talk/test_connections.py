import asyncio
import gc
import sys
from collections.abc import Callable

import pytest

from actors.talk.flow_tracker import FlowTracker
from actors.talk.registry import TalkRegistry
from actors.talk.talk import Talk
from actors.talk.team_talk import TeamTalk
from actors.testing.settle import settle
from protocols.errors import TalkNameError
from protocols.messages import ChatMessage
from tests.support.nodes import blocked_agent, contents, echo_agent


async def test_names_are_made_of_both_ends_and_unique() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talks = [a.connect_to(b) for _ in range(3)]

    assert [talk.name for talk in talks] == ["a->['b']", "a->['b']_1", "a->['b']_2"]


async def test_a_chosen_name_that_is_taken_is_refused() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    a.connect_to(b, name="link")

    with pytest.raises(TalkNameError, match="has a connection named 'link' already"):
        a.connect_to(b, name="link")
    with pytest.raises(TalkNameError, match="cannot be that of 2 connections"):
        a.connections.create_connection([b, echo_agent("c")], name="other")
    assert len(a.connections) == 1


async def test_a_registry_has_unique_names_over_all_nodes_and_lets_ended_connections_go() -> None:
    registry = TalkRegistry()
    first, second, b = echo_agent("a"), echo_agent("a"), echo_agent("b")
    earlier = first.connect_to(b)
    for node in (first, second):
        node.connections.join(registry, {})
    later = second.connect_to(b)
    second.connect_to(b, name="link")

    assert (list(registry), later.registry) == (["a->['b']", "a->['b']_1", "link"], registry)
    with pytest.raises(TalkNameError, match="a connection named 'link' is in the pool"):
        first.connect_to(b, name="link")
    earlier.disconnect()
    assert (list(registry), len(first.connections)) == (["a->['b']_1", "link"], 0)
    second.connections.leave()
    assert (len(registry), later.active, later.registry) == (0, True, None)


async def test_targets_and_connections_can_be_listed_with_those_behind_them() -> None:
    a, b, c, d = (echo_agent(name) for name in "abcd")
    _ = a >> b >> c >> a
    _ = b >> d

    assert a.connections.get_targets() == [b]
    assert a.connections.get_targets(recursive=True) == [b, c, d, a]
    assert [talk.name for talk in a.connections.get_connections()] == ["a->['b']"]
    assert len(a.connections.get_connections(recursive=True)) == 4
    assert a.connections.has_connection_to(b)
    assert not a.connections.has_connection_to(d)


async def test_connections_to_one_node_can_be_ended() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    first, second, third = a.connect_to(b), a.connect_to(c), a.connect_to(b)
    a.stop_passing_results_to(b)
    a.stop_passing_results_to("nobody")

    assert ([first.active, second.active, third.active], list(a.connections)) == ([False, True, False], [second])
    a.disconnect_all()
    assert a.talks == ()


async def test_the_numbers_of_all_connections_are_added_up() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    _ = a >> [b, c]
    stats = a.connection_stats
    await a.run("x", wait_for_connections=True)

    assert (stats.message_count, stats.num_connections, stats.byte_count, stats.error_count) == (2, 2, 8, 0)
    assert (stats.source_names, stats.target_names) == ({"a"}, {"b", "c"})
    assert contents(stats.messages) == ["a(x)", "a(x)"]
    assert stats.snapshot().message_count == 2


async def test_numbers_of_no_connections_are_zeros() -> None:
    stats = echo_agent("a").connection_stats

    assert (stats.message_count, stats.total_cost, stats.start_time, stats.last_message_time) == (0, 0.0, None, None)


async def test_triggering_all_keeps_the_answers_of_each_connection_apart() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    a.connect_to(b, queued=True, name="one")
    a.connect_to(c, queued=True, name="two")
    a.connect_to(c)
    await a.run("x")
    everything = await a.connections.trigger_all()
    await a.run("y")
    only = await a.connections.trigger_for(c)

    assert {name: contents(answers) for name, answers in everything.items()} == {"one": ["b(a(x))"], "two": ["c(a(x))"]}
    assert contents(only) == ["c(a(y))"]
    assert contents(await a.connections.trigger_for("b")) == ["b(a(y))"]


async def test_all_connections_can_be_paused() -> None:
    seen: list[str] = []
    a = echo_agent("a")
    _ = a >> [echo_agent("b", seen), echo_agent("c", seen)]
    async with a.connections.paused_routing():
        await a.run("1", wait_for_connections=True)
    await a.run("2", wait_for_connections=True)

    assert seen == ["a(2)", "a(2)"]


async def test_whether_runs_wait_for_a_target_can_be_said_before_and_after_connecting() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    first = a.connect_to(b)
    a.connections.set_wait_state(b)
    second = a.connect_to(b)

    assert (first.wait_for_completion, second.wait_for_completion) == (True, True)
    a.connections.set_wait_state("b", False)
    assert not first.wait_for_completion


async def test_new_connections_are_told() -> None:
    told: list[object] = []
    a, b = echo_agent("a"), echo_agent("b")
    a.connections.connection_added.connect(told.append)
    a.connections.node_connected.connect(told.append)
    talk = a.connect_to(b)

    assert told == [b, talk]


async def test_the_diagram_shows_all_that_is_behind_a_node() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("my end")
    a.connect_to(b, queued=True, filter_condition=lambda context: True)
    b.connect_to(c, delay=1.5, priority=2)

    assert a.connections.get_mermaid_diagram() == (
        'flowchart LR\n    a-->|"run, queued: latest, filter"|b\n'
        '    b-->|"run, delay: 1.5 s, priority: 2"|n_my_20_end["my end"]'
    )
    assert a.connections.get_mermaid_diagram(include_details=False, recursive=False) == "flowchart LR\n    a-->b"


async def test_a_recorded_flow_shows_the_way_of_one_conversation() -> None:
    a, b, c, d = (echo_agent(name) for name in "abcd")
    _ = a >> [b, c] >> d
    async with a.connections.track_message_flow() as tracker:
        first = await a.run("x", wait_for_connections=True)
        other = await b.run("y", wait_for_connections=True)
    await a.run("z", wait_for_connections=True)

    assert sorted(tracker.visualize(first).splitlines()) == [
        "    a-->b",
        "    a-->c",
        "    b-->d",
        "    c-->d",
        "flowchart LR",
    ]
    assert tracker.visualize(other).splitlines() == ["flowchart LR", "    b-->d"]
    assert len(tracker.events) == 5


async def test_the_flow_of_a_registry_has_connections_that_are_made_later() -> None:
    registry = TalkRegistry()
    a, b = echo_agent("a"), echo_agent("b")
    a.connections.join(registry, {})
    async with FlowTracker(registry) as tracker:
        _ = a >> b
        message = await a.run("x", wait_for_connections=True)

    assert [event.message.content for event in tracker.filter(message)] == ["a(x)"]


async def test_a_team_talk_is_a_list_of_connections() -> None:
    a, b, c, d = (echo_agent(name) for name in "abcd")
    talks: TeamTalk = a >> [b, c] >> d

    assert [talk.name for talk in talks.iter_talks()] == ["a->['b']", "a->['c']", "b->['d']", "c->['d']"]
    assert (len(talks), isinstance(talks, list), talks.targets) == (4, True, [b, c, d])
    assert talks == list(talks)
    assert talks in {talks}


async def test_chained_connections_go_on_from_the_last_node() -> None:
    a, b, c, d = (echo_agent(name) for name in "abcd")
    _ = a >> b >> c >> d

    assert [node.connections.get_targets() for node in (a, b, c, d)] == [[b], [c], [d], []]


async def test_a_function_behind_several_nodes_is_one_node() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    _ = a >> [b, c] >> str.upper

    assert b.connections.get_targets() == c.connections.get_targets()
    assert b.connections.get_targets()[0].name == "upper"


async def test_what_is_done_to_a_team_talk_is_done_to_each_connection() -> None:
    seen: list[str] = []
    a, b, c = echo_agent("a"), echo_agent("b", seen), echo_agent("c", seen)
    talks: TeamTalk = TeamTalk([TeamTalk([a >> b]), a >> c])
    talks.when(lambda context: "x" in context.message.text).transform(lambda message: message.content + "!")
    async with talks.paused():
        await a.run("x1", wait_for_connections=True)
    await a.run("x2", wait_for_connections=True)
    await a.run("y", wait_for_connections=True)

    assert (seen, talks.stats.message_count, len(talks.get_active_talks())) == (["a(x2)!", "a(x2)!"], 2, 2)
    talks.disconnect()
    assert not talks.has_active_talks()


async def test_a_team_talk_triggers_its_queued_connections() -> None:
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c")
    talks = TeamTalk([a.connect_to(b, queued=True), a.connect_to(c)])
    await a.run("x", wait_for_connections=True)

    assert contents(await talks.trigger()) == ["b(a(x))"]


async def test_nodes_can_be_connected_in_a_row_or_each_to_all() -> None:
    a, b, c, d = (echo_agent(name) for name in "abcd")
    row = TeamTalk.from_nodes([a, b, c])
    fan = TeamTalk.from_nodes([a, b], [c, d])

    assert [talk.name for talk in row.iter_talks()] == ["a->['b']", "b->['c']"]
    assert [(talk.source.name, talk.target.name) for talk in fan.iter_talks()] == [
        ("a", "c"),
        ("a", "d"),
        ("b", "c"),
        ("b", "d"),
    ]


async def test_a_connection_belongs_to_its_source_only() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a.connect_to(b)

    assert talk in a.connections
    assert Talk(a, b) not in a.connections


async def test_a_message_can_be_passed_on_without_running_the_node() -> None:
    seen: list[str] = []
    a, b, c = echo_agent("a"), echo_agent("b"), echo_agent("c", seen)
    _ = a >> b >> c
    message = ChatMessage("news", "assistant", "a")

    await a.connections.route_message(message, wait=True)

    assert seen == ["b(news)"]
    assert (a.total_stats.message_count, b.total_stats.message_count) == (0, 1)


async def test_whoever_passes_a_message_on_waits_when_a_connection_asks_for_it() -> None:
    seen: list[str] = []
    a, release = echo_agent("a"), asyncio.Event()
    _ = a >> blocked_agent("b", release, seen)
    message = ChatMessage("news", "assistant", "a")

    await a.connections.route_message(message)
    assert not release.is_set()
    a.connections.set_wait_state("b")
    waiting = asyncio.ensure_future(a.connections.route_message(message))
    await settle()
    assert not waiting.done()
    release.set()
    await waiting


async def test_what_a_node_has_passed_on_can_be_waited_for() -> None:
    seen: list[str] = []
    a, release = echo_agent("a"), asyncio.Event()
    _ = a >> echo_agent("b") >> blocked_agent("c", release, seen)
    await a.run("q")
    waiting = asyncio.ensure_future(a.connections.wait_for_connections())
    await settle()

    assert (waiting.done(), seen) == (False, ["b(a(q))"])
    release.set()
    await waiting


async def test_ending_all_connections_may_be_awaited() -> None:
    a, b = echo_agent("a"), echo_agent("b")
    talk = a >> b

    await a.disconnect_all()
    await a.connections.disconnect_all()

    assert (talk.active, len(a.connections)) == (False, 0)


def calls_of(action: Callable[[], object]) -> int:
    """Return the number of calls, and of steps of generators, that an action makes."""
    calls = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.disable()  # its callbacks are calls as well
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


async def test_a_connection_costs_the_same_whether_its_source_has_ten_others_or_thousands() -> None:
    source, targets = echo_agent("source"), [echo_agent(f"t{number}") for number in range(2_001)]
    for target in targets[:10]:
        source.connect_to(target)
    few = calls_of(lambda: source.connect_to(targets[10]))
    for target in targets[11:2_000]:
        source.connect_to(target)
    many = calls_of(lambda: source.connect_to(targets[2_000]))
    end = calls_of(source.connections.get_connections()[1_000].disconnect)

    assert many <= few
    assert end <= few
