"""The pool as a registry: finding, adding, removing and replacing nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.agents.agent import Agent
from actors.config.load import parse_manifest
from actors.config.manifest import Manifest
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.pool import AgentPool
from protocols.errors import (
    ManifestError,
    NodeError,
    NodeNameError,
    NodeNotFoundError,
    NodeStoppedError,
    TalkNameError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from actors.nodes.base_team import BaseTeam

TEXT = """
agents:
  analyzer: {description: Looks}
  planner: {}
  executor: {}
teams:
  outer: {mode: sequential, members: [inner, executor]}
  inner: {mode: parallel, members: [analyzer, planner]}
"""


def pool_of(text: str = TEXT) -> AgentPool[None]:
    return AgentPool[None](parse_manifest(text))


def shout(name: str) -> Agent[object, str]:
    return Agent.from_callback(str.upper, name=name)


@pytest.mark.seed("S73")
async def test_a_manifest_file_is_loaded_and_its_agents_are_found_by_name(tmp_path: Path) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    async with AgentPool[None](str(file)) as pool:
        assert pool.get_agent("analyzer").name == "analyzer"
        with pytest.raises(KeyError, match="no node 'analyser' in the pool; did you mean 'analyzer'"):
            pool.get_agent("analyser")


def test_a_pool_is_a_mapping_of_names_to_nodes() -> None:
    pool = pool_of()

    assert list(pool) == ["analyzer", "planner", "executor", "inner", "outer"]
    assert (len(pool), "inner" in pool, "nobody" in pool) == (5, True, False)
    assert pool["outer"] is pool.nodes["outer"] is pool.teams["outer"]
    assert list(pool.agents) == ["analyzer", "planner", "executor"]
    assert list(pool.teams) == ["inner", "outer"]
    assert pool.get("nobody") is None
    assert dict(pool.items()) == pool.nodes


def test_two_pools_with_the_same_nodes_are_two_pools() -> None:
    first, second = AgentPool[None](), AgentPool[None]()

    assert first != second
    assert len({first, second}) == 2


def test_teams_nest_in_any_order_of_the_manifest() -> None:
    pool = pool_of()
    outer = pool["outer"]
    assert isinstance(outer, TeamRun)

    assert [node.name for node in outer.nodes] == ["inner", "executor"]
    assert outer.nodes[0] is pool["inner"]
    assert isinstance(pool["inner"], Team)


def test_what_get_agent_is_given_as_an_agent_comes_back() -> None:
    agent = shout("a")

    assert AgentPool[None]().get_agent(agent) is agent


def test_a_team_is_no_agent() -> None:
    with pytest.raises(NodeNotFoundError, match="'inner' is no agent but a team"):
        pool_of().get_agent("inner")


@pytest.mark.parametrize("given", [5, b"agents.yml", ["agents.yml"], {"agents": {}}])
def test_a_pool_is_not_made_from_anything_else(given: object) -> None:
    with pytest.raises(ManifestError, match="path of a manifest, a Manifest, or nothing"):
        AgentPool[None](given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content", ["agents: [", "agents: {a: {modle: x}}", "teams: {t: {mode: parallel, members: [x]}}"]
)
def test_a_faulty_manifest_is_refused_before_anything_is_made(tmp_path: Path, content: str) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(ValueError, match=r"agents\.yml:\d"):
        AgentPool[None](file)


def test_the_default_model_is_for_agents_that_name_none() -> None:
    pool = AgentPool[None](parse_manifest("agents: {own: {model: offline}, other: {}}"), model="test")

    assert (pool.get_agent("own").model, pool.get_agent("other").model) == ("offline", "test")


# -- adding -----------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S64")
async def test_an_agent_is_added_to_a_running_pool_and_runs(no_leaked_actors: None) -> None:
    async with AgentPool[None]() as pool:
        agent = await pool.add_agent("n", system_prompt="One sentence.")

        assert isinstance(agent, Agent)
        assert pool["n"] is agent
        assert (await agent.run("Cats sleep for many hours.")).content == "Cats sleep for many hours."
    assert pool.agents == {}


async def test_an_agent_added_before_the_start_is_started_with_the_pool(no_leaked_actors: None) -> None:
    pool = AgentPool[None](model="test")
    agent = await pool.add_agent("n")
    async with pool:
        assert (await agent.run("hi")).model_name == "test"


async def test_added_agents_get_the_dependencies_of_the_pool(no_leaked_actors: None) -> None:
    async with AgentPool[str](shared_deps="shared") as pool:
        own = await pool.add_agent("own", deps="mine")
        other = await pool.add_agent("other")

    assert (own.settings.deps, other.settings.deps) == ("mine", "shared")


@pytest.mark.parametrize("name", ["analyzer", "inner"])
async def test_a_name_that_is_taken_is_refused(name: str) -> None:
    pool = pool_of()
    with pytest.raises(NodeNameError, match=f"a node named {name!r} is in the pool already"):
        await pool.add_agent(name)

    assert len(pool) == 5


@pytest.mark.parametrize("name", ["", "  "])
async def test_an_empty_name_is_refused(name: str) -> None:
    with pytest.raises(NodeNameError):
        await AgentPool[None]().add_agent(name)


async def test_an_unknown_setting_is_refused_and_nothing_is_added() -> None:
    pool = AgentPool[None]()
    with pytest.raises(TypeError, match="retrys"):
        await pool.add_agent("n", retrys=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]

    assert len(pool) == 0


async def test_connections_can_name_nodes_of_the_pool(no_leaked_actors: None) -> None:
    async with AgentPool[None]() as pool:
        await pool.add_node(shout("a"))
        await pool.add_node(shout("b"))
        talk = pool["a"] >> "b"

        assert list(pool.connection_registry.values()) == [talk]
        with pytest.raises(NodeNotFoundError, match="no node 'c'"):
            pool["a"].connect_to("c")
        pool["a"].connect_to("b", name="mine")
        with pytest.raises(TalkNameError):
            pool["b"].connect_to("a", name="mine")


# -- removing and replacing -------------------------------------------------------------------------------------------


async def test_a_removed_node_is_stopped_and_gone(no_leaked_actors: None) -> None:
    async with AgentPool[None]() as pool:
        await pool.add_node(shout("a"))
        node = await pool.remove_node("a")

        assert "a" not in pool
        with pytest.raises(NodeStoppedError):
            await node.run("hi")
        await pool.add_node(shout("a"))
        assert (await pool["a"].run("hi")).content == "HI"


async def test_a_node_that_a_team_needs_is_not_removed(no_leaked_actors: None) -> None:
    async with pool_of() as pool:
        with pytest.raises(NodeError, match="node 'executor' is a member of 'outer'"):
            await pool.remove_node("executor")

        assert (await pool["executor"].run("Cats sleep.")).content == "Cats sleep."


async def test_a_replaced_node_hands_its_place_over(no_leaked_actors: None) -> None:
    async with AgentPool[None]() as pool:
        await pool.add_node(shout("a"))
        old = await pool.replace_node("a", Agent.from_callback(str.lower, name="a"))

        assert (await pool["a"].run("Hi")).content == "hi"
        with pytest.raises(NodeStoppedError):
            await old.run("hi")


@pytest.mark.parametrize("name", ["nobody", "", "Analyzer"])
async def test_what_is_not_there_is_neither_removed_nor_replaced(name: str) -> None:
    pool = pool_of()
    with pytest.raises(NodeNotFoundError):
        await pool.remove_node(name)
    with pytest.raises(NodeNotFoundError):
        await pool.replace_node(name, shout("x"))

    assert len(pool) == 5


# -- teams ------------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S44")
async def test_a_team_is_made_of_names_and_nodes(no_leaked_actors: None) -> None:
    async with pool_of() as pool:
        team = pool.create_team(["analyzer", pool["planner"], "executor"])

        assert isinstance(team, Team)
        assert [node.name for node in team.nodes] == ["analyzer", "planner", "executor"]
        with pytest.raises(KeyError, match="no node 'plannr' in the pool; did you mean 'planner'"):
            pool.create_team(["plannr"])


@pytest.mark.seed("S47")
async def test_a_chain_is_made_of_names(no_leaked_actors: None) -> None:
    async with pool_of() as pool:
        run = pool.create_team_run(["analyzer", "planner"], validator="executor")
        answer = await run.run("Cats sleep for many hours.")

        assert isinstance(run, TeamRun)
        assert answer.metadata["execution_order"] == ["analyzer", "planner", "executor"]


def test_a_team_without_names_has_all_agents() -> None:
    assert [node.name for node in pool_of().create_team().nodes] == ["analyzer", "planner", "executor"]


@pytest.mark.parametrize("make", ["create_team", "create_team_run"])
def test_a_team_is_in_the_pool_only_when_it_has_a_name(make: str) -> None:
    pool = pool_of()
    unnamed: BaseTeam[object, object] = getattr(pool, make)(["analyzer", "planner"])
    named: BaseTeam[object, object] = getattr(pool, make)(["analyzer"], name="mine")

    assert unnamed.name not in pool
    assert pool["mine"] is named
    with pytest.raises(NodeNameError, match="'mine' is in the pool already"):
        getattr(pool, make)(["planner"], name="mine")


@pytest.mark.parametrize("name", ["nobody", "", "do it"])
def test_an_unknown_job_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError, match="no job"):
        pool_of().get_job(name)


def test_a_manifest_may_be_empty() -> None:
    assert len(AgentPool[None](Manifest())) == 0
