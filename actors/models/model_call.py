"""One request to a model: its attempts, its time, and what becomes of its errors."""

import asyncio
import random
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model

from actors.models.endpoint_state import EndpointState
from actors.models.failure import failure_of, host_of, typed
from actors.models.policy import ModelPolicy
from actors.models.time_limit import TimeLimit, pause
from actors.runtime.clock import LoopClock
from actors.runtime.envelope import current
from protocols.clock import Clock
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
    ModelRetried,
    ModelThrottled,
    ProtocolWarning,
)

shared_until: ContextVar[float | None] = ContextVar("understage_model_deadline", default=None)
"""When the request ends that a model with fallbacks makes of one of them."""
_BAD_RESPONSES: Final = 2
_FAULTS: Final = (OverloadedError, UpstreamConnectionError, UpstreamTimeoutError, StreamInterruptedError)
"""What says that an endpoint does not work."""


class Call:
    """One request to a model: its attempts, its time, and what becomes of its errors."""

    __slots__ = (
        "attempts",
        "bad_responses",
        "clock",
        "ends",
        "is_probe",
        "limit",
        "model",
        "policy",
        "started",
        "state",
    )

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

    async def begin(self) -> None:
        """Begin an attempt, after the pause that the provider wants.

        Raises:
            RateLimitedError: the pause does not end before the deadline.
            CircuitOpenError: the endpoint failed too often, and it is too early for a probe.
            RunCancelledError: the step before was the last.
        """
        envelope, state = current.get(), self.state
        if envelope is not None and getattr(envelope.message, "ends_after_step", False):
            raise RunCancelledError.after_step(envelope.message.node.name)
        if state.paused_until and state.paused_until > self.clock.now():
            await self._pause_ended()
        if state.open_until is not None:
            seconds = state.refuses(self.clock.now())
            if seconds is not None:
                text = f"model {self._name!r}: its endpoint failed too often; the next probe is in {seconds:.1f} s"
                raise self._own(CircuitOpenError, ModelUnavailableError(self._name, text), next_probe=seconds)
            self.is_probe = True
        self.attempts += 1

    def answered(self) -> None:
        """Note that the endpoint works."""
        self.is_probe = False
        if self.state.answered(self.policy.retry_share if self.attempts == 1 else 0.0):
            self._publish(CircuitClosed)

    def end(self) -> None:
        """Let go of the timer, and of a probe that came to nothing."""
        self.limit.close()
        if self.is_probe:
            self.state.is_probed = self.is_probe = False

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
        model = self.model
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
        self._judge(failure)
        wait = None if has_begun else self._wait(failure)
        if wait is None:
            raise failure from failure.__cause__
        self._publish(ModelRetried, attempt=self.attempts, delay=wait, error_type=type(failure).__name__)
        return wait if failure.retry_after is None else 0.0  # `begin` waits with all others

    def check(self, response: ModelResponse) -> None:
        """Refuse an answer that is not complete, that a filter ended, or that calls too many tools."""
        if response.state == "incomplete":
            text = f"model {response.model_name!r}: the stream ended before its answer did"
            raise self._own(StreamInterruptedError, ModelConnectionError(self._name, text), partial=response.text)
        if response.finish_reason == "content_filter":
            text = f"model {response.model_name!r}: a filter of the provider ended the answer"
            raise self._own(ContentFilteredError, ContentFilterError(text), partial=response.text)
        calls, most = len(response.parts), self.policy.max_tool_calls
        if calls > most and (calls := len(response.tool_calls)) > most:
            text = f"model {response.model_name!r}: the answer calls {calls} tools; max_tool_calls is {most}"
            raise self._own(BadResponseError, UnexpectedModelBehavior(text), partial=response.text, retryable=False)

    def warn(self, problems: Iterable[str]) -> None:
        """Tell what was odd about an answer that can be read all the same."""
        for problem in problems:
            self._publish(ProtocolWarning, problem=problem)

    async def _pause_ended(self) -> None:
        state, clock = self.state, self.clock
        state.waiting += 1
        try:
            while (left := state.paused_until - clock.now()) > 0:
                if self.ends is not None and state.paused_until >= self.ends:
                    text = f"model {self._name!r}: the provider wants a pause of {left:.1f} s, beyond the deadline"
                    error = ModelRateLimitError(self._name, text, retry_after=left)
                    raise self._own(RateLimitedError, error, retry_after=left)
                self._publish(ModelThrottled, delay=left)
                # About ten of those that wait begin in a second: together they would be refused again.
                await pause(clock, left + random.random() * max(0.25, state.waiting / 10))
        finally:
            state.waiting -= 1

    def _judge(self, failure: ModelCallError) -> None:
        """Note what a failure says about the endpoint."""
        now = self.clock.now()
        if not isinstance(failure, _FAULTS):
            self.answered()
        elif self.state.failed(now, self.policy):
            self._publish(CircuitOpened, delay=self.policy.probe_after)
        self.is_probe = False
        if failure.retry_after is not None:
            self.state.pause(now, failure.retry_after)

    @property
    def _name(self) -> str:
        return self.model.model_name

    def _own(self, kind: type[ModelCallError], error: Exception, **more: Any) -> ModelCallError:
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


def clock_of_handler() -> Clock:
    """Return the clock of the system that the running handler belongs to."""
    envelope = current.get()
    return LoopClock(asyncio.get_running_loop()) if envelope is None else envelope.cell.system.clock
