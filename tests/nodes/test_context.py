import pytest

from actors import Agent, AgentPool, Team, TeamRun
from tests.support.nodes import echo_agent


async def test_a_node_knows_its_pool_and_what_it_was_made_with() -> None:
    async with AgentPool[None]() as pool:
        agent = await pool.add_agent("a", model="test", deps=7)
        context = agent.context

        assert (context.node_name, context.pool, context.data) == ("a", pool, 7)
        assert context.config is agent.settings
        assert context.manifest is pool.manifest
    assert agent.context.pool is None


def test_a_node_outside_of_any_pool_has_none() -> None:
    context = (echo_agent("a") & echo_agent("b")).context

    assert (context.pool, context.manifest, context.data) == (None, None, None)


async def test_the_pool_of_a_team_is_that_of_its_members() -> None:
    async with AgentPool[None]() as pool:
        a, b = await pool.add_agent("a"), await pool.add_agent("b")

        assert (a & b).context.pool is pool
        assert (echo_agent("x") | (a & b)).context.pool is pool
        assert pool.create_team(["a"], name="t").context.pool is pool
        assert TeamRun([echo_agent("x")], validator=a).context.pool is pool


async def test_members_of_different_pools_have_no_common_one() -> None:
    async with AgentPool[None]() as here, AgentPool[None]() as there:
        a, b = await here.add_agent("a", model="test"), await there.add_agent("b", model="test")
        team = Team([a, echo_agent("x") | b], name="mixed")

        with pytest.raises(ValueError, match="team 'mixed': its members are in different pools"):
            _ = team.context
        assert len((await team.run("q")).content) == 2


@pytest.mark.parametrize("node", [Agent("a"), echo_agent("a") & echo_agent("b"), echo_agent("a") | echo_agent("b")])
def test_the_context_cannot_be_set(node: Agent) -> None:
    with pytest.raises(RuntimeError, match="its context cannot be set"):
        node.context = None
