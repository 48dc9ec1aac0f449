"""One life of the connection to a server of tools."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, TypeVar

from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.toolsets import AbstractToolset

from actors.mcp.transport import McpSource
from actors.runtime.intake import carry
from protocols.clock import Clock
from protocols.errors import ToolServerError

T = TypeVar("T")

MOST_CALLS = 1_000
"""Calls of one server that go on at the same time."""

DRAIN = 5.0
"""Seconds that calls may go on when a server is told to stop."""

_TRUSTED = 5.0
"""Seconds for which a server that has answered is taken to be there."""

_CONNECTION_CLOSED = -32000
"""Code with which the mcp library ends the requests that were open when a connection was lost."""

_log = logging.getLogger("understudy")


class NotSentError(Exception):
    """The connection had ended before the request was sent, so it can be sent on the next one."""


class McpConnection:
    """Enters the server, lends it to callers, and leaves it, entering and leaving in one and the same task.

    Calls go on in the tasks of their callers. That is safe (read in mcp 2.3 and fastmcp 4.2): the session's streams
    and task group belong to the task that fastmcp's client made when it was entered; a request from any other task is
    written to a stream and waits for an event, every request has an id, and cancelling the waiting task sends
    ``notifications/cancelled``. Only entering and leaving must not change the task, because of anyio's cancel scopes.
    """

    def __init__(self, source: McpSource, clock: Clock) -> None:
        self.source = source
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server can be used, or could not be started."""
        self._clock = clock
        self._toolset: AbstractToolset[Any] | None = None
        self._over = asyncio.Event()
        self._cause: Exception | None = None
        self._why = ""
        self._is_wanted = True
        self._calls: set[asyncio.Task[Any]] = set()
        self._heard = clock.now()

    @property
    def is_over(self) -> bool:
        """Whether it takes no calls any more."""
        return self._over.is_set()

    @property
    def lost(self) -> str | None:
        """Why it ended by itself; None while it lives, and when it was told to end."""
        return str(self._lost()) if self._is_wanted and self.is_over else None

    def end(self) -> None:
        """Leave the server; calls that go on have `DRAIN` seconds to end, and are cancelled then."""
        self._is_wanted = False
        self._over.set()

    async def live(self) -> None:
        """Enter the server, wait for the end, and leave it. What goes wrong is in `opened` and `lost`."""
        try:
            async with self.source.connected(self._ended) as self._toolset:
                self.opened.set_result(None)
                await self._over.wait()
                await self._end_calls()
        except Exception as error:  # leaving a dead connection raises once more what it died of
            self._cause = self._cause or error
            _log.debug("MCP server %s: left with %r", self.source.name, error)
        finally:
            self._over.set()
            if not self.opened.done():
                self._fail_start()
            # What is kept of a crash, such as its traceback in the dead letters, leads here; it need not lead on.
            self._why, self._toolset, self._cause = self._reason, None, None

    def _fail_start(self) -> None:
        if self._cause is None:
            self.opened.cancel()
        else:
            self._is_wanted = False
            self.opened.set_exception(self._cause)

    def _ended(self) -> None:
        self._over.set()

    async def _end_calls(self) -> None:
        timer = self._clock.call_later(DRAIN if not self._is_wanted else 0.0, self._cancel_calls)
        if self._calls:
            await asyncio.wait(self._calls)
        timer.cancel()

    def _cancel_calls(self) -> None:
        for call in self._calls:
            call.cancel()

    async def look(self, timeout: float) -> None:
        """Make sure that an HTTP server is still there, if it has not been heard of for a while.

        Nothing tells that it has gone, and what is sent then may or may not have been done: so ask for its tools, which
        does no harm.

        Raises:
            NotSentError: it has gone, or is another process by now.
        """
        if not isinstance(self.source.target, str) or self._clock.now() - self._heard < _TRUSTED:
            return
        try:
            await self.run(lambda toolset: _client_of(toolset).list_tools(), "a look whether it is there", timeout)
        except ToolServerError as error:
            raise NotSentError from error.__cause__ or error

    # -- calls ----------------------------------------------------------------------------------------------------

    async def run(self, work: Callable[[AbstractToolset[Any]], Awaitable[T]], what: str, timeout: float) -> T:
        """Do something with the server, in a task of the caller's context.

        Args:
            work: called with the toolset.
            what: what it does, for errors.
            timeout: seconds until it is cancelled; infinity never.

        Raises:
            NotSentError: nothing was sent, because the connection had ended.
            ModelRetry: the server answered with an error, or not in time.
            ToolServerError: the connection was lost; the cause is chained.
            Exception: what a toolset that is no MCP client raised.
        """
        if self.is_over or self._toolset is None:
            raise NotSentError
        if len(self._calls) >= MOST_CALLS:
            msg = f"MCP server {self.source.name!r}: {MOST_CALLS} calls go on already, so {what} was refused"
            raise ToolServerError(msg, server=self.source.name)
        context = _context() if hasattr(self._toolset, "client") else None
        call = asyncio.get_running_loop().create_task(_do(work, self._toolset), context=context)
        self._calls.add(call)
        expired: list[bool] = []
        timer = None if math.isinf(timeout) else self._clock.call_later(timeout, _expire, call, expired)
        try:
            await asyncio.wait({call})
            return self._outcome(call, what, timeout if expired else None)
        finally:
            if timer is not None:
                timer.cancel()
            await self._cancelled(call)
            self._calls.discard(call)

    async def _cancelled(self, call: asyncio.Task[Any]) -> None:
        """Have a call told that its caller is gone; the library bounds what that takes."""
        if not call.done():
            call.cancel()
            await asyncio.wait({call})

    def _outcome(self, call: asyncio.Task[T], what: str, expired: float | None) -> T:
        if call.cancelled():
            if expired is not None:
                text = f"MCP server {self.source.name!r}: {what} had no answer within {expired:.3g} s"
                raise ModelRetry(text)  # as for tools that are functions, the model may try something else
            raise self._lost(what)
        error = call.exception()
        if error is None:
            self._heard = self._clock.now()
            return call.result()
        cause = _loss(error, self._toolset)
        if cause is None:
            raise error
        self._cause = self._cause or cause
        self._over.set()
        if type(cause).__name__ == "ConnectError":
            raise NotSentError from cause
        raise self._lost(what) from cause

    @property
    def _reason(self) -> str:
        return str(self._cause or "Connection closed")

    def _lost(self, what: str = "") -> ToolServerError:
        during = f" during {what}" if what else ""
        text = f"MCP server {self.source.name!r}: the connection was lost{during}: {self._why or self._reason}"
        error = ToolServerError(text, server=self.source.name)
        error.__cause__ = self._cause
        return error


