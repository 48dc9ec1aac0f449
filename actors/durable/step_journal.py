"""`StepJournal`: a run that is delivered again does not pay again for what its models and tools have finished."""

import json
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Protocol, cast

from pydantic_ai import RunContext
from pydantic_ai.capabilities import (
    AbstractCapability,
    CapabilityOrdering,
    ValidatedToolArgs,
    WrapModelRequestHandler,
    WrapToolExecuteHandler,
)
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestContext
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults, ToolDefinition

from actors.agents.memory import dump_messages, load_messages
from actors.agents.tool_calls import call_log
from actors.durable.record import UndecodableError, opened, sealed
from actors.runs.correlation import begin_step
from protocols.cost import ZERO_COST
from protocols.journal import JournalFullError
from protocols.tool_call import ToolCallInfo


class StepStore(Protocol):
    """Keeps the finished steps of one run until the run is settled."""

    async def keep(self, key: str, digest: bytes, payload: bytes) -> None:
        """Keep a step; return when it is committed. A second one with the key replaces the first."""

    def recorded(self, key: str, digest: bytes) -> bytes | None:
        """Return the payload of a step that was kept with this digest, or None."""
        ...


class StepJournal(AbstractCapability[Any]):
    """Keeps each answer of the model and each result of a tool, and gives those of earlier deliveries of the run.

    One per run; the attempts of a retry share it. A recorded step counts only as long as the run goes the same way:
    its prompts and the results of its tools must be the same, and after the first answer that is not recorded nothing
    is. Hooks of other capabilities do not see recorded steps.

    Args:
        store: where the steps of the run are.
    """

    def __init__(self, store: StepStore) -> None:
        self._store = store
        self._requests = 0
        self._attempt: str | None = None
        self._begin = 0
        self._way = b""
        """Digest of the last request to the model."""
        self._is_new = False
        """True once the model has said something in this delivery."""

    def get_ordering(self) -> CapabilityOrdering:
        """Wrap all others, so that approval is not asked for a call that is recorded."""
        return CapabilityOrdering(position="outermost")

    async def wrap_model_request(
        self, ctx: RunContext[Any], *, request_context: ModelRequestContext, handler: WrapModelRequestHandler
    ) -> ModelResponse:
        """Return the recorded answer to a request, or ask the model and keep its answer.

        The tokens of a recorded answer count towards the limits of the run, its money does not: it was paid before.
        """
        begin_step()
        messages, key = request_context.messages, f"model/{self._requests}"
        self._requests += 1
        if ctx.run_id != self._attempt:
            self._attempt, self._begin = ctx.run_id, len(messages) - 1
        self._way = _digest(_said(messages[min(self._begin, len(messages) - 1) :]))
        payload = self._recorded(key, self._way)
        if payload is not None:
            with suppress(ValueError):  # written by another version of pydantic_ai
                known = cast("ModelResponse", load_messages(payload)[0])
                known.usage.cost = ZERO_COST
                return known
        self._is_new = True
        response = await handler(request_context)
        if response.state == "complete":
            await self._keep(key, self._way, dump_messages([response]))
        return response

    async def wrap_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Return the recorded result of a call, or call the tool and keep its result if JSON can hold it as it is."""
        begin_step()
        key, digest = self._step_of(call)
        payload = self._recorded(key, digest)
        if payload is not None:
            result = json.loads(payload)
            if (log := call_log.get()) is not None:  # the answer lists the call; no event says that it was made now
                log.calls.append(ToolCallInfo(call.tool_name, args, result, log.agent_name, call.tool_call_id))
            return result
        result = await handler(args)
        if (plain := _exact(result)) is not None:
            await self._keep(key, digest, plain)
        return result

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[Any], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Approve the calls whose results are recorded: a person has approved them before."""
        known = [call for call in requests.approvals if self._recorded(*self._step_of(call)) is not None]
        return requests.build_results(approvals={call.tool_call_id: True for call in known}) if known else None

    def _step_of(self, call: ToolCallPart) -> tuple[str, bytes]:
        key = f"tool/{self._requests}/{call.tool_call_id}"  # some models use an id again in their next answer
        return key, _digest([self._way, call.tool_name, call.args_as_json_str()])

    def _recorded(self, key: str, digest: bytes) -> bytes | None:
        payload = None if self._is_new else self._store.recorded(key, digest)
        with suppress(UndecodableError):
            return None if payload is None else opened(payload)
        return None

    async def _keep(self, key: str, digest: bytes, payload: bytes) -> None:
        with suppress(JournalFullError):  # the step is done; after a death it is done again
            await self._store.keep(key, digest, sealed(payload))


def _said(messages: Sequence[ModelMessage]) -> list[Any]:
    """Return what the requests say to the model, without times."""
    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    return [[getattr(one, name) for name in type(one).__dataclass_fields__ if name != "timestamp"] for one in parts]


def _digest(values: object) -> bytes:
    return blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _exact(result: object) -> bytes | None:
    """Return a result as JSON; None if JSON would change it."""
    with suppress(TypeError, ValueError, RecursionError):
        plain = json.dumps(result)
        return plain.encode() if json.loads(plain) == result else None
    return None
