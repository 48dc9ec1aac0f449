"""One life of the connection to a tool server."""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.toolsets import AbstractToolset

from actors.mcp.transport import McpSource
from actors.runtime.intake import carried
from protocols.clock import Clock
from protocols.errors import ToolServerError

T = TypeVar("T")
Work = Callable[[AbstractToolset[Any]], Coroutine[Any, Any, T]]
"""Uses the toolset of a connection."""

MOST_CALLS = 1_000
"""Open calls of one server at the same time."""

DRAIN = 5.0
"""Seconds that open calls get when a server is told to stop."""

_TRUSTED = 5.0
"""Seconds after an answer in which the server counts as alive."""

_CONNECTION_CLOSED = -32000
"""Error code of the mcp library for requests that were open when a connection was lost."""

_log = logging.getLogger("understage")


class NotSentError(Exception):
    """The connection ended before the request was sent, so the next connection can send it."""


class McpConnection:
    """Opens the server, lends it to callers, and closes it. One task opens and closes it.

    Calls run in the tasks of their callers. That is safe (read in mcp 2.3 and fastmcp 4.2): the session's streams
    and task group belong to the task that fastmcp's client made when it was entered; a request from any other task is
    written to a stream and waits for an event, every request has an id, and cancelling the waiting task sends
    ``notifications/cancelled``. Only entering and leaving must not change the task, because of anyio's cancel scopes.
    """

    def __init__(self, source: McpSource, clock: Clock) -> None:
        self.source = source
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the server is ready, or could not be started."""
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
        """True if the connection takes no more calls."""
        return self._over.is_set()

    @property
    def lost(self) -> str | None:
        """Why the connection ended by itself. None while it is open, and after `end`."""
        return str(self._lost()) if self._is_wanted and self.is_over else None

    def end(self) -> None:
        """Close the server. Open calls are cancelled after `DRAIN` seconds."""
        self._is_wanted = False
        self._over.set()

    async def live(self) -> None:
        """Open the server, wait for the end, and close it. Failures are in `opened` and `lost`."""
        try:
            async with self.source.connected(self._over.set) as self._toolset:
                self.opened.set_result(None)
                await self._over.wait()
                await self._end_calls()
        except Exception as error:  # closing a dead connection raises its failure once more
            self._cause = self._cause or error
            _log.debug("MCP server %s: left with %r", self.source.name, error)
        finally:
            self._over.set()
            if not self.opened.done() and self._cause is None:
                self.opened.cancel()
            elif not self.opened.done() and self._cause is not None:
                self._is_wanted = False
                self.opened.set_exception(self._cause)
            # A stored crash, such as its traceback in the dead letters, refers to this object, but to nothing further.
            self._why, self._toolset, self._cause = self._reason, None, None

    async def _end_calls(self) -> None:
        timer = self._clock.call_later(DRAIN if not self._is_wanted else 0.0, self._cancel_calls)
        if self._calls:
            await asyncio.wait(self._calls)
        timer.cancel()

    def _cancel_calls(self) -> None:
        for call in self._calls:
            call.cancel()

    async def look(self, timeout: float) -> None:
        """Check that an HTTP server is alive, if its last answer is some seconds old.

        A lost HTTP server is not reported, and a request that it gets then may or may not have been done. Asking for
        its tools does no harm.

        Raises:
            NotSentError: the server is lost, or is another process by now.
        """
        if not isinstance(self.source.target, str) or self._clock.now() - self._heard < _TRUSTED:
            return
        try:
            await self.run(lambda toolset: cast("Any", toolset).client.list_tools(), "a look for it", timeout)
        except ToolServerError as error:
            raise NotSentError from error.__cause__ or error

    # -- calls ----------------------------------------------------------------------------------------------------

    async def run(self, work: Work[T], what: str, timeout: float) -> T:
        """Use the toolset, in a task with the trace of the caller.

        Args:
            work: called with the toolset.
            what: name of the operation, for errors.
            timeout: seconds until it is cancelled; infinity never.

        Raises:
            NotSentError: nothing was sent, because the connection had ended.
            ModelRetry: the server answered with an error, or not in time.
            ToolServerError: the connection was lost; the cause is chained.
            Exception: raised by a toolset that is not an MCP client.
        """
        if self.is_over or self._toolset is None:
            raise NotSentError
        if len(self._calls) >= MOST_CALLS:
            raise self.source.error(f": {MOST_CALLS} calls go on already, so {what} was refused")
        context = _context() if hasattr(self._toolset, "client") else None
        call = asyncio.get_running_loop().create_task(work(self._toolset), context=context)
        self._calls.add(call)
        expired: list[bool] = []
        timer = None if math.isinf(timeout) else self._clock.call_later(timeout, _expire, call, expired)
        try:
            await asyncio.wait({call})
            return self._outcome(call, what, timeout if expired else None)
        finally:
            if timer is not None:
                timer.cancel()
            if not call.done():  # its caller is gone; the library limits the time
                call.cancel()
                await asyncio.wait({call})
            self._calls.discard(call)

    def _outcome(self, call: asyncio.Task[T], what: str, expired: float | None) -> T:
        if call.cancelled():
            if expired is not None:
                message = f"MCP server {self.source.name!r}: {what} had no answer within {expired:.3g} s"
                raise ModelRetry(message)  # as for tools that are functions, the model may try something else
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
        error = self.source.error(f": the connection was lost{during}: {self._why or self._reason}")
        error.__cause__ = self._cause
        return error


def _context() -> Context:
    """Return a context that holds only the trace of the caller.

    The library arms a timer for every request. The loop keeps a cancelled timer and its context until it expires, and
    so would keep the run and its agent alive for minutes.
    """
    context = Context()
    for variable, value in carried(copy_context()) or ():
        context.run(variable.set, value)
    return context


def _expire(call: asyncio.Task[Any], expired: list[bool]) -> None:
    expired.append(True)
    call.cancel()


def _loss(error: BaseException, toolset: object) -> Exception | None:
    """Return the loss of the connection behind a failed call. None if the server or a tool refused the call."""
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
"""Errors of a call, not of the connection."""
