"""Calls of tools as they happen: timed, published as events, and kept for the message of the run."""

from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, ValidatedToolArgs, WrapToolExecuteHandler
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import ToolDefinition

from actors.nodes.request import RunRequest
from actors.runtime.envelope import current
from protocols.events import ToolCalled
from protocols.ids import new_id
from protocols.tool_call import ToolCallInfo


class ToolLedger:
    """The calls of tools of one run, in the order in which they ended."""

    __slots__ = ("_events", "_request", "calls", "message_id")

    def __init__(self, request: RunRequest) -> None:
        """Take the run; called inside the actor, in whose system the calls are published."""
        scope = current.get()
        self._request = request
        self._events = None if scope is None else scope.cell.system.events
        self.message_id = request.options.message_id or new_id()
        """Id of the answer that the calls belong to."""
        self.calls: list[ToolCallInfo] = []

    def add(self, call: ToolCallInfo) -> None:
        """Note one finished call."""
        self.calls.append(call)
        if self._events is not None and self._events.wants(ToolCalled):
            self._events.publish(
                ToolCalled,
                actor=call.agent_name,
                run_id=self._request.run_id,
                tool_name=call.tool_name,
                tool_call_id=call.tool_call_id,
                duration=call.timing,
                error=call.error,
            )

    @property
    def agent_name(self) -> str:
        """The agent whose run it is."""
        return self._request.node.name


ledger: ContextVar[ToolLedger | None] = ContextVar("understudy_tools", default=None)
"""The ledger of the run that goes on; every handler has a context of its own, so runs never mix."""


class ToolWatch(AbstractCapability[Any]):
    """Notes every call of a tool in the ledger of its run."""

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Time one call."""
        known = ledger.get()
        if known is None:
            return await handler(args)
        began, started = datetime.now(UTC), perf_counter()
        result, failure = None, None
        try:
            result = await handler(args)
        except Exception as error:
            failure = str(error) or type(error).__name__
            raise
        finally:
            seconds = perf_counter() - started
            known.add(
                ToolCallInfo(
                    call.tool_name, args, result, known.agent_name, call.tool_call_id, began, seconds, known.message_id,
                    failure,
                )
            )  # fmt: skip
        return result


WATCH = (ToolWatch(),)
"""The one watch; it holds nothing of any run."""
