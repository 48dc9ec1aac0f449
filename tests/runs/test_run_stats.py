import asyncio
import threading
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest

from actors import ExtendedTeamTalk, RunStats, TeamTalk
from actors.agents.agent import Agent
from actors.nodes.team_run import TeamRun
from actors.nodes.transcript import RunTalk
from actors.talk.talk_stats import TalkStats
from actors.testing.models import scripted_model, tool_call
from actors.testing.settle import settle
from protocols.cost import TokenCost, TokenUsage
from protocols.errors import NotRunningError
from protocols.messages import ChatMessage


def answer(text: str, name: str = "a", *, cost: TokenCost | None = None) -> ChatMessage[str]:
    return ChatMessage(text, "assistant", name=name, cost_info=cost)


def link(name: str) -> RunTalk:
    return RunTalk(Agent.from_callback(str.upper, name=name))


@pytest.mark.seed("S104")
def test_run_stats_are_team_talks_under_both_names() -> None:
    assert ExtendedTeamTalk is RunStats
    assert isinstance(RunStats(), TeamTalk)


@pytest.mark.seed("S105")
def test_errors_are_added_with_their_time_and_cleared_with_the_talks() -> None:
    stats = ExtendedTeamTalk([link("a")])
    assert stats.errors == []
    stats.add_error("n", "e")
    [(name, text, moment)] = stats.errors
    assert (name, text, moment.utcoffset()) == ("n", "e", timedelta(0))
    stats.add(answer("x"))
    stats.clear()

    assert (len(stats), stats.errors, stats.message_count, list(stats.messages)) == (0, [], 0, [])


@pytest.mark.seed("S49")
def test_new_stats_are_empty_readable_and_true() -> None:
    stats = RunStats()

    assert (len(stats), len(stats.messages), len(stats.errors), stats.num_connections) == (0, 0, 0, 0)
    assert (stats.token_count, stats.total_cost, stats.byte_count, stats.tool_calls) == (0, 0.0, 0, [])
    assert (stats.source_names, stats.target_names, stats.last_message_time) == (set(), set(), None)
    assert stats
    assert stats.stats is stats


@pytest.mark.seed("S58", "S59")
def test_tokens_and_money_are_the_sums_over_messages_with_a_price() -> None:
    stats = RunStats()
    stats.add(answer("x", cost=TokenCost(TokenUsage(10, 5), Decimal("0.0025"))))
    stats.add(answer("y"))
    stats.add(answer("z", cost=TokenCost(TokenUsage(1, 1), Decimal("0.1"))))
    assert (stats.token_count, stats.total_cost, stats.cost_known) == (17, 0.1025, True)
    stats.add(answer("w", cost=TokenCost(TokenUsage(1, 1), cost_known=False)))

    assert (stats.total_cost, stats.cost_known) == (0.1025, False)
    assert isinstance(stats.total_cost, float)
    assert f"{RunStats().total_cost:.4f}" == "0.0000"


@pytest.mark.seed("S60")
def test_bytes_are_those_of_utf8() -> None:
    stats = RunStats()
    stats.add(answer("Grüße"))
    stats.add(ChatMessage([1, 2], "assistant", name="a"))

    assert stats.byte_count == 7 + len("[1, 2]")


def test_kept_answers_are_bounded_by_bytes_and_the_counts_stay_exact() -> None:
    stats, talk = RunStats(), TalkStats("a", ["b"])
    for _ in range(20):
        message = answer("x" * 2**22)
        stats.add(message)
        talk.count(message)

    assert len(stats.messages) == len(talk.messages) == 7
    assert stats.byte_count == talk.byte_count == 20 * 2**22
    assert (stats.messages.dropped, stats.message_count) == (13, 20)


@pytest.mark.seed("S57")
async def test_the_calls_of_tools_are_listed() -> None:
    def weather(city: str) -> str:
        return f"rain in {city}"

    model = scripted_model([tool_call("weather", city="Bern"), "It rains."])
    agent = Agent("forecaster", model=model, tools=[weather])
    stats = await agent.run_in_background("q", max_count=1, block=True)

    assert isinstance(stats.tool_calls, list)
    assert [(call.tool_name, call.args, call.result) for call in stats.tool_calls] == [
        ("weather", {"city": "Bern"}, "rain in Bern")
    ]


@pytest.mark.seed("S61", "S62")
def test_sources_answered_and_targets_were_given_the_answer_of_another_node() -> None:
    stats = RunStats()
    stats.add(answer("1", "a"))
    stats.add(ChatMessage("2", "assistant", name="b", forwarded_from=("a",)))
    stats.add(ChatMessage("3", "assistant", name="c", forwarded_from=("user", "stranger")))
    stats.add_error("d", "failed")

    assert (stats.source_names, stats.target_names) == ({"a", "b", "c"}, {"b"})


