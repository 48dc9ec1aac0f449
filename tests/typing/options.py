"""Options as users write them: the checkers know each by its name and its type."""

from typing import Any, assert_type

from pydantic import BaseModel
from pydantic_ai import RunContext

from actors.agents.agent import Agent
from actors.app.pool import AgentPool
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.runs.stream import RunStream
from actors.runtime.actor import AsyncioActor
from actors.supervision.child import ChildSpec
from protocols.messages import ChatMessage


class City(BaseModel):
    name: str


class Login:
    user: str = ""


pool: AgentPool[None] = AgentPool()
plain = Agent("plain")
logged = Agent("logged", deps_type=Login, deps=Login())


async def a_pool_makes_agents_of_the_types_that_it_is_told() -> None:
    assert_type(await pool.add_agent("plain"), Agent[object, str])
    assert_type(await pool.add_agent("city", deps_type=Login, output_type=City), Agent[Login, City])
    await pool.add_agent("x", timeuot=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await pool.add_agent("x", session_ttl="1h")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await pool.add_node(plain), Agent[object, str])
    await pool.add_agent(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_pool_gives_agents_of_the_types_that_it_is_asked_for() -> None:
    assert_type(pool.agent("x"), Agent[Any, Any])
    assert_type(pool.agent("x", Login), Agent[Login, Any])
    assert_type(pool.agent("x", Login, City), Agent[Login, City])
    assert_type((await pool.agent("x", Login, City).run("y", deps=Login())).content, City)
    assert_type(pool.get_agent("x", return_type=City), Agent[Any, City])
    assert_type(pool.get_agent("x", output_type=City), Agent[Any, City])
    pool.agent("x", Login, 3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    pool.get_agent("x", session="no")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def words_are_those_that_there_are() -> None:
    Team([plain], policy="all", strategy="one_for_all")
    Team([plain], policy="most")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    Team([plain], strategy="one_for_some")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    TeamRun([plain], result_mode="first")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    pool.create_team(policy="most")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pool.create_team_run(result_mode="first")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Agent("x", end_strategy="late")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Agent("x", requires_tool_confirmation="often")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Agent("x", placement="here")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain.connect_to(logged, connection_type="walk")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    plain.connect_to(logged, overflow="wait")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    plain.cancel_run("run", mode="later")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec(AsyncioActor, restart="always")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ChildSpec(AsyncioActor, (1, 2), restart="transient")


async def dependencies_are_of_the_type_that_the_agent_has() -> None:
    assert_type(logged, Agent[Login, str])
    assert_type(await logged.run("x", deps=Login()), ChatMessage[str])
    await logged.run("x", deps="Ann")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    logged.run_sync("x", deps=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    logged.run_stream("x", deps=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await logged.run_in_background("x", deps=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await (logged | plain).run("x", deps=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    logged.variant(deps=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await plain.run("x", deps=3)  # an agent that names no type takes any


async def streams_may_answer_something_else() -> None:
    assert_type(plain.run_stream("x", output_type=City), RunStream[City])
    assert_type(plain.run_stream("x"), RunStream[str])


async def tools_and_instructions_read_the_dependencies_of_their_agent() -> None:
    @logged.tool
    def who(ctx: RunContext[Login], word: str) -> str:
        return ctx.deps.user + word

    @logged.tool(retries=2, requires_approval=True)
    async def wait(ctx: RunContext[Login]) -> str:
        return ctx.deps.user

    @logged.tool_plain(name="add")
    def plus(left: int, right: int) -> int:
        return left + right

    @logged.instructions
    def brief(ctx: RunContext[Login]) -> str:
        return ctx.deps.user

    @logged.tool  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    def other(ctx: RunContext[City]) -> str:
        return ctx.deps.name

    @logged.tool(retry=2)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]
    def unknown(ctx: RunContext[Login]) -> str:
        return ctx.deps.user

    assert_type(plus(1, 2), Any)
    assert all((who, wait, brief, other, unknown))
