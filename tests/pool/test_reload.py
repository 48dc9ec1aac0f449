"""Applying a changed manifest to a running pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.pool import AgentPool
from actors.runs.job import Job
from actors.testing.settle import settle
from protocols.errors import ManifestError, NodeNameError, NodeNotFoundError, NodeStoppedError
from tests.pool.reload_functions import AGENTS, GATE, POOLS, manifest_of, second_version

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors", "fresh_gate")

# -- what stays -------------------------------------------------------------------------------------------------------


async def test_a_reload_without_a_change_touches_nothing() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        refs = {name: node.ref() for name, node in pool.items()}

        done = await pool.reload(manifest_of())

        assert (done.unchanged, done.changed, done.added, done.removed) == (("a", "b", "c"), (), (), ())
        assert {name: node.ref() for name, node in pool.items()} == refs
        assert {ref.incarnation for ref in refs.values()} == {1}


async def test_unchanged_nodes_keep_actor_memory_and_what_waits_for_them() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        await pool["c"].run("Remember the milk.")
        opened = GATE.shut()
        waiting = [asyncio.ensure_future(pool["b"].run(str(number))) for number in range(3)]
        await settle()
        kept = pool["b"], pool["c"], pool["c"].ref()

        done = await pool.reload(manifest_of(AGENTS.replace("One.", "Two.")))

        assert done.changed == ("a",)
        assert (pool["b"], pool["c"], pool["c"].ref()) == kept
        assert len(pool.get_agent("c").history) == 2
        opened.set()
        assert [message.content for message in await asyncio.gather(*waiting)] == ["old:0", "old:1", "old:2"]


# -- what changes -----------------------------------------------------------------------------------------------------


async def test_a_changed_agent_is_the_same_object_with_other_settings_and_an_empty_memory() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        agent, heard = pool.get_agent("a"), list[str]()
        agent.message_sent.connect(lambda message: heard.append(message.text))
        await agent.run("Cats sleep.")
        ref = agent.ref()

        await pool.reload(manifest_of(AGENTS.replace("[One.]", "[Two.], description: Second")))
        assert agent.history == ()
        await agent.run("Dogs bark.")

        assert pool["a"] is agent
        assert agent.ref() == ref
        assert agent.description == "Second"
        assert "Two." in str(agent.history)
        assert heard == ["Cats sleep.", "Dogs bark."]


@pytest.mark.parametrize("concurrency", ["", ", max_concurrency: 1"])
async def test_what_was_accepted_before_is_done_as_before_and_what_comes_later_as_now(concurrency: str) -> None:
    text = AGENTS.replace('old"}', f'old"}}{concurrency}')
    async with AgentPool[None](manifest_of(text)) as pool:
        opened = GATE.shut()
        before = [asyncio.ensure_future(pool["b"].run(str(number))) for number in range(4)]
        await settle()

        reload = asyncio.ensure_future(pool.reload(manifest_of(second_version(text))))
        await settle()
        after = [asyncio.ensure_future(pool["b"].run(str(number))) for number in range(4, 8)]
        await settle()
        assert not reload.done()
        opened.set()

        assert (await reload).changed == ("b",)
        assert [message.content for message in await asyncio.gather(*before)] == [f"old:{n}" for n in range(4)]
        assert [message.content for message in await asyncio.gather(*after)] == [f"new:{n}" for n in range(4, 8)]


async def test_no_run_is_lost_while_one_manifest_follows_another() -> None:
    texts = [manifest_of(AGENTS), manifest_of(second_version())]
    async with AgentPool[None](texts[0]) as pool:
        runs: list[asyncio.Future[Any]] = []

        async def keep_asking() -> None:
            while len(runs) < 400:
                runs.append(asyncio.ensure_future(pool["b"].run(str(len(runs)))))
                await asyncio.sleep(0)

        asking = asyncio.ensure_future(keep_asking())
        for number in range(20):
            await pool.reload(texts[(number + 1) % 2])
        await asking

        answers = [message.content for message in await asyncio.gather(*runs)]
        assert [answer.partition(":")[2] for answer in answers] == [str(number) for number in range(400)]
        assert {answer.partition(":")[0] for answer in answers} == {"old", "new"}


async def test_a_run_that_does_not_end_is_not_waited_for_longer_than_the_limit() -> None:
    async with AgentPool[None](manifest_of(), exit_timeout=0.01) as pool:
        opened = GATE.shut()
        stuck = asyncio.ensure_future(pool["b"].run("stuck"))
        await settle()

        assert (await pool.reload(manifest_of(second_version()))).changed == ("b",)
        late = asyncio.ensure_future(pool["b"].run("late"))
        await settle()
        opened.set()

        assert (await stuck).content == "old:stuck"
        assert (await late).content == "new:late"


async def test_a_run_may_have_its_own_pool_reloaded() -> None:
    own = 'r: {max_concurrency: 1, provider: {type: callback, callback: "tests.pool.reload_functions:reloading"}}'
    async with AgentPool[None](manifest_of(own)) as pool:
        POOLS.append((pool, manifest_of(own.replace("1,", "2,"))))

        assert (await pool["r"].run("now")).content == "now: 1 changed (r), 0 unchanged"
        assert pool["r"].max_concurrency == 2


async def test_limits_of_a_node_change_while_it_works() -> None:
    async with AgentPool[None](manifest_of(AGENTS.replace('old"}', 'old"}, max_concurrency: 1'))) as pool:
        done = await pool.reload(manifest_of(AGENTS.replace('old"}', 'old"}, max_concurrency: 2')))
        assert done.changed == ("b",)
        GATE.shut()
        runs = [asyncio.ensure_future(pool["b"].run(str(number))) for number in range(3)]
        await settle()
        assert GATE.calls == ["old:0", "old:1"]

        done = await pool.reload(
            manifest_of(AGENTS.replace('old"}', 'old"}, max_concurrency: 2, mailbox: {capacity: 1}'))
        )
        assert done.changed == ()
        with pytest.raises(Exception, match="full"):
            await asyncio.gather(*(pool["b"].run("too much") for _ in range(2)))
        for run in runs:
            run.cancel()


async def test_a_prompt_file_that_has_changed_changes_its_agent(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("Old prompt.")
    (tmp_path / "m.yml").write_text("agents: {a: {system_prompts: [{file: p.md}]}, b: {}}")
    async with AgentPool[None](tmp_path / "m.yml") as pool:
        assert (await pool.reload()).changed == ()

        (tmp_path / "p.md").write_text("A newer prompt.")

        assert (await pool.reload()).changed == ("a",)
        await pool["a"].run("Hello there.")
        assert "A newer prompt." in str(pool.get_agent("a").history)


# -- what comes and goes ----------------------------------------------------------------------------------------------


async def test_added_nodes_start_and_removed_ones_end_when_their_runs_have() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        opened = GATE.shut()
        removed = pool["b"]
        last = asyncio.ensure_future(removed.run("last"))
        await settle()

        reload = asyncio.ensure_future(pool.reload(manifest_of("a: {system_prompts: [One.]}\nc: {}\nd: {}")))
        await settle()
        assert not reload.done()
        opened.set()
        done = await reload

        assert (done.added, done.removed, done.unchanged) == (("d",), ("b",), ("a", "c"))
        assert (await last).content == "old:last"
        assert list(pool) == ["a", "c", "d"]
        assert (await pool["d"].run("Hello there.")).content
        with pytest.raises(NodeStoppedError):
            await removed.run("too late")
        with pytest.raises(NodeNotFoundError):
            pool["b"]


async def test_a_team_follows_its_members_and_its_own_settings() -> None:
    rest = "teams: {t: {mode: parallel, members: [b, c], shared_prompt: Hi.}}"
    async with AgentPool[None](manifest_of(rest=rest)) as pool:
        team, ref = pool["t"], pool["t"].ref()

        done = await pool.reload(manifest_of(second_version(), rest))
        assert done.changed == ("b",)
        assert (await team.run("x")).content[0] == "new:Hi.\n\nx"

        done = await pool.reload(
            manifest_of(second_version(), rest.replace("[b, c]", "[b, c, a]").replace("Hi.", "Oh."))
        )
        assert done.changed == ("t",)
        assert pool["t"] is team
        assert team.ref() == ref
        assert isinstance(team, Team)
        assert [node.name for node in team.nodes] == ["b", "c", "a"]
        assert (await pool["t"].run("x")).content[0] == "new:Oh.\n\nx"


async def test_a_node_may_turn_into_another_kind_and_teams_around_it_follow() -> None:
    rest = """teams:
  inner: {mode: parallel, members: [a, c]}
  outer: {mode: sequential, members: [inner, b]}"""
    async with AgentPool[None](manifest_of(rest=rest)) as pool:
        outer, old = pool["outer"], pool["inner"]

        done = await pool.reload(manifest_of(rest=rest.replace("parallel", "sequential")))

        assert done.changed == ("inner", "outer")
        assert isinstance(pool["inner"], TeamRun)
        assert isinstance(outer, TeamRun)
        assert outer.nodes[0] is pool["inner"]
        assert pool["outer"] is outer
        assert (await outer.run("Well, hello there.")).content.startswith("old:")
        with pytest.raises(NodeStoppedError):
            await old.run("x")


async def test_a_worker_that_is_another_object_changes_the_agent_that_asks_it() -> None:
    agents, rest = "boss: {workers: [w]}\na: {}", "teams: {w: {mode: parallel, members: [a]}}"
    async with AgentPool[None](manifest_of(agents, rest)) as pool:
        done = await pool.reload(manifest_of(agents, rest.replace("parallel", "sequential")))

        assert done.changed == ("boss", "w")


async def test_teams_that_supervise_their_members_are_reloaded_as_well() -> None:
    rest = "teams: {t: {mode: parallel, members: [b, c], supervision: {strategy: one_for_all}}}"
    async with AgentPool[None](manifest_of(rest=rest)) as pool:
        ref = pool["t"].ref()
        done = await pool.reload(manifest_of(second_version(), rest.replace("one_for_all", "rest_for_one")))

        assert done.changed == ("b", "t")
        assert pool["t"].ref() == ref
        assert (await pool["t"].run("x")).content[0] == "new:x"
        with pytest.raises(ManifestError, match="whether 'b' is supervised"):
            await pool.reload(manifest_of(second_version(), "teams: {t: {mode: parallel, members: [b, c]}}"))


async def test_jobs_follow(tmp_path: Path) -> None:
    async with AgentPool[None](manifest_of(rest="jobs: {j: {prompt: One}, k: {prompt: Two}}")) as pool:
        kept = pool.get_job("k")

        await pool.reload(manifest_of(rest="jobs: {j: {prompt: Other}, k: {prompt: Two}, l: {prompt: Three}}"))

        assert pool.get_job("k") is kept
        assert [await pool.get_job(name).get_prompt() for name in "jl"] == ["Other", "Three"]
        await pool.reload(manifest_of())
        with pytest.raises(NodeNotFoundError):
            pool.get_job("j")


async def test_a_node_says_more_or_less_about_its_runs_when_the_manifest_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="understage.node")
    quiet, loud = AGENTS, AGENTS.replace("c: {}", "c: {debug: true}")
    async with AgentPool[None](manifest_of(quiet)) as pool:
        told: list[int] = []
        for text in (quiet, loud, loud.replace("true}", "true, description: New}"), quiet):
            await pool.reload(manifest_of(text))
            caplog.clear()
            await pool["c"].run("Hello there.")
            told.append(len(caplog.records))

    assert told == [0, 2, 2, 0]


async def test_how_a_team_cares_for_its_members_follows() -> None:
    rest = "teams: {t: {mode: parallel, members: [b], supervision: {strategy: one_for_one}}}"
    async with AgentPool[None](manifest_of(rest=rest)) as pool:
        await pool["t"].run("x")
        done = await pool.reload(
            manifest_of(AGENTS.replace('old"}', 'old"}, max_concurrency: 1, mailbox: {capacity: 1}'), rest)
        )
        assert done.changed == ("b", "t")
        await pool["t"].run("x")

        assert pool["b"].ref().actor_inbox.capacity == 1
        done = await pool.reload(
            manifest_of(AGENTS.replace('old"}', 'old"}, max_concurrency: 1, mailbox: {capacity: 2}'), rest)
        )
        assert done.changed == ("t",)
        await pool["t"].run("x")
        assert pool["b"].ref().actor_inbox.capacity == 2


async def test_jobs_that_were_added_at_run_time_stay() -> None:
    async with AgentPool[None](manifest_of(rest="jobs: {j: {prompt: One}}")) as pool:
        mine = Job(name="mine", prompt="Two")
        pool.register_task("mine", mine)

        await pool.reload(manifest_of(rest="jobs: {k: {prompt: Other}}"))

        assert pool.get_job("mine") is mine
        with pytest.raises(NodeNameError, match="'mine' was added to the pool at run time"):
            await pool.reload(manifest_of(rest="jobs: {mine: {prompt: Other}}"))
