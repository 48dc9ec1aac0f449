"""`PolicyModel`: a model whose requests follow a `ModelPolicy`. No other layer repeats requests."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

from pydantic_ai.exceptions import (
    ContentFilterError,
    FallbackExceptionGroup,
    ModelConnectionError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from actors.models.byte_limit import most_bytes
from actors.models.failure import failure_of, typed
from actors.models.policy import ModelPolicy
from actors.models.time_limit import TimeLimit, pause
from actors.runtime.clock import LoopClock
from actors.runtime.envelope import current
from protocols.clock import Clock
from protocols.errors import add_note, error_text, type_name
from protocols.model_errors import (
    BadResponseError,
    ContentFilteredError,
    ModelCallError,
    StreamInterruptedError,
    UpstreamConnectionError,
    UpstreamTimeoutError,
)

_shared_until: ContextVar[float | None] = ContextVar("understage_model_deadline", default=None)
"""When the request ends that a model with fallbacks makes of one of them."""
_BAD_RESPONSES: Final = 2


class PolicyModel(WrapperModel):
    """Keeps the deadline of requests, repeats those that failed for a while only, and gives errors their type."""

    def __init__(self, wrapped: Model, policy: ModelPolicy) -> None:
        super().__init__(wrapped)
        self.policy = policy
        has_retries = hasattr(wrapped, "client") and "max_retries" not in wrapped.unsupported_settings
        self._own_settings: ModelSettings = {"max_retries": 0} if has_retries else {}

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the answer of the model, after as many attempts as it takes."""
        call, settings = _Call(self), self._with_own(model_settings)
        most = most_bytes.set(self.policy.max_response_bytes)
        try:
            while True:
                call.attempts += 1
                try:
                    with call.limit.of(self.policy.first_byte, "first_byte"):
                        response = await self.wrapped.request(messages, settings, model_request_parameters)
                except Exception as error:
                    wait = call.failed(error)
                else:
                    call.check(response)
                    return response
                await pause(call.clock, wait)
        finally:
            call.limit.close()
            most_bytes.reset(most)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Yield the stream of the model. Only a stream that has not begun is tried again."""
        call, settings = _Call(self), self._with_own(model_settings)
        async with AsyncExitStack() as stack:
            stack.callback(call.limit.close)
            response, events = await self._begun(
                call,
                stack,
                lambda: self.wrapped.request_stream(messages, settings, model_request_parameters, run_context),
            )
            # pydantic_ai hands out what stands here; its own fallbacks do the same.
            response._event_iterator = events  # pyright: ignore[reportPrivateUsage] # noqa: SLF001
            yield response

    async def _begun(
        self,
        call: "_Call",
        stack: AsyncExitStack,
        begin: Callable[[], AbstractAsyncContextManager[StreamedResponse]],
    ) -> tuple[StreamedResponse, "_Events"]:
        """Return a stream that has given its first event, and leave its end to a stack."""
        while True:
            call.attempts += 1
            try:
                async with AsyncExitStack() as attempt:
                    with call.limit.of(self.policy.first_byte_of_stream, "first_byte"):
                        response = await self._opened(attempt, begin())
                        events = aiter(response)
                        first = await anext(events, None)
                    stack.push_async_exit(attempt.pop_all())
                    return response, _Events(call, response, first, events)
            except Exception as error:
                wait = call.failed(error)
            await pause(call.clock, wait)

    async def _opened(
        self, stack: AsyncExitStack, stream: AbstractAsyncContextManager[StreamedResponse]
    ) -> StreamedResponse:
        """Open a stream within the limit of bytes, which holds for all that it reads."""
        most = most_bytes.set(self.policy.max_response_bytes)
        try:
            return await stack.enter_async_context(stream)
        finally:
            most_bytes.reset(most)

    def _with_own(self, settings: ModelSettings | None) -> ModelSettings | None:
        """Return settings that turn the retries of the provider's client off, unless the user has set them."""
        return {**self._own_settings, **(settings or {})} if self._own_settings else settings


