"""`PolicyModel`: a model whose requests follow a `ModelPolicy`. No other layer repeats requests."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, cast

from pydantic_ai.exceptions import FallbackExceptionGroup
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from actors.models.endpoint_state import state_of
from actors.models.model_call import Call, clock_of_handler, shared_until
from actors.models.policy import OF_STREAMS, ModelPolicy
from protocols.errors import add_note, error_text, type_name
from protocols.model_errors import ModelCallError


class PolicyModel(WrapperModel):
    """Keeps the deadline of requests, repeats those that failed for a while only, and gives errors their type."""

    def __init__(self, wrapped: Model, policy: ModelPolicy) -> None:
        super().__init__(wrapped)
        self.policy = policy
        self.state = state_of(wrapped)
        if policy.limits is not None:
            self.state.limiter.name_limits(self, policy.limits)
        has_retries = hasattr(wrapped, "client") and "max_retries" not in wrapped.unsupported_settings
        self._own_settings: ModelSettings = {"max_retries": 0} if has_retries else {}

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the answer of the model, after as many attempts as it takes."""
        settings = self._with_own(model_settings)
        with Call(self.wrapped, self.policy, self.state) as call:
            response, charge = await call.made(
                messages,
                settings,
                self.policy.first_byte,
                lambda: self.wrapped.request(messages, settings, model_request_parameters),
            )
            if charge is not None:
                charge.settle(response.usage)
            call.check(response)
            return response

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

        async def begun() -> tuple[StreamedResponse, AsyncIterator[ModelResponseStreamEvent], AsyncExitStack]:
            async with AsyncExitStack() as attempt:
                asked = messages, settings, model_request_parameters, run_context
                response = await attempt.enter_async_context(self.wrapped.request_stream(*asked))
                rest = aiter(response)
                return response, _limited(call, response, await anext(rest, None), rest), attempt.pop_all()

        async with AsyncExitStack() as stack:
            stack.enter_context(call)
            made = await call.made(messages, settings, self.policy.first_byte or OF_STREAMS, begun)
            (response, events, attempt), charge = made
            if charge is not None:
                stack.callback(lambda: charge.settle(response.usage))
            stack.push_async_exit(attempt)
            # pydantic_ai hands out what stands here; its own fallbacks do the same.
            response._event_iterator = events  # pyright: ignore[reportPrivateUsage] # noqa: SLF001
            yield response

    def _with_own(self, settings: ModelSettings | None) -> ModelSettings | None:
        """Return settings that turn the retries of the provider's client off, unless the user has set them."""
        return {**self._own_settings, **(settings or {})} if self._own_settings else settings


async def _limited(
    call: Call, response: StreamedResponse, first: Any, rest: AsyncIterator[ModelResponseStreamEvent]
) -> AsyncGenerator[ModelResponseStreamEvent]:
    """Yield the events of a stream under its limits. What it lacks at its end makes it an error."""
    event: ModelResponseStreamEvent | None = first
    while event is not None:
        yield event
        try:
            with call.limit.of(call.policy.idle or OF_STREAMS, "idle"):
                event = await anext(rest, None)
        except Exception as error:
            call.failed(error, response.get().text or "", has_begun=True)
    if not response.cancelled:
        call.check(response.get())
        call.warn(getattr(response, "oddities", ()))


class FallbackPolicy(WrapperModel):
    """One deadline over a model and its fallbacks, and one error if all of them fail."""

    def __init__(self, wrapped: Model, policy: ModelPolicy) -> None:
        super().__init__(wrapped)
        self.policy = policy

    async def request(self, *asked: Any, **more: Any) -> ModelResponse:
        """Return the first answer of one of the models."""
        with self._deadline():
            return await self.wrapped.request(*asked, **more)

    @asynccontextmanager
    async def request_stream(self, *asked: Any, **more: Any) -> AsyncGenerator[StreamedResponse]:
        """Yield the first stream that begins."""
        async with AsyncExitStack() as stack:
            with self._deadline():
                stream = await stack.enter_async_context(self.wrapped.request_stream(*asked, **more))
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


def breakers(model: Model) -> Iterator[tuple[str, bool]]:
    """Yield the name of each model that a model asks, and whether its endpoint is left alone because it failed."""
    if isinstance(model, FallbackPolicy):
        for one in cast("FallbackModel", model.wrapped).models:
            yield from breakers(one)
    elif isinstance(model, PolicyModel):
        yield model.model_name, model.state.open_until is not None


def _last_of(group: FallbackExceptionGroup) -> Exception:
    """Return the error of the last model, with notes about those before it."""
    *others, last = cast("tuple[Exception, ...]", group.exceptions)
    if not isinstance(last, ModelCallError):
        return group
    for one in others:
        add_note(last, f"before: {type_name(one)}: {error_text(one)}")
    last.attempts = sum(getattr(one, "attempts", 1) for one in (*others, last))
    return last
