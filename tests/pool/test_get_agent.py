from typing import Any

import pytest
from pydantic_ai import RunContext

from actors import Agent, AgentPool
from actors.config.load import parse_manifest
from actors.testing.models import echo_model, scripted_model
from actors.testing.settle import settle
from protocols.errors import ConfigError, NodeNameError, NodeStoppedError

TEXT = """
agents: {a: {model: test}, b: {model: test}}
responses:
  City: {response_schema: {type: inline, fields: {name: {type: str, description: Its name}}}}
"""


def pool_of() -> AgentPool[Any]:
    return AgentPool[Any](parse_manifest(TEXT))


async def test_overrides_leave_the_agent_of_the_pool_as_it_is() -> None:
    async with pool_of() as pool:
        shared = pool.get_agent("a")
        own = pool.get_agent("a", deps=7, return_type=int, model_override=scripted_model(['{"response": 3}']))

        assert (await own.run("x")).content == 3
        assert (own.name, own.settings.deps, len(own.history)) == ("a", 7, 2)
        assert (shared.settings.deps, shared.model, shared.history) == (None, "test", ())
        assert pool["a"] is shared
        assert pool.get_agent("a") is shared


async def test_each_override_stands_alone() -> None:
    async with pool_of() as pool:
        model = pool.get_agent("a", model_override=echo_model("<{prompt}>"))
        stateless = pool.get_agent("a", session=False)

        assert (await model.run("x")).content == "<x>"
        assert pool.get_agent(model, deps=1).model is model.model
        await stateless.run("x")
        assert stateless.history == ()
        assert stateless.max_concurrency > 1


async def test_an_answer_may_be_a_response_of_the_manifest() -> None:
    async with pool_of() as pool:
        city = pool.get_agent("a", return_type="City", model_override=scripted_model(['{"name": "Rome"}']))

        assert (await city.run("x")).content.name == "Rome"
        with pytest.raises(ConfigError, match="Town"):
            pool.get_agent("a", return_type="Town")


async def test_what_was_made_with_overrides_ends_with_the_pool(no_leaked_actors: None) -> None:
    async with pool_of() as pool:
        own = pool.get_agent("a", session=False)
        await own.run("x")
    await settle()

    with pytest.raises(NodeStoppedError):
        await own.run("x")


async def test_the_connections_of_the_agent_of_the_pool_stay_its_own() -> None:
    async with pool_of() as pool:
        _ = pool["a"] >> pool["b"]
        await pool.get_agent("a", session=False).run("x", wait_for_connections=True)

        assert pool["b"].total_stats.message_count == 0


async def test_a_function_takes_other_dependencies_only() -> None:
    agent = Agent.from_callback(str.upper, name="f")
    pool = AgentPool[Any]()
    await pool.add_node(agent)

    assert pool.get_agent("f", deps=3).settings.deps == 3
    with pytest.raises(ConfigError, match="needs a model, but it answers by a function"):
        pool.get_agent("f", model_override="test")
    assert (await agent.run("x")).content == "X"


async def test_tools_see_the_dependencies_of_the_override() -> None:
    def mine(ctx: RunContext[int]) -> str:
        """Say whose it is."""
        return f"mine: {ctx.deps}"

    agent = Agent("a", model="test", deps_type=int, deps=1, tools=[mine], session=False)

    assert "mine: 2" in (await agent.variant(deps=2).run("x")).content
    assert "mine: 1" in (await agent.run("x")).content


async def test_a_job_can_be_registered() -> None:
    from_code = pool_of()
    job: Any = object()
    from_code.register_task("digest", job)

    assert from_code.get_job("digest") is job
    with pytest.raises(NodeNameError, match="a job named 'digest' is in the pool already"):
        from_code.register_task("digest", job)
