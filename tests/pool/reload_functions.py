"""Functions that manifests of the reload tests name: they say which version answered, and can be held up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic_ai.toolsets import FunctionToolset

from actors.config.load import parse_manifest

if TYPE_CHECKING:
    from actors.config.manifest import Manifest


class Gate:
    """Holds calls up while it is closed, and notes in which order they came and by which version."""

    def __init__(self) -> None:
        self.opened: asyncio.Event | None = None
        self.calls: list[str] = []

    def shut(self) -> asyncio.Event:
        """Hold calls up until the event that is returned is set."""
        self.opened = asyncio.Event()
        return self.opened

    def reset(self) -> None:
        """Begin anew."""
        self.opened = None
        self.calls = []

    async def passed(self, version: str, text: str) -> str:
        """Wait and answer."""
        self.calls.append(f"{version}:{text}")
        if self.opened is not None:
            await self.opened.wait()
        return f"{version}:{text}"


AGENTS = """
a: {system_prompts: [One.]}
b: {provider: {type: callback, callback: "tests.pool.reload_functions:old"}}
c: {}
"""


def manifest_of(agents: str = AGENTS, rest: str = "") -> Manifest:
    """Return a manifest with these agents."""
    lines = "\n".join(f"  {line}" for line in agents.strip().splitlines())
    return parse_manifest(f"allow_imports: [tests.pool]\nagents:\n{lines}\n{rest}")


def second_version(text: str = AGENTS) -> str:
    """Return the agents with the second version of b."""
    return text.replace("reload_functions:old", "reload_functions:new")


GATE = Gate()
POOLS: list[Any] = []
"""For functions that call the pool they are run by."""


async def old(text: str) -> str:
    """Answer as the first version."""
    return await GATE.passed("old", text)


async def new(text: str) -> str:
    """Answer as the second version."""
    return await GATE.passed("new", text)


async def reloading(text: str) -> str:
    """Have the pool reload its manifest from within a run."""
    pool, manifest = POOLS[-1]
    return f"{text}: {await pool.reload(manifest)}"


def broken_fact() -> str:
    """Knowledge that cannot be had."""
    message = "the source is down"
    raise ConnectionError(message)


class StickyToolset(FunctionToolset[Any]):
    """Tools that cannot be closed."""

    async def __aexit__(self, *_exc: object) -> None:
        message = "it sticks"
        raise OSError(message)


def sticky() -> StickyToolset:
    """Return tools that cannot be closed."""
    return StickyToolset()
