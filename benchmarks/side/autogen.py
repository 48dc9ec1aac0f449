"""autogen-core: an agent as its documentation writes one, on the single-threaded runtime."""
# No `from __future__ import annotations`: autogen-core reads the types of a handler when it is decorated.
# pyright: basic, reportMissingImports=false

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from autogen_core import AgentId, MessageContext, RoutedAgent, SingleThreadedAgentRuntime, message_handler

_KIND = "echo"


@dataclass
class Ping:
    """The message."""

    number: int


class Echo(RoutedAgent):
    """Answers with what it gets."""

    @message_handler
    async def on_ping(self, message: Ping, ctx: MessageContext) -> Ping:
        """Return the message."""
        return message


def addresses(count: int) -> list[AgentId]:
    """Addresses of ``count`` agents; each comes to life with its first message."""
    return [AgentId(_KIND, str(number)) for number in range(count)]


@asynccontextmanager
async def running() -> AsyncIterator[SingleThreadedAgentRuntime]:
    """A running runtime that knows how to make echo agents."""
    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, _KIND, lambda: Echo("echo"))
    runtime.start()
    try:
        yield runtime
    finally:
        await runtime.stop()
        await runtime.close()