class _Call:
    """One request to a model: its attempts, its time, and what becomes of its errors."""

    __slots__ = ("attempts", "bad_responses", "clock", "ends", "limit", "model", "policy", "started")

    def __init__(self, model: PolicyModel) -> None:
        envelope = current.get()
        self.model = model
        self.policy = policy = model.policy
        self.clock = _clock()
        self.attempts = self.bad_responses = 0
        self.started = self.clock.now()
        until = _earlier(_shared_until.get(), None if policy.deadline is None else self.started + policy.deadline)
        run = None if envelope is None else envelope.deadline
        self.ends = _earlier(until, run)
        """When the request must be over; None if it may take any time."""
        self.limit = TimeLimit(self.clock, None if self.ends == run else until)

    def failed(self, error: Exception, partial: str | None = None, *, has_begun: bool = False) -> float:
        """Return the seconds until the next attempt.

        Args:
            error: what the attempt raised.
            partial: the text that came before.
            has_begun: True for a stream whose first event was passed on.

        Raises:
            ModelCallError: this was the last attempt.
            Exception: the error itself, which is not one of a request.
        """
        model = self.model.wrapped
        told = self._told(partial)
        failure: ModelCallError | None
        if self.limit.phase is not None and isinstance(error, TimeoutError):
            failure = _overdue(self.limit.phase, model, self.policy, **told)
        else:
            failure = failure_of(error, model, **told)
            if failure is None:
                raise error
            if has_begun and isinstance(failure, UpstreamConnectionError):
                failure = _interrupted(error, model, **told)
        wait = None if has_begun else self._wait(failure)
        if wait is None:
            raise failure from failure.__cause__
        return wait

    def check(self, response: ModelResponse) -> None:
        """Refuse an answer that is not complete, that a filter ended, or that calls too many tools."""
        if response.state == "incomplete":
            text = f"model {response.model_name!r}: the stream ended before its answer did"
            raise self._refusal(StreamInterruptedError, ModelConnectionError(self.model.model_name, text), response)
        if response.finish_reason == "content_filter":
            text = f"model {response.model_name!r}: a filter of the provider ended the answer"
            raise self._refusal(ContentFilteredError, ContentFilterError(text), response)
        calls, most = len(response.parts), self.policy.max_tool_calls
        if calls > most and (calls := len(response.tool_calls)) > most:
            text = f"model {response.model_name!r}: the answer calls {calls} tools; max_tool_calls is {most}"
            raise self._refusal(BadResponseError, UnexpectedModelBehavior(text), response, retryable=False)

    def _refusal(
        self, kind: type[ModelCallError], error: Exception, response: ModelResponse, **more: Any
    ) -> ModelCallError:
        told = self._told(response.text)
        return typed(kind, error, self.model.wrapped, **told, **more)

    def _told(self, partial: str | None) -> dict[str, Any]:
        return {"attempts": self.attempts, "elapsed": self.clock.now() - self.started, "partial": partial}

    def _wait(self, failure: ModelCallError) -> float | None:
        """Return the seconds to wait after a failure; None if this was the last attempt."""
        policy, attempts = self.policy, self.attempts
        self.bad_responses += isinstance(failure, BadResponseError)
        if not failure.retryable or attempts >= policy.attempts or self.bad_responses == _BAD_RESPONSES:
            return None
        most = min(policy.max_wait, policy.min_wait * 2.0 ** min(attempts - 1, 60))
        wait = random.random() * most
        if failure.retry_after is not None:
            wait += failure.retry_after
        elif attempts == 1 and isinstance(failure, UpstreamConnectionError):
            wait = 0.0  # the server may have closed a connection that was kept
        if self.ends is not None and self.clock.now() + wait >= self.ends:
            add_note(failure, f"the next attempt would begin in {wait:.1f} s, after the deadline")
            return None
        return wait


class _Events:
    """The events of a stream under its limits. What it lacks at its end makes it an error."""

    def __init__(
        self,
        call: _Call,
        response: StreamedResponse,
        first: ModelResponseStreamEvent | None,
        rest: AsyncIterator[ModelResponseStreamEvent],
    ) -> None:
        self._call = call
        self._response = response
        self._first = first
        self._rest = rest

    def __aiter__(self) -> "_Events":
        return self

    async def __anext__(self) -> ModelResponseStreamEvent:
        first, self._first = self._first, None
        if first is not None:
            return first
        call = self._call
        try:
            with call.limit.of(call.policy.idle_of_stream, "idle"):
                return await anext(self._rest)
        except StopAsyncIteration:
            if not self._response.cancelled:
                call.check(self._response.get())
            raise
        except Exception as error:
            call.failed(error, self._response.get().text or "", has_begun=True)
            raise


def _earlier(one: float | None, other: float | None) -> float | None:
    return other if one is None or (other is not None and other < one) else one


def _overdue(phase: str, model: Model, policy: ModelPolicy, **told: Any) -> ModelCallError:
    seconds = {"first_byte": policy.first_byte_of_stream, "idle": policy.idle_of_stream}.get(phase, policy.deadline)
    text = f"model {model.model_name!r}: {_WAITS[phase]} within {seconds:g} s ({phase} of its policy)"
    return typed(
        UpstreamTimeoutError, ModelTimeoutError(model.model_name, text, phase="read"), model, phase=phase, **told
    )


def _interrupted(error: Exception, model: Model, **told: Any) -> ModelCallError:
    text = f"model {model.model_name!r}: the stream ended before its answer did: {error}"
    found = typed(StreamInterruptedError, ModelConnectionError(model.model_name, text, phase="read"), model, **told)
    found.__cause__ = error
    return found


_WAITS: Final = {"deadline": "no answer", "first_byte": "nothing of an answer", "idle": "nothing more of the answer"}


class FallbackPolicy(WrapperModel):
    """One deadline over a model and its fallbacks, and one error if all of them fail."""

    def __init__(self, wrapped: Model, policy: ModelPolicy) -> None:
        super().__init__(wrapped)
        self.policy = policy

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the first answer of one of the models."""
        with self._deadline():
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Yield the first stream that begins."""
        async with AsyncExitStack() as stack:
            with self._deadline():
                stream = await stack.enter_async_context(
                    self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)
                )
            yield stream

    @contextmanager
    def _deadline(self) -> Generator[None]:
        deadline = self.policy.deadline
        token = _shared_until.set(None if deadline is None else _clock().now() + deadline)
        try:
            yield
        except FallbackExceptionGroup as group:
            raise _last_of(group) from None
        finally:
            _shared_until.reset(token)


def _last_of(group: FallbackExceptionGroup) -> Exception:
    """Return the error of the last model, with notes about those before it."""
    *others, last = cast("tuple[Exception, ...]", group.exceptions)
    if not isinstance(last, ModelCallError):
        return group
    for one in others:
        add_note(last, f"before: {type_name(one)}: {error_text(one)}")
    last.attempts = sum(getattr(one, "attempts", 1) for one in (*others, last))
    return last


def _clock() -> Clock:
    """Return the clock of the system that the running handler belongs to."""
    envelope = current.get()
    return LoopClock(asyncio.get_running_loop()) if envelope is None else envelope.cell.system.clock
