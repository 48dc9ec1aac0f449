"""How an agent starts what it needs: collections of tools, servers of tools, knowledge."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import pytest
from pydantic_ai.toolsets import FunctionToolset

from actors.agents.agent import Agent
from actors.agents.manifest.agent import AgentBuilder
from actors.config.load import parse_manifest
from actors.prompts.knowledge import KnowledgeLimit, KnowledgeSource
from actors.testing.leak import Census
from protocols.errors import NodeStartError

Begin = Callable[[str], Awaitable[None]]


class Component(FunctionToolset[Any]):
    """A collection of tools, or a server of tools, that says when it starts and stops."""

    def __init__(self, name: str, begin: Begin, log: list[str]) -> None:
        super().__init__(id=name)
        self.begin = begin
        self.log = log

    async def __aenter__(self) -> Self:
        await self.begin(str(self.id))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.log.append(f"-{self.id}")


def agent_of(begin: Begin, log: list[str], **settings: Any) -> Agent:
    async def load() -> str:
        await begin("knowledge")
        return "Cats sleep."

    return Agent(
        "a",
        toolsets=[Component("tools", begin, log)],
        mcp_servers=[Component("first server", begin, log), Component("second server", begin, log)],
        knowledge=[KnowledgeSource("facts", load, allowance=KnowledgeLimit(1_000))],
        **settings,
    )


@pytest.mark.seed("S85")
@pytest.mark.parametrize("settings", [{}, {"parallel_init": True}])
async def test_components_start_together_by_default(settings: dict[str, bool]) -> None:
    all_are_starting = asyncio.Barrier(4)  # nobody passes it before all four are there
    log: list[str] = []

    async def begin(name: str) -> None:
        await all_are_starting.wait()
        log.append(f"+{name}")

    async with agent_of(begin, log, **settings):
        assert sorted(log) == ["+first server", "+knowledge", "+second server", "+tools"]


@pytest.mark.seed("S85")
async def test_components_start_one_after_the_other_when_asked_for() -> None:
    log: list[str] = []

    async def begin(name: str) -> None:
        log.append(f"{name} starts")
        for _ in range(5):
            await asyncio.sleep(0)
        log.append(f"{name} is there")

    async with agent_of(begin, log, parallel_init=False):
        names = ["tools", "first server", "second server", "knowledge"]
        assert log == [line for name in names for line in (f"{name} starts", f"{name} is there")]
        log.clear()

    assert log == ["-second server", "-first server", "-tools"]


@pytest.mark.seed("S85")
async def test_a_file_of_an_agent_says_how_its_components_start(tmp_path: Path) -> None:
    text = "agents: {a: {model: offline}, b: {model: offline, parallel_init: false}}"
    builder = AgentBuilder(parse_manifest(text))

    assert [Agent.from_definition(builder.definition(name)).is_opened_in_parallel for name in "ab"] == [True, False]


@pytest.mark.seed("S88")
@pytest.mark.parametrize("broken", ["tools", "first server", "second server", "knowledge"])
@pytest.mark.parametrize("parallel", [True, False])
async def test_when_one_component_fails_the_others_are_shut_down(broken: str, parallel: bool) -> None:
    log: list[str] = []
    await Agent("first", model="offline").run("Starts the actor system of this loop.")
    before = Census.take()

    async def begin(name: str) -> None:
        if name == broken:
            text = f"{name} is broken"
            raise OSError(text)
        log.append(f"+{name}")

    with pytest.raises(NodeStartError, match=f"node 'a' could not be opened: .*{broken} is broken") as caught:
        await agent_of(begin, log, parallel_init=parallel).open()

    assert caught.value.__cause__ is not None
    started = {line[1:] for line in log if line[0] == "+"} - {"knowledge"}  # which is only text
    assert {line[1:] for line in log if line[0] == "-"} == started
    assert before.leaks() == []


@pytest.mark.seed("S88")
async def test_a_component_that_hangs_is_not_waited_for_when_another_fails() -> None:
    log: list[str] = []
    starting = asyncio.Event()

    async def begin(name: str) -> None:
        if name == "first server":
            starting.set()
            try:
                await asyncio.Event().wait()
            finally:
                log.append(f"{name} was cancelled")
        if name == "tools":
            await starting.wait()
            text = "no tools"
            raise OSError(text)

    with pytest.raises(NodeStartError, match="no tools"):
        await agent_of(begin, log).open()

    assert "first server was cancelled" in log
    assert "-second server" in log
