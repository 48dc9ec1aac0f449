"""One request to a model: its attempts, its time, and what becomes of its errors."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, Self, TypeVar

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from actors.models.budget import Charge, Usage, charged, reserve
from actors.models.byte_limit import most_bytes
from actors.models.endpoint_state import EndpointState
from actors.models.failure import failure_of, host_of, typed
from actors.models.policy import OF_STREAMS, ModelPolicy
from actors.models.rate_limiter import MOST_WAITING, Place, RateLimiter
from actors.models.time_limit import TimeLimit
from actors.runtime.clock import LoopClock
from actors.runtime.envelope import current
from protocols.budget import drawn
from protocols.clock import Clock, pause
from protocols.errors import RunCancelledError, add_note
from protocols.model_errors import (
    BadResponseError,
    CircuitOpenError,
    ContentFilteredError,
    ModelCallError,
    OverloadedError,
    RateLimitedError,
    StreamInterruptedError,
    UpstreamConnectionError,
    UpstreamTimeoutError,
)
from protocols.model_events import (
    CircuitClosed,
    CircuitOpened,
    ModelEvent,
    ModelRequested,
    ModelResponded,
    ModelRetried,
    ModelThrottled,
    ProtocolWarning,
)

shared_until: ContextVar[float | None] = ContextVar("understage_model_deadline", default=None)
"""When the request ends that a model with fallbacks makes of one of them."""
T = TypeVar("T")
_BAD_RESPONSES: Final = 2
_FAULTS: Final = (OverloadedError, UpstreamConnectionError, UpstreamTimeoutError, StreamInterruptedError)
"""What says that an endpoint does not work."""


class Call:
    """One request to a model: its attempts, its time, and what becomes of its errors."""

    def __init__(self, model: Model, policy: ModelPolicy, state: EndpointState) -> None:
        envelope = current.get()
        self.model = model
        self.policy = policy
        self.state = state
        self.is_probe = False
        self.clock = clock_of_handler()
        self.attempts = self.bad_responses = 0
        self.started = self.clock.now()
        until = _earlier(shared_until.get(), None if policy.deadline is None else self.started + policy.deadline)
        run = None if envelope is None else envelope.deadline
        self.ends = _earlier(until, run)
        """When the request must be over; None if it may take any time."""
        self.limit = TimeLimit(self.clock, None if self.ends == run else until)
        self.usage = RequestUsage()
        """What the answer says it has used."""

    def __enter__(self) -> Self:
        self._publish(ModelRequested)
        return self

    async def made(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        first_byte: float | None,
        once: Callable[[], Awaitable[T]],
    ) -> tuple[T, Charge | None]:
        """Return what an attempt gave, and what it holds until it is settled. Makes as many attempts as it takes."""
        while True:
            charge = await self._begin(messages, settings)
            most = most_bytes.set(self.policy.max_response_bytes)
            try:
                with self.limit.of(first_byte, "first_byte"), charged(charge):
                    found = await once()
            except Exception as error:
                wait = self.failed(error)
            else:
                self.answered()
                return found, charge
            finally:
                most_bytes.reset(most)
            await pause(self.clock, wait)

    async def _begin(self, messages: list[ModelMessage], settings: ModelSettings | None) -> Charge | None:
        """Begin an attempt, once there is room for it in its budgets and at its endpoint.

        Raises:
            BudgetExceededError: a budget is used up.
            RateLimitedError: its turn does not come before the deadline.
            OverloadedError: too many wait for the endpoint.
            CircuitOpenError: the endpoint failed too often, and it is too early for a probe.
            RunCancelledError: the step before was the last.
        """
        scope = current.get()
        if scope is not None and getattr(scope.message, "ends_after_step", False):
            raise RunCancelledError.after_step(scope.message.node.name)
        self._look_at_breaker()
        charge, ledgers, limiter = None, drawn.get(), self.state.limiter
        is_limited = limiter.limits or (limiter.paused_until and limiter.paused_until > self.clock.now())
        if ledgers or is_limited:
            charge = await reserve(ledgers, messages, settings)
        if charge is not None and is_limited:
            try:
                await self._enter(limiter, charge)
                self._look_at_breaker()
            except BaseException:
                charge.take(Usage())
                raise
        self.attempts += 1
        return charge

    async def _enter(self, limiter: RateLimiter, charge: Charge) -> None:
        """Wait until the endpoint has room for a request, which has its place until its charge is settled."""
        scope, started = current.get(), self.clock.now()
        left: float | None = None
        if limiter.waiting >= MOST_WAITING:
            text = "too many requests wait for their turn at its endpoint"
            raise self._own(OverloadedError, ModelUnavailableError, text)
        who = ("", "") if scope is None else (scope.cell.name, str(getattr(scope.message, "session", None)))
        place = Place(who, charge.tokens, self.ends)
        charge.leave = partial(limiter.leave, place)
        limiter.enter(place, self.clock)
        if not place.admitted.done():
            self._publish(ModelThrottled, delay=max(0.0, limiter.paused_until - started))
        try:
            with self.limit.of(None, "deadline"):
                if await place.admitted:
                    return
            left = limiter.paused_until - self.clock.now()
            text = f"the provider wants a pause of {left:.1f} s, beyond the deadline"
        except TimeoutError:
            text = f"its turn at its endpoint did not come in {self.clock.now() - started:.1f} s"
        raise self._own(RateLimitedError, ModelRateLimitError, text, retry_after=left)

    def _look_at_breaker(self) -> None:
        """Refuse a request to an endpoint that is left alone, or make it the probe."""
        if self.state.open_until is None or self.is_probe:
            return
        seconds = self.state.refuses(self.clock.now())
        if seconds is not None:
            text = f"its endpoint failed too often; the next probe is in {seconds:.1f} s"
            raise self._own(CircuitOpenError, ModelUnavailableError, text, next_probe=seconds)
        self.is_probe = True

    def answered(self) -> None:
        """Note that the endpoint works."""
        self.is_probe = False
        if self.state.answered(self.policy.retry_share if self.attempts == 1 else 0.0):
            self._publish(CircuitClosed)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let go of the timer, and of a probe that came to nothing."""
        self.limit.close()
        if self.is_probe:
            self.state.is_probed = self.is_probe = False
        self._publish(
            ModelResponded,
            duration=self.clock.now() - self.started,
            attempts=self.attempts,
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            error_type="" if kind is None else kind.__name__,
        )

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
        phase, policy, told = self.limit.phase, self.policy, self._told(partial)
        failure: ModelCallError | None
        if phase is not None and isinstance(error, TimeoutError):
            text = f"{_WAITS[phase]} within {getattr(policy, phase) or OF_STREAMS:g} s ({phase} of its policy)"
            failure = self._own(UpstreamTimeoutError, ModelTimeoutError, text, phase=phase, partial=partial)
        else:
            failure = failure_of(error, self.model, **told)
            if failure is None:
                raise error
            if has_begun and isinstance(failure, UpstreamConnectionError):
                text = f"the stream ended before its answer did: {error}"
                failure = self._own(StreamInterruptedError, ModelConnectionError, text, partial=partial)
                failure.__cause__ = error
        self._judge(failure)
        wait = None if has_begun else self._wait(failure)
        if wait is None:
            raise failure from failure.__cause__
        self._publish(ModelRetried, attempt=self.attempts, delay=wait, error_type=type(failure).__name__)
        return wait if failure.retry_after is None else 0.0  # the queue of the endpoint waits

    def check(self, response: ModelResponse) -> None:
        """Refuse an answer that is not complete, that a filter ended, or that calls too many tools."""
        self.usage = response.usage
        calls, most = len(response.parts), self.policy.max_tool_calls
        if response.state == "incomplete":
            error = self._own(StreamInterruptedError, ModelConnectionError, "the stream ended before its answer did")
        elif response.finish_reason == "content_filter":
            error = self._own(ContentFilteredError, ContentFilterError, "a filter of the provider ended the answer")
        elif calls > most and (calls := len(response.tool_calls)) > most:
            text = f"the answer calls {calls} tools; max_tool_calls is {most}"
            error = self._own(BadResponseError, UnexpectedModelBehavior, text, retryable=False)
        else:
            return
        error.partial = response.text
        raise error

    def warn(self, problems: Iterable[str]) -> None:
        """Tell what was odd about an answer that can be read all the same."""
        for problem in problems:
            self._publish(ProtocolWarning, problem=problem)

    def _judge(self, failure: ModelCallError) -> None:
        """Note what a failure says about the endpoint."""
        now = self.clock.now()
        if not isinstance(failure, _FAULTS):
            self.answered()
        elif self.state.failed(now, self.policy):
            self._publish(CircuitOpened, delay=self.policy.probe_after)
        self.is_probe = False
        if failure.retry_after is not None:
            self.state.limiter.pause(now, failure.retry_after)

    @property
    def _name(self) -> str:
        return self.model.model_name

    def _own(self, kind: type[ModelCallError], theirs: type[Exception], text: str, **more: Any) -> ModelCallError:
        text = f"model {self._name!r}: {text}"
        error = theirs(self._name, text) if issubclass(theirs, ModelAPIError) else theirs(text)
        return typed(kind, error, self.model, **{**self._told(None), **more})

    def _publish(self, kind: type[ModelEvent], **fields: Any) -> None:
        envelope = current.get()
        if envelope is not None and (events := envelope.cell.system.events).wants(kind):
            endpoint, run = host_of(self.model) or "", getattr(envelope.message, "run_id", "")
            events.publish(kind, actor=envelope.cell.name, run_id=run, model=self._name, endpoint=endpoint, **fields)

    def _told(self, partial: str | None) -> dict[str, Any]:
        return {"attempts": self.attempts, "elapsed": self.clock.now() - self.started, "partial": partial}

    def _wait(self, failure: ModelCallError) -> float | None:
        """Return the seconds to wait after a failure; None if this was the last attempt."""
        policy, attempts = self.policy, self.attempts
        self.bad_responses += isinstance(failure, BadResponseError)
        if not failure.retryable or attempts >= policy.attempts or self.bad_responses == _BAD_RESPONSES:
            return None
        if self.state.open_until is not None:
            add_note(failure, f"the endpoint is left alone for {policy.probe_after:g} s")
            return None
        most = min(policy.max_wait, policy.min_wait * 2.0 ** min(attempts - 1, 60))
        wait = random.random() * most
        if failure.retry_after is not None:
            wait = failure.retry_after
        elif attempts == 1 and isinstance(failure, UpstreamConnectionError):
            wait = 0.0  # the server may have closed a connection that was kept
        if self.ends is not None and self.clock.now() + wait >= self.ends:
            add_note(failure, f"the next attempt would begin in {wait:.1f} s, after the deadline")
            return None
        if not isinstance(failure, RateLimitedError) and not self.state.allows_retry():
            add_note(failure, f"no other attempt: retries are {policy.retry_share:.0%} of the requests of its endpoint")
            return None
        return wait


def _earlier(one: float | None, other: float | None) -> float | None:
    return other if one is None or (other is not None and other < one) else one


_WAITS: Final = {"deadline": "no answer", "first_byte": "nothing of an answer", "idle": "nothing more of the answer"}


def clock_of_handler() -> Clock:
    """Return the clock of the system that the running handler belongs to."""
    envelope = current.get()
    return LoopClock(asyncio.get_running_loop()) if envelope is None else envelope.cell.system.clock
