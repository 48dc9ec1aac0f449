"""A tool server as its users see it: the first one opens it, all share it, the last one closes it."""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from actors.mcp.connection import McpConnection, NotSentError, Work
from actors.mcp.connection_actor import GetConnection, ServerFactory
from actors.mcp.transport import McpSource
from actors.runtime.cell import System
from actors.runtime.errors import (
    ActorStartError,
    ActorStoppingError,
    AskTimeoutError,
    MailboxFullError,
    RuntimeClosedError,
)
from actors.runtime.loop_refs import LoopRefs
from actors.runtime.ref import ActorRef
from protocols.control import ActorState
from protocols.errors import ToolServerError

T = TypeVar("T")


class McpClient:
    """The actor of one server on each event loop. It starts at the first use, and stops with its last holder."""

    def __init__(self, source: McpSource) -> None:
        self.source = source
        self.name = f"mcp:{source.name}"
        self._home = LoopRefs()
        self._holders: dict[asyncio.AbstractEventLoop, int] = {}
        self._actors: dict[ActorRef[Any], ActorRef[Any]] = {}

    @asynccontextmanager
    async def held(self, system: System | None = None) -> AsyncGenerator[None]:
        """Start the server if it is not running, and release it at the end of the block.

        Args:
            system: the system of its actor; None for that of the running handler or loop.

        Raises:
            ToolServerError: the server could not be started.
        """
        loop = asyncio.get_running_loop()
        self._holders[loop] = self._holders.get(loop, 0) + 1
        try:
            await self._actor(system)
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        """Release the server. The last holder stops it and waits for its end."""
        loop = asyncio.get_running_loop()
        holders = self._holders.pop(loop, 1) - 1
        if holders:
            self._holders[loop] = holders
            return
        await self._stop()

    async def let_go(self) -> None:
        """Stop a server without holders, which a run has started."""
        if asyncio.get_running_loop() not in self._holders:
            await self._stop()

    async def _stop(self) -> None:
        ref = self._home.find()
        if ref is not None:
            self._actors.pop(ref, None)
            is_starting = ref.state is ActorState.STARTING  # a start without waiting callers is cancelled
            await (ref.stop(timeout=0) if is_starting else ref.stop())

    @property
    def is_down(self) -> bool:
        """True if the server has died and is not back yet."""
        ref = self._home.find()
        actor = None if ref is None else self._actors.get(ref)
        return actor is not None and actor.state is ActorState.RESTARTING

    async def call(self, work: Work[T], what: str, timeout: float = math.inf) -> T:
        """Use the connection. A request that a dead connection could not send is sent once more on the next one.

        Args:
            work: called with the toolset of the connection.
            what: name of the operation, for errors.
            timeout: seconds that it may take, a restart included; the limit of the server holds as well.

        Raises:
            ModelRetry: the server answered with an error, or not in time.
            ToolServerError: the server could not be started, was lost meanwhile, or was not back in time.
            Exception: raised by a toolset that is not an MCP client.
        """
        actor = await self._actor()
        clock = actor.system.clock
        end = clock.now() + min(timeout, self.source.call_timeout)
        for is_last in (False, True):
            connection = await self._lease(actor, end - clock.now())
            try:
                await connection.look(end - clock.now())
                return await connection.run(work, what, end - clock.now())
            except NotSentError as error:
                if is_last:
                    why = error.__cause__ or "the connection has ended again"
                    raise self.source.error(f" cannot be reached: {why}") from error.__cause__
        raise AssertionError

    async def _lease(self, actor: ActorRef[Any], seconds: float) -> McpConnection:
        """Return the connection. Waits for a restart if there is none."""
        timeout = None if math.isinf(seconds) else max(seconds, 0.0)
        try:
            connection: McpConnection = await actor.ask(GetConnection(), timeout=timeout)
        except AskTimeoutError as error:
            raise self.source.error(f" is being restarted, and was not back within {seconds:.3g} s") from error
        except (ActorStoppingError, MailboxFullError) as error:
            raise self.source.error(f" takes no calls: {error}") from error
        return connection

    async def _actor(self, system: System | None = None) -> ActorRef[Any]:
        """Return the ref of the server's actor, which stays the same over restarts."""
        supervisor = self._home.find()
        if supervisor is None:
            self._actors.clear()
            try:
                supervisor = self._home.start(ServerFactory(self.source), self, system)
            except RuntimeClosedError as error:
                raise self.source.error(f" has been stopped: {error}") from error
            self._home.settle(supervisor, asyncio.get_running_loop(), is_owned=False)
        known = self._actors.get(supervisor)
        if known is not None:
            return known
        try:
            await asyncio.shield(supervisor.ready())  # others may wait for it as well
        except ActorStartError as error:
            reason = _reason(error)
            if reason is None:
                raise self.source.error(f" could not be started: {error}") from error
            raise ToolServerError(f"{reason}", server=self.source.name) from reason.__cause__ or error
        child = await supervisor.proxy().get_child(self.source.name)
        actor: ActorRef[Any] = child.ref
        self._actors[supervisor] = actor
        return actor


def _reason(error: BaseException | None) -> ToolServerError | None:
    """Return the error of the server's actor about its failed start, without those of the supervisors."""
    while error is not None and not isinstance(error, ToolServerError):
        error = error.__cause__
    return error
