"""Approval of tool calls by a person who is not here: the run is parked, and `Agent.approve` or `deny` continues it."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, cast, get_args

from pydantic_ai import RunContext
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied

from actors.agents.parking import parked
from actors.agents.tool_approval import denied
from actors.agents.tool_calls import ToolCallRecorder, call_log
from actors.runs.request import RunRequest
from actors.runtime.cell import Cell
from actors.runtime.envelope import current
from protocols.approval_events import ApprovalDecided, ApprovalRequested
from protocols.checks import TEXT, Checks, check_values, instance_of
from protocols.errors import ApprovalError

MOST_WAITING: Final = 1_000
"""Calls of one agent that may wait at the same time; a run that wants one more fails."""
_MOST_ENDED: Final = 1_000
_MOST_BYTES: Final = 4_000
_CHECKS: Checks = {
    "run_id": TEXT, "call_id": TEXT, "reason": TEXT, "arguments": instance_of("a mapping of names and values", Mapping),
}  # fmt: skip


class _Waiting:
    """One call that waits for a decision."""

    __slots__ = ("answer", "asked", "batch")

    def __init__(self, asked: ApprovalRequested, batch: "_Batch") -> None:
        self.asked = asked
        self.batch = batch
        self.answer: ToolApproved | ToolDenied | None = None


class _Batch:
    """The calls that one run waits for at the same time. Everything happens on the event loop of the run."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.ready: asyncio.Future[None] = cell.loop.create_future()
        self.open: list[_Waiting] = []

    def decided(self, call: _Waiting, by: Literal["caller", "timeout"]) -> None:
        """Publish a decision; the last one continues the run."""
        if self.ready.done():
            return
        asked, is_approved = call.asked, isinstance(call.answer, ToolApproved)
        self.cell.system.events.publish(
            ApprovalDecided, actor=asked.actor, run_id=asked.run_id, tool_name=asked.tool_name,
            tool_call_id=asked.tool_call_id, is_approved=is_approved, by=by,
        )  # fmt: skip
        self.open.remove(call)
        if not self.open:
            self.ready.set_result(None)


