"""`PolicyModel`: a model whose requests follow a `ModelPolicy`. No other layer repeats requests."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, cast

from pydantic_ai.exceptions import FallbackExceptionGroup
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from actors.models.budget import Charge, charged, reserve
from actors.models.byte_limit import most_bytes
from actors.models.endpoint_state import state_of
from actors.models.model_call import Call, clock_of_handler, shared_until
from actors.models.policy import ModelPolicy
from actors.models.time_limit import pause
from protocols.budget import drawn
from protocols.errors import add_note, error_text, type_name
from protocols.model_errors import ModelCallError


class PolicyModel(WrapperModel):
    """Keeps the deadline of requests, repeats those that failed for a while only, and gives errors their type."""

    def __init__(self, wrapped: Model, policy: ModelPolicy) -> None:
        super().__init__(wrapped)
        self.policy = policy
        self.state = state_of(wrapped)
        has_retries = hasattr(wrapped, "client") and "max_retries" not in wrapped.unsupported_settings
        self._own_settings: ModelSettings = {"max_retries": 0} if has_retries else {}

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the answer of the model, after as many attempts as it takes."""
        call, settings = Call(self.wrapped, self.policy, self.state), self._with_own(model_settings)
        most = most_bytes.set(self.policy.max_response_bytes)
        try:
            while True:
                await call.begin()
                charge = await reserve(drawn.get(), messages, settings) if drawn.get() else None
                try:
                    with call.limit.of(self.policy.first_byte, "first_byte"), charged(charge):
                        response = await self.wrapped.request(messages, settings, model_request_parameters)
                except Exception as error:
                    wait = call.failed(error)
                else:
                    if charge is not None:
                        charge.settle(response.usage)
                    call.answered()
                    call.check(response)
                    return response
                await pause(call.clock, wait)
        finally:
            call.end()
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
        call, settings = Call(self.wrapped, self.policy, self.state), self._with_own(model_settings)
        async with AsyncExitStack() as stack:
            stack.callback(call.end)
            response, events = await self._begun(
                call,
                stack,
                (messages, settings),
                lambda: self.wrapped.request_stream(messages, settings, model_request_parameters, run_context),
            )
            # pydantic_ai hands out what stands here; its own fallbacks do the same.
            response._event_iterator = events  # pyright: ignore[reportPrivateUsage] # noqa: SLF001
            yield response

    async def _begun(
        self,
        call: Call,
        stack: AsyncExitStack,
        asked: tuple[list[ModelMessage], ModelSettings | None],
        begin: Callable[[], AbstractAsyncContextManager[StreamedResponse]],
    ) -> tuple[StreamedResponse, "_Events"]:
        """Return a stream that has given its first event, and leave its end to a stack."""
        while True:
            await call.begin()
            charge = await reserve(drawn.get(), *asked) if drawn.get() else None
            try:
                async with AsyncExitStack() as attempt:
                    with call.limit.of(self.policy.first_byte_of_stream, "first_byte"), charged(charge):
                        response = await self._opened(attempt, begin())
                        events = aiter(response)
                        first = await anext(events, None)
                    if charge is not None:
                        stack.callback(_settle, charge, response)
                    call.answered()
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


def _settle(charge: Charge, stream: StreamedResponse) -> None:
    charge.settle(stream.usage)


class _Events:
    """The events of a stream under its limits. What it lacks at its end makes it an error."""

    def __init__(
        self,
        call: Call,
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
                call.warn(getattr(self._response, "oddities", ()))
            raise
        except Exception as error:
            call.failed(error, self._response.get().text or "", has_begun=True)
            raise


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
        token = shared_until.set(None if deadline is None else clock_of_handler().now() + deadline)
        try:
            yield
        except FallbackExceptionGroup as group:
            raise _last_of(group) from None
        finally:
            shared_until.reset(token)


def _last_of(group: FallbackExceptionGroup) -> Exception:
    """Return the error of the last model, with notes about those before it."""
    *others, last = cast("tuple[Exception, ...]", group.exceptions)
    if not isinstance(last, ModelCallError):
        return group
    for one in others:
        add_note(last, f"before: {type_name(one)}: {error_text(one)}")
    last.attempts = sum(getattr(one, "attempts", 1) for one in (*others, last))
    return last
