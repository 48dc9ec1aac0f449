import asyncio
import gc
import weakref

import pytest

from actors.agents.agent import Agent
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.testing.models import echo_model, slow_model
from actors.testing.settle import settle
from protocols.errors import AlreadyRunningError, MemberError
from protocols.messages import ChatMessage
from tests.support.nodes import echo_agent, failing_model_agent

AnyAgent = Agent[object, str]


@pytest.mark.seed("S48", "S52", "S56", "S61", "S62")
async def test_a_chain_runs_once_in_the_background_and_counts_every_node_once(no_leaked_actors: None) -> None:
    async with echo_agent("a") | echo_agent("b") | echo_agent("c") as chain:
        stats = await chain.run_in_background("task")
        result = await chain.wait()

        assert result is not None
        assert result.content == (await chain.run("task")).content == "c(b(a(task)))"
        assert [message.content for message in stats.messages] == ["a(task)", "b(a(task))", "c(b(a(task)))"]
        assert stats.message_count == len(stats.messages) == 3
        assert (stats.source_names, stats.target_names) == ({"a", "b", "c"}, {"b", "c"})


@pytest.mark.seed("S49", "S50", "S51", "S70")
async def test_the_numbers_of_a_chain_can_be_read_at_any_moment() -> None:
    releases = [asyncio.Event(), asyncio.Event()]
    models = [slow_model(release) for release in releases]
    chain = Agent("a", model=models[0]) | Agent("b", model=models[1])
    stats = await chain.run_in_background("task")
    seen = [(len(stats), len(stats.messages), len(stats.errors), chain.is_running)]
    for model, release in zip(models, releases, strict=True):
        await model.started.wait()
        seen.append((len(stats), len(stats.messages), len(stats.errors), chain.is_running))
        release.set()
        await settle()
    seen.append((len(stats), len(stats.messages), len(stats.errors), chain.is_running))

    assert seen == [(0, 0, 0, True), (1, 0, 0, True), (1, 1, 0, True), (2, 2, 0, False)]


@pytest.mark.seed("S54")
async def test_a_second_background_run_of_a_team_is_refused_while_one_goes_on() -> None:
    chain = echo_agent("a") | echo_agent("b")
    async with chain:
        await chain.run_in_background("q", max_count=None, interval=1_000.0)
        with pytest.raises(AlreadyRunningError, match="stop it first") as caught:
            await chain.run_in_background("q")
        assert isinstance(caught.value, RuntimeError)
        await chain.stop()
        stats = await chain.run_in_background("q", block=True)

        assert stats.message_count == 2


@pytest.mark.seed("S63")
async def test_a_failing_stage_ends_the_background_run_and_is_noted_and_raised() -> None:
    chain = echo_agent("a") | failing_model_agent("b") | echo_agent("c")
    stats = await chain.run_in_background("q", max_count=5, interval=0.0, block=True)

    assert not chain.is_running
    assert stats.message_count == 1
    assert [(name, text) for name, text, _ in stats.errors] == [("b", "no luck")]
    with pytest.raises(LookupError, match="no luck"):
        await chain.wait()
    with pytest.raises(LookupError, match="no luck"):
        await stats


async def test_members_of_a_team_that_fail_are_noted_and_the_others_counted() -> None:
    team = Team([echo_agent("a"), failing_model_agent("b"), echo_agent("c")])
    stats = await team.run_in_background("q", block=True)
    result = await team.wait()

    assert result is not None
    assert result.content == ["a(q)", "c(q)"]
    assert (len(stats), stats.message_count, stats.error_count) == (3, 2, 1)
    assert stats.target_names == set()


async def test_a_team_of_which_all_fail_raises_in_wait() -> None:
    team = Team([failing_model_agent("a"), failing_model_agent("b")])
    stats = await team.run_in_background("q", block=True)

    assert {name for name, _, _ in stats.errors} == {"a", "b"}
    with pytest.raises(MemberError):
        await team.wait()


async def test_the_numbers_of_several_rounds_add_up() -> None:
    chain = echo_agent("a") | echo_agent("b")
    stats = await chain.run_in_background("q", max_count=3, interval=0.0, block=True)

    assert (stats.message_count, len(stats)) == (6, 2)
    again = await chain.run_in_background("q", block=True)
    assert (again.message_count, stats.message_count) == (2, 6)


@pytest.mark.seed("S55", "S118")
async def test_the_stats_of_a_team_are_those_of_its_current_or_last_run() -> None:
    chain = echo_agent("a") | echo_agent("b")
    stats = await chain.run_in_background("q")
    assert chain.stats is stats
    await chain.wait()
    assert chain.stats is stats
    await chain.run("q")

    assert chain.stats is not stats
    assert (chain.stats.message_count, len(chain.stats), chain.stats.errors) == (2, 2, [])


async def test_a_background_run_of_a_team_sends_and_passes_on_the_teams_answer() -> None:
    got = echo_model()
    chain = echo_agent("a") | echo_agent("b")
    chain >> Agent("target", model=got)  # pyright: ignore[reportUnusedExpression] - it connects
    sent: list[object] = []

    def note(message: ChatMessage[object]) -> None:
        sent.append(message.content)

    chain.message_sent.connect(note)
    await chain.run_in_background("q", block=True)
    await settle()

    assert sent == got.prompts == ["b(a(q))"]


@pytest.mark.seed("S67", "S69")
async def test_leaving_a_team_ends_an_unlimited_run_and_leaves_nothing_behind(no_leaked_actors: None) -> None:
    answered = asyncio.Event()
    async with TeamRun([echo_agent("a"), echo_agent("b")]) as chain:
        chain.message_sent.connect(lambda _: answered.set())
        stats = await chain.run_in_background("q", max_count=None, interval=0.0)
        await answered.wait()

    assert stats.done
    assert stats.message_count >= 1
    assert not chain.is_running


@pytest.mark.seed("S66")
async def test_the_stats_stay_readable_after_the_team_is_closed() -> None:
    async with echo_agent("a") & echo_agent("b") as team:
        stats = await team.run_in_background("q")
        await team.wait()

    assert (stats.message_count, stats.byte_count, stats.done) == (2, 8, True)
    assert f"{stats.total_cost:.4f}" == "0.0000"


async def test_a_team_whose_background_run_has_ended_is_no_garbage_in_a_cycle(no_leaked_actors: None) -> None:
    gc.disable()
    try:
        chain = TeamRun([echo_agent("a"), echo_agent("b")])
        await chain.run_in_background("q", block=True)
        await settle()
        gone = weakref.ref(chain)
        del chain

        assert gone() is None
    finally:
        gc.enable()
    gc.collect()  # connections of a run know themselves
    await settle()