class Approvals:
    """The tool calls of one agent that wait for a decision, and the runs of which none waits any more. Thread-safe."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._lock = threading.Lock()
        self._waiting: dict[str, dict[str, _Waiting]] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def knows(self, run_id: str) -> bool:
        """Return True for a run that waits, or has waited."""
        with self._lock:
            return run_id in self._waiting or run_id in self._ended

    def pending(self) -> list[ApprovalRequested]:
        """Return the calls that wait, the one that has waited longest first."""
        with self._lock:
            return [call.asked for calls in self._waiting.values() for call in calls.values() if call.answer is None]

    async def ask(self, request: RunRequest, calls: Sequence[ToolCallPart], timeout: float) -> dict[str, Any]:
        """Park the run until all calls are decided, and return the decisions by the id of the call.

        Raises:
            ApprovalError: as many calls wait as may.
        """
        scope = current.get()
        assert scope is not None
        events, run_id, batch = scope.cell.system.events, request.run_id, _Batch(scope.cell)
        asked = [_fields(request, call, timeout) for call in calls]
        waiting = [_Waiting(ApprovalRequested(system=scope.cell.system.name, **fields), batch) for fields in asked]
        self._add(run_id, waiting)
        batch.open += waiting
        timer = scope.cell.system.clock.call_later(timeout, self._expire, batch)
        try:
            for fields in asked:
                events.publish(ApprovalRequested, **fields)
            await parked(scope, batch.ready)
        finally:
            timer.cancel()
            self._remove(run_id, waiting)
        return {one.asked.tool_call_id: one.answer for one in waiting}

    def _add(self, run_id: str, waiting: Sequence[_Waiting]) -> None:
        with self._lock:
            if sum(map(len, self._waiting.values())) + len(waiting) > MOST_WAITING:
                text = f"run {run_id!r} cannot wait for approval: {MOST_WAITING} tool calls of agent {self._agent!r} do"
                raise ApprovalError(f"{text}; approve or deny some", node=self._agent)
            calls = self._waiting.setdefault(run_id, {})
            calls.update((one.asked.tool_call_id, one) for one in waiting)

    def _remove(self, run_id: str, waiting: Sequence[_Waiting]) -> None:
        with self._lock:
            calls = self._waiting[run_id]
            for one in waiting:
                calls.pop(one.asked.tool_call_id, None)
            if not calls:
                del self._waiting[run_id]
                self._ended[run_id] = None
                if len(self._ended) > _MOST_ENDED:
                    self._ended.popitem(last=False)

    def _expire(self, batch: _Batch) -> None:
        for call in tuple(batch.open):
            with self._lock:
                is_late = call.answer is None
                late = f"it was not approved within {call.asked.timeout:g} seconds"
                call.answer = call.answer or denied(call.asked.tool_name, late)
            if is_late:
                batch.decided(call, "timeout")

    def decide(self, run_id: str, call_id: str | None, arguments: Mapping[str, Any] | None, reason: str | None) -> None:
        """Approve calls that wait, or deny them if there is a `reason`. From any thread; the run continues soon.

        Raises:
            ApprovalError: no such call waits.
            TypeError: an argument is of the wrong type.
        """
        given = {"run_id": run_id, "call_id": call_id, "arguments": arguments, "reason": reason}
        check_values(
            _CHECKS, given, lambda _, text: TypeError(f"agent {self._agent!r}: {text}"), never_none=("run_id",)
        )
        with self._lock:
            calls = self._find(run_id, call_id)
            if arguments is not None and len(calls) > 1:
                raise ApprovalError(f"{len(calls)} tool calls of run {run_id!r} wait: say whose arguments these are")
            for call in calls:
                changed = None if arguments is None else dict(arguments)
                call.answer = (
                    ToolApproved(override_args=changed) if reason is None else denied(call.asked.tool_name, reason)
                )
        for call in calls:
            with suppress(RuntimeError):  # the loop, and with it the run, has ended
                call.batch.cell.loop.call_soon_threadsafe(call.batch.decided, call, "caller")

    def _find(self, run_id: str, call_id: str | None) -> list[_Waiting]:
        known = self._waiting.get(run_id, {})
        calls = [call for call in known.values() if call.answer is None and call_id in (None, call.asked.tool_call_id)]
        if calls:
            return calls
        why = "it is decided or finished" if known or run_id in self._ended else "it is unknown"
        if call_id is not None and known and call_id not in known:
            why = f"it has no call {call_id!r}; its calls: {', '.join(known)}"
        raise ApprovalError(f"run {run_id!r} of agent {self._agent!r} waits for no approval: {why}", node=self._agent)


def _fields(request: RunRequest, call: ToolCallPart, timeout: float) -> dict[str, Any]:
    arguments = call.args_as_json_str().encode("utf-8", "replace")[:_MOST_BYTES].decode("utf-8", "ignore")
    return {
        "actor": request.node.name, "run_id": request.run_id, "session": request.options.session or "",
        "tool_name": call.tool_name, "tool_call_id": call.tool_call_id, "arguments": arguments, "timeout": timeout,
    }  # fmt: skip


class ApprovalRecorder(ToolCallRecorder):
    """Also parks a run whose tool calls need an approval that nothing else gives. It holds nothing of any run."""

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Wait until a person has decided about the calls, unless the run answers with them."""
        log = call_log.get()
        if log is None or requests.calls or not requests.approvals:
            return None
        node = cast("Any", log.request.node)
        run, given = node.definition.execution, log.request.options.output_type
        if _is_answer(given or run.output_type or run.agent.output_type):
            return None
        decided = await node.approvals.ask(log.request, requests.approvals, node.settings.approval_timeout)
        return requests.build_results(approvals=decided)


def _is_answer(output: Any) -> bool:
    """Return True if the answer of a run may be the calls that need approval."""
    parts = cast("Sequence[Any]", output) if isinstance(output, list | tuple) else get_args(output)
    return output is DeferredToolRequests or any(map(_is_answer, parts))


RECORDER = (ApprovalRecorder(),)
"""The one recorder, as capabilities of a run."""


class Approval:
    """The part of `Agent` with which a person decides about calls of its tools."""

    name: str
    _approvals: Approvals | None = None

    @property
    def approvals(self) -> Approvals:
        """The calls that wait."""
        self._approvals = self._approvals or Approvals(self.name)
        return self._approvals

    def pending(self) -> list[ApprovalRequested]:
        """Return the tool calls that wait for `approve` or `deny`, the one that has waited longest first."""
        return [] if self._approvals is None else self._approvals.pending()

    def approve(self, run_id: str, call_id: str | None = None, *, arguments: Mapping[str, Any] | None = None) -> None:
        """Let a parked run make a tool call; it continues when all its calls are decided. From any task or thread.

        Args:
            run_id: the run, as in the event `ApprovalRequested`.
            call_id: the call; None for all calls of the run that wait.
            arguments: what the tool is called with, in place of what the model wrote.

        Raises:
            ApprovalError: no such call waits: the run is unknown, finished or decided.
            TypeError: an argument is of the wrong type.
        """
        self.approvals.decide(run_id, call_id, arguments, None)

    def deny(self, run_id: str, call_id: str | None = None, reason: str = "") -> None:
        """Refuse a tool call of a parked run. The model is told so, with the reason. Otherwise as `approve`."""
        self.approvals.decide(run_id, call_id, None, reason)
