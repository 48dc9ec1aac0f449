"""Manifests that cannot be applied to a running pool, and circumstances in which a reload may come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.pool.pool import AgentPool
from actors.testing.settle import settle
from protocols.errors import ConfigError, ManifestError, NodeError, NodeNameError, NodeStartError, NodeStoppedError
from tests.pool.reload_functions import AGENTS, GATE, manifest_of, second_version

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors", "fresh_gate")

# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agents", "rest", "error", "text"),
    [
        ("a: {modell: x}", "", ManifestError, "modell"),
        ("a: {}", "storage: {}", ManifestError, "storage: where history is kept cannot be changed"),
        ("a: {}", "journal: true", ManifestError, "journal: where accepted messages are kept cannot be changed"),
        ("a: {durable: true}", "", ManifestError, "journal: where accepted messages are kept cannot be changed"),
        ("a: {}", "supervision: {strategy: one_for_all}", ManifestError, "supervision.strategy"),
        ('a: {tools: ["tests.pool.reload_functions:missing"]}', "", ConfigError, "missing"),
        (
            'a: {}\nz: {knowledge: {prompts: [{callable: "tests.pool.reload_functions:broken_fact"}]}}',
            "",
            NodeStartError,
            "source is down",
        ),
        (
            'a: {knowledge: {prompts: [{callable: "tests.pool.reload_functions:broken_fact"}]}}\nz: {}',
            "",
            NodeStartError,
            "source is down",
        ),
        ("a: {}\nlate: {}", "", NodeNameError, "'late' was added to the pool at run time"),
        ("c: {}", "", NodeError, "'a' is needed by team 'mine'"),
    ],
)
async def test_a_manifest_that_cannot_be_applied_changes_nothing(
    agents: str, rest: str, error: type[Exception], text: str
) -> None:
    async with AgentPool[None](manifest_of()) as pool:
        await pool.add_agent("late", model="offline")
        pool.create_team(["a", "late"], name="mine")
        before = dict(pool), {name: (node.ref(), node.ref().incarnation) for name, node in pool.items()}
        manifest = pool.manifest

        with pytest.raises(error, match=text):
            await pool.reload(manifest_of(agents, rest))

        assert (dict(pool), {name: (node.ref(), node.ref().incarnation) for name, node in pool.items()}) == before
        assert pool.manifest is manifest
        assert (await pool["b"].run("still here")).content == "old:still here"
        assert (await pool.reload(manifest_of(second_version()))).changed == ("b",)


async def test_a_file_that_is_wrong_changes_nothing_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text("agents: {a: {}}")
    async with AgentPool[None](path) as pool:
        path.write_text("agents:\n  a: {}\n  b: {retries: many}\n")
        with pytest.raises(ManifestError, match=r"m\.yml:3"):
            await pool.reload()
        path.unlink()
        with pytest.raises(ManifestError):
            await pool.reload()

        assert list(pool) == ["a"]


async def test_a_pool_without_a_file_has_nothing_to_read_again() -> None:
    with pytest.raises(ManifestError, match="was not made from a file; pass the manifest"):
        await AgentPool[None]().reload()


# -- circumstances ----------------------------------------------------------------------------------------------------


async def test_nodes_that_were_added_at_run_time_stay() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        late = await pool.add_agent("late", model="offline")
        team = pool.create_team(["b", "late"], name="mine")

        await pool.reload(manifest_of(second_version() + "d: {}"))

        assert list(pool) == ["a", "b", "c", "d", "late", "mine"]
        assert pool["late"] is late
        assert (await team.run("Hello there.")).content == ["new:Hello there.", "Hello there."]


async def test_a_node_that_was_replaced_at_run_time_is_left_alone_unless_the_manifest_changes_it() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        mine = Agent[Any, Any]("b", model="offline")
        await pool.replace_node("b", mine)

        assert (await pool.reload(manifest_of(AGENTS.replace("One.", "Two.")))).changed == ("a",)
        assert pool["b"] is mine
        with pytest.raises(NodeNameError):
            await pool.reload(manifest_of(second_version()))


async def test_a_node_that_was_removed_at_run_time_comes_back() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        await pool.remove_node("b")

        assert (await pool.reload(manifest_of())).added == ("b",)
        assert (await pool["b"].run("x")).content == "old:x"


async def test_a_node_that_its_supervisor_has_given_up_lives_again_when_it_is_changed() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        await pool["b"].ref().stop()
        await settle()
        with pytest.raises(NodeStoppedError):
            await pool["b"].run("x")

        await pool.reload(manifest_of(second_version()))

        assert (await pool["b"].run("x")).content == "new:x"


async def test_a_pool_that_does_not_run_takes_another_manifest_too() -> None:
    pool = AgentPool[None](manifest_of())

    done = await pool.reload(manifest_of(second_version() + "d: {}"))

    assert (done.changed, done.added) == (("b",), ("d",))
    async with pool:
        assert (await pool["b"].run("x")).content == "new:x"
        assert (await pool["d"].run("Hello there.")).content


async def test_reloads_at_the_same_time_follow_each_other() -> None:
    texts = [manifest_of(AGENTS.replace("One.", f"No {number}.") + f"n{number}: {{}}") for number in range(5)]
    async with AgentPool[None](manifest_of()) as pool:
        done = await asyncio.gather(*(pool.reload(text) for text in texts))

        assert [each.added for each in done] == [(f"n{number}",) for number in range(5)]
        assert [each.removed for each in done] == [()] + [(f"n{number}",) for number in range(4)]
        assert list(pool) == ["a", "b", "c", "n4"]


async def test_a_reload_that_is_cancelled_is_done_to_its_end_or_not_at_all() -> None:
    async with AgentPool[None](manifest_of()) as pool:
        opened = GATE.shut()
        run = asyncio.ensure_future(pool["b"].run("x"))
        await settle()
        reload = asyncio.ensure_future(pool.reload(manifest_of(second_version() + "d: {}")))
        await settle()

        reload.cancel()
        await settle()
        opened.set()
        with pytest.raises(asyncio.CancelledError):
            await reload

        assert (await run).content == "old:x"
        assert (await pool["b"].run("x")).content == "new:x"
        assert (await pool["d"].run("Hello there.")).content


async def test_what_cannot_be_closed_does_not_keep_the_rest_from_changing(caplog: pytest.LogCaptureFixture) -> None:
    before = AGENTS.replace("One.]", 'One.], toolsets: ["tests.pool.reload_functions:sticky"]')
    async with AgentPool[None](manifest_of(before)) as pool:
        done = await pool.reload(manifest_of(second_version() + "d: {connections: [{type: node, name: b}]}"))

        assert (done.changed, done.added) == (("a", "b"), ("d",))
        await pool["d"].run("Hello there.", wait_for_connections=True)
        assert GATE.calls == ["new:Hello there."]
    assert "what it needed before could not be closed" in caplog.text
