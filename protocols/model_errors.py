"""What may go wrong with a request to a model: one class for each thing that a program does about it.

```
ModelCallError
├── RateLimitedError, QuotaExhaustedError, OverloadedError, CircuitOpenError
├── UpstreamConnectionError, UpstreamTimeoutError, StreamInterruptedError
├── BadResponseError     ResponseTooLargeError
├── BadRequestError      ContextTooLongError
└── AuthError, ContentFilteredError, BudgetExceededError
```

An error that pydantic_ai raised keeps its own class as well, its name and its attributes: the failure of a request with
the status 429 is a `RateLimitedError` and a `ModelHTTPError`. What a model of the user raises stays as it is.
"""

from typing import ClassVar

from protocols.errors import ModelError


class ModelCallError(ModelError):
    """A request to a model failed, after all attempts that the policy of its agent allows."""

    retryable: bool = False
    """True if the same request may succeed later."""
    attempts: int = 1
    """Requests that were made of this model; 0 if none was, because the model is known to be unavailable."""
    elapsed: float = 0.0
    """Seconds from the first attempt to this error, on the clock of the system."""
    request_id: str | None = None
    """The provider's own id of the last attempt, for its support; None if it gave none."""
    retry_after: float | None = None
    """Seconds after which the provider wants to be asked again; None if it did not say."""
    partial: str | None = None
    """The text that came before the error, which is not the answer; None if none could have come."""


class RateLimitedError(ModelCallError):
    """The provider admits no more requests for now."""

    retryable = True


class QuotaExhaustedError(ModelCallError):
    """The account at the provider has nothing left; waiting does not help."""


class OverloadedError(ModelCallError):
    """The provider is overloaded, under maintenance, or failed inside."""

    retryable = True


class CircuitOpenError(ModelCallError):
    """The endpoint failed so often in a row that it is left alone for a while; no request was made."""

    retryable = True
    next_probe: float = 0.0
    """Seconds until one request may find out whether the endpoint works again."""


class UpstreamConnectionError(ModelCallError):
    """The endpoint cannot be reached, or broke the connection before any answer."""

    retryable = True
    phase: str | None = None
    """What failed: ``connect``, ``write``, ``read``, ``pool``; None if that is not known."""


class UpstreamTimeoutError(ModelCallError, TimeoutError):
    """A time limit of the policy, or of the client of the provider, has passed."""

    retryable = True
    phase: str | None = None
    """Which limit: ``deadline``, ``first_byte``, ``idle``, or what a client waited for: ``connect``, ``read``."""


class StreamInterruptedError(ModelCallError):
    """A stream ended before its answer did. The text so far is in `partial`."""

    retryable = True


class BadResponseError(ModelCallError):
    """The endpoint answered something that is not an answer of a model, such as a page of HTML."""

    most_sample: ClassVar[int] = 2_000
    retryable = True
    sample: str = ""
    """The begin of what came, at most `most_sample` characters."""


class ResponseTooLargeError(BadResponseError):
    """An answer exceeds the limit of bytes; the rest of it was not read."""

    retryable = False


class BadRequestError(ModelCallError):
    """The provider refuses the request as it is: an unknown model, an impossible setting, an unsupported input."""


class ContextTooLongError(BadRequestError):
    """The conversation does not fit into the context window of the model."""

    tokens: int | None = None
    """Tokens of the request; None if the provider did not say."""
    limit: int | None = None
    """Tokens that the model takes; None if the provider did not say."""


class AuthError(ModelCallError):
    """The provider does not accept the key, or the key may not use this model."""


class ContentFilteredError(ModelCallError):
    """A filter of the provider ended the answer. What came before is in `partial`."""


class BudgetExceededError(ModelCallError):
    """A budget has no room for another request."""