def test_the_messages_are_bounded_and_the_numbers_exact() -> None:
    stats = RunStats(capacity=3)
    for number in range(10):
        stats.add(answer(str(number)))
        stats.add_error("a", str(number))

    assert [message.content for message in stats.messages] == ["7", "8", "9"]
    assert [text for _, text, _ in stats.errors] == ["7", "8", "9"]
    assert (stats.message_count, stats.error_count, stats.snapshot().dropped_messages) == (10, 10, 7)


def test_stats_are_told_apart_by_identity_and_can_be_put_into_sets() -> None:
    first, second = RunStats(), RunStats()

    assert first != second
    assert len({first, second}) == 2


async def test_awaiting_gives_the_result_to_everybody_and_nobody_can_cancel_it_for_the_others() -> None:
    stats, final = RunStats(name="a"), answer("x")
    waiters = [asyncio.ensure_future(_awaited(stats)) for _ in range(3)]
    await settle()
    waiters[0].cancel()
    await settle()
    stats.finish(final)
    stats.finish(answer("too late"))

    assert [await waiter for waiter in waiters[1:]] == [final, final]
    assert await stats is stats.result() is final


async def test_the_error_of_a_run_is_raised_by_awaiting_and_by_result() -> None:
    stats, error = RunStats(name="a"), ValueError("no")
    with pytest.raises(NotRunningError, match="not ended yet"):
        stats.result()
    stats.finish(error=error)

    assert stats.done
    for _ in range(2):
        with pytest.raises(ValueError, match="no") as caught:
            await stats
        assert caught.value is error
    with pytest.raises(ValueError, match="no"):
        stats.result()


@pytest.mark.seed("S70")
def test_a_reader_in_another_thread_sees_numbers_that_only_grow() -> None:
    stats = RunStats(capacity=10)
    begun, over = threading.Event(), threading.Event()
    seen: list[tuple[int, ...]] = []

    def read() -> None:
        while not over.is_set():
            snapshot = stats.snapshot()
            total = snapshot.total
            assert total.byte_count == 2 * total.message_count
            assert sum(node.message_count for node in snapshot.nodes.values()) == total.message_count
            seen.append((total.message_count, stats.message_count, len(list(stats.messages)), len(list(stats))))
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    begun.wait(5)
    for number in range(3_000):
        stats.add(answer("xx", "ab"[number % 2]))
        stats.begin([link("a")] * (number % 3))
    over.set()
    reader.join()

    counts = [before for before, _, _, _ in seen]
    assert counts == sorted(counts)
    assert all(snapshot <= live for snapshot, live, _, _ in seen)
    assert stats.message_count == 3_000


def test_a_snapshot_is_json_in_one_call() -> None:
    stats = RunStats([link("a")], name="chain")
    stats.add(answer("hello", cost=TokenCost(TokenUsage(2, 3), Decimal("0.01"))))
    stats.add_error("b", "no")
    plain = msgspec.json.decode(msgspec.json.encode(stats.snapshot()))

    assert plain["total"]["cost"] == "0.01"
    assert plain["nodes"]["a"]["output_tokens"] == 3
    assert (plain["errors"][0][:2], plain["num_connections"], plain["done"]) == (["b", "no"], 1, False)


def test_the_messages_are_formatted_one_per_line() -> None:
    stats = RunStats()
    stats.add(answer("hello", "a"))
    stats.add(answer("bye", "b"))

    assert stats.format() == "a: hello\nb: bye"


def test_the_table_has_a_row_per_node() -> None:
    stats = RunStats(name="<chain>")
    stats.add(answer("hello", "writer", cost=TokenCost(TokenUsage(2, 3), cost_known=False)))
    stats.add_error("<b>", "1 < 2")
    lines = stats.table().splitlines()

    assert lines[0] == "<chain>: running"
    assert [line.split()[0] for line in lines[3:6]] == ["writer", "<b>", "total"]
    assert "0.0000+?" in lines[3]
    assert lines[-1] == "<b>: 1 < 2"


@pytest.mark.seed("S63")
async def test_a_failed_run_is_in_the_stats_of_its_node_until_the_next_one() -> None:
    agent = Agent("a", model=scripted_model([ValueError("no"), "yes"]))
    with pytest.raises(ValueError, match="no"):
        await agent.run("q")
    failed = agent.stats
    await agent.run("q")

    assert [(name, text) for name, text, _ in failed.errors] == [("a", "no")]
    assert (failed.done, agent.stats.error_count, agent.stats.message_count) == (True, 0, 1)
    assert (agent.total_stats.error_count, agent.total_stats.message_count) == (1, 1)


async def test_the_total_of_a_team_counts_its_own_answers_and_failures() -> None:
    agent = Agent("a", model=scripted_model(["1", ValueError("no")]))
    chain = TeamRun([agent])
    await chain.run("q")
    with pytest.raises(ValueError, match="no"):
        await chain.run("q")

    assert (chain.total_stats.message_count, chain.total_stats.error_count) == (1, 1)
    assert (agent.total_stats.message_count, agent.total_stats.error_count) == (1, 1)


async def _awaited(stats: RunStats) -> ChatMessage[object] | None:
    return await stats