def _client_of(toolset: Any) -> Any:
    return toolset.client


async def _do(work: Callable[[AbstractToolset[Any]], Awaitable[T]], toolset: AbstractToolset[Any]) -> T:
    return await work(toolset)


def _context() -> Context:
    """Return a context with the trace of the caller's, and nothing else of it.

    The library arms a timer for every request, and the loop keeps a cancelled one, and its context with it, until its
    time comes: minutes in which the run and its agent could not be collected.
    """
    context = Context()
    for variable, value in carry(copy_context()) or ():
        context.run(variable.set, value)
    return context


def _expire(call: asyncio.Task[Any], expired: list[bool]) -> None:
    expired.append(True)
    call.cancel()


def _loss(error: BaseException, toolset: object) -> Exception | None:
    """Return what broke the connection if that is why a call failed; None when the server or a tool said no."""
    if not hasattr(toolset, "client") or not isinstance(error, Exception):
        return None
    cause = error.__cause__ if isinstance(error, ModelRetry) else error
    if isinstance(cause, ModelRetry) or cause is None:
        return None
    code = getattr(cause, "code", None)
    if isinstance(error, ModelRetry) or isinstance(code, int):
        return cause if code == _CONNECTION_CLOSED and isinstance(cause, Exception) else None
    return None if isinstance(error, _NO_LOSS) else error


_NO_LOSS = (TypeError, ValueError, KeyError, AttributeError, ImportError)
"""Mistakes in a call, not in the connection."""
