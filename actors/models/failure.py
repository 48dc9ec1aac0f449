"""Judge what a request to a model raised: which of our errors it is, and what it tells.

The error keeps its class of pydantic_ai besides, so the handlers that users have and `FallbackModel` work as before.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import urlsplit

from pydantic_ai import exceptions
from pydantic_ai.models import Model

from protocols.checks import is_a
from protocols.errors import error_text, limited_text, type_name
from protocols.model_errors import (
    AuthError,
    BadRequestError,
    BadResponseError,
    ContentFilteredError,
    ContextTooLongError,
    ModelCallError,
    OverloadedError,
    QuotaExhaustedError,
    RateLimitedError,
    UpstreamConnectionError,
    UpstreamTimeoutError,
)
from protocols.plain_text import one_line

_KINDS: Final[tuple[tuple[type[Exception], type[ModelCallError]], ...]] = (
    (exceptions.ModelRateLimitError, RateLimitedError),
    (exceptions.ModelQuotaExceededError, QuotaExhaustedError),
    (exceptions.ModelUnavailableError, OverloadedError),
    (exceptions.ModelServerError, OverloadedError),
    (exceptions.ModelTimeoutError, UpstreamTimeoutError),
    (exceptions.ModelRequestTimeout, UpstreamTimeoutError),
    (exceptions.ModelConnectionError, UpstreamConnectionError),
    (exceptions.ModelContextWindowExceededError, ContextTooLongError),
    (exceptions.ModelAuthenticationError, AuthError),
    (exceptions.ModelRequestRejectedError, BadRequestError),
    (exceptions.ContentFilterError, ContentFilteredError),
    (exceptions.UnexpectedModelBehavior, BadResponseError),
)
"""The first class that fits decides."""
_TRANSIENT_STATUS: Final = (408, 409, 425)
_SERVER_ERRORS: Final = 500
_CLIENTS: Final = ("openai.", "httpx", "anthropic.", "groq.")
"""Libraries whose decoder of JSON fails on what a server sent."""
_READERS: Final = ("_process_response", "_process_streamed_response", "_get_event_iterator")
"""Functions of the models of pydantic_ai that read an answer."""
_NO_PROVIDERS: Final = ("pydantic_ai.models.function", "pydantic_ai.models.test")
"""Models of pydantic_ai whose answers are made by the user."""
MALFORMED: Final = (AttributeError, TypeError, LookupError, ValueError, AssertionError, RecursionError)
"""What reading a malformed answer raises."""
_JOINS: Final = "joins"
"""The attribute of a joined class that says what it joins."""
_MOST_CAUSES: Final = 8
_MOST_SAID: Final = 300
"""Signs of what a provider says that stand in the text of an error; the whole of it is its `body`."""
_NUMBER: Final = re.compile(r"\d[\d,]{2,}")
_REDIRECT: Final = re.compile(r"Error code: 3\d\d")


def kind_of(error: Exception) -> type[ModelCallError] | None:
    """Return which of our errors this is; None for one that is none, such as a bug in a model of the user."""
    if isinstance(error, exceptions.AgentRunError | ModelCallError) and (ours := _below(error)) is not None:
        return type(ours)
    for known, kind in _KINDS:
        if isinstance(error, known):
            return kind
    if isinstance(error, exceptions.ModelHTTPError):
        status = error.status_code
        return OverloadedError if status in _TRANSIENT_STATUS or status >= _SERVER_ERRORS else BadRequestError
    return BadResponseError if isinstance(error, exceptions.ModelAPIError) or _is_of_reader(error) else None


def failure_of(error: Exception, model: Model, **told: Any) -> ModelCallError | None:
    """Return the error of a request as one of ours; None if it is none.

    Args:
        error: what the model raised.
        model: the model, for the text.
        **told: attributes of the failure that the caller knows, such as `attempts`.
    """
    kind = kind_of(error)
    if kind is None:
        return None
    headers: dict[str, str] = getattr(error, "headers", None) or {}
    told = {"request_id": headers.get("x-request-id") or headers.get("request-id"), **told}
    told |= {"retry_after": _retry_after(getattr(error, "retry_after", None), headers), **_details(kind, error)}
    return typed(kind, error, model, ours=False, **told)


def typed(
    kind: type[ModelCallError], error: Exception, model: Model, *, ours: bool = True, **told: Any
) -> ModelCallError:
    """Return an error that is of our class and of that of another one.

    Args:
        kind: our class.
        error: the other error; one that is of our class already is changed.
        model: the model, for the text.
        ours: True names the class as ours, False as the other one.
        **told: its attributes.
    """
    text = _redacted(_text(error, model, told), model)
    found: ModelCallError
    if isinstance(error, ModelCallError):
        found = error
    else:
        # Another decoder may leave an exception without a class of pydantic_ai.
        known = isinstance(error, exceptions.AgentRunError)
        original = error if known else exceptions.ModelAPIError(model.model_name, error_text(error))
        joined = _joined((kind, type(original), ours))
        found = joined.__new__(joined)
        kept = {name: _redacted(value, model) for name, value in vars(original).items()}
        vars(found).update({"node": None, **kept})
        if kept == vars(original):  # else the cause repeats the key
            found.__cause__ = error.__cause__ if known else error
        found.__traceback__ = error.__traceback__
    found.args = (text,)
    vars(found).update(told)
    return found


def host_of(model: Model) -> str | None:
    """Return host and port of the endpoint of a model; None for one without."""
    with suppress(ValueError, NotImplementedError):
        return urlsplit(model.base_url or "").netloc.rpartition("@")[2] or None
    return None


@lru_cache(maxsize=256)
def _joined(parts: tuple[type[ModelCallError], type[Exception], bool]) -> type[ModelCallError]:
    kind, original, ours = parts
    own = {"__doc__": kind.__doc__, "__reduce__": _reduced, "__setstate__": _set_state}
    made: Any = type(original.__name__, (kind, original), own)
    named = kind if ours else original
    made.__name__, made.__qualname__, made.__module__ = named.__name__, named.__qualname__, named.__module__
    setattr(made, _JOINS, (kind, getattr(original, "category", original), hasattr(original, "category"), ours))
    return cast("type[ModelCallError]", made)


def _reduced(self: Exception) -> tuple[Any, ...]:
    joins = cast("tuple[Any, ...]", getattr(self, _JOINS))
    return _restored, (*joins, self.args), vars(self)


def _set_state(self: Exception, state: dict[str, Any]) -> None:
    vars(self).update(state)


def _restored(kind: Any, original: Any, is_category: bool, ours: bool, args: tuple[Any, ...]) -> ModelCallError:
    if is_category:
        original = type(exceptions.ModelHTTPError.for_category(original, status_code=0, model_name=""))
    joined = _joined((kind, original, ours))
    found = joined.__new__(joined)
    found.args = args
    return found


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if found is None:
            return
        yield found
        found = found.__cause__


def _below(error: Exception) -> ModelCallError | None:
    """Return an error of ours that the client of the provider wraps: it comes out of our transport."""
    return next((one for one in _causes(error) if isinstance(one, ModelCallError)), None)


def _is_of_reader(error: Exception) -> bool:
    """Return True for what the client, or pydantic_ai's model of a provider, raises over a malformed answer."""
    if not isinstance(error, MALFORMED):
        return False
    trace = error.__traceback__
    while trace is not None:
        module, function = str(trace.tb_frame.f_globals.get("__name__")), trace.tb_frame.f_code.co_name
        if module.startswith(_CLIENTS) and isinstance(error, ValueError | RecursionError):
            return True
        if function in _READERS and module.startswith("pydantic_ai.models.") and module not in _NO_PROVIDERS:
            return True
        trace = trace.tb_next
    return False


def _details(kind: type[ModelCallError], error: Exception) -> dict[str, Any]:
    """Return what only one kind of error has."""
    if issubclass(kind, ContextTooLongError):
        numbers = sorted(int(found.replace(",", "")) for found in _NUMBER.findall(str(getattr(error, "body", error))))
        return {"limit": numbers[0] if numbers else None, "tokens": numbers[-1] if numbers[1:] else None}
    if issubclass(kind, UpstreamConnectionError):
        below = [arg for one in _causes(error) for arg in (one, *one.args)]
        return {"retryable": not any(isinstance(one, ssl.SSLCertVerificationError) for one in below)}
    if issubclass(kind, BadResponseError):
        ours = _below(error)
        sample = ours.sample if isinstance(ours, BadResponseError) else str(getattr(error, "body", None) or error)
        sample = sample[: BadResponseError.most_sample]
        return {"sample": sample, "retryable": kind.retryable and not _REDIRECT.match(str(error))}
    return {}


def _retry_after(seconds: float | None, headers: dict[str, str]) -> float | None:
    """Return the wait that the provider asks for. A date counts from the provider's own clock."""
    date = headers.get("retry-after", "")
    if seconds is not None and "date" in headers and "retry-after-ms" not in headers and not date.isdigit():
        with suppress(ValueError, TypeError):
            return max(0.0, (parsedate_to_datetime(date) - parsedate_to_datetime(headers["date"])).total_seconds())
    return seconds


def _text(error: Exception, model: Model, told: dict[str, Any]) -> str:
    host, attempts, request = host_of(model), told.get("attempts", 1), told.get("request_id")
    parts = [host] if host else []
    if attempts > 1:
        parts.append(f"{attempts} attempts in {told.get('elapsed', 0.0):.1f} s")
    if request:
        parts.append(f"request {request}")
    text = str(_below(error) or error)
    if isinstance(error, exceptions.ModelConnectionError | exceptions.ModelTimeoutError) and error.__cause__:
        reasons = [error_text(one) for one in _causes(error) if one.args and one.args[0]]
        text = f"model {model.model_name!r}: {error.phase or 'the connection'} failed: {reasons[-1]}"
    elif isinstance(error, exceptions.ModelHTTPError) and text == str(error):
        text = f"model {model.model_name!r}: status {error.status_code}: {_said(error.body)}"
    if not isinstance(error, exceptions.AgentRunError | ModelCallError):
        text = f"model {model.model_name!r}: its server sent a malformed answer: {type_name(error)}: {text}"
    return f"{text} ({', '.join(parts)})" if parts else text


def _said(body: object) -> str:
    """Return what a provider says in the body of an answer, which may be anything."""
    for key in ("error", "message", "detail"):
        if is_a(body, Mapping):
            body = cast("Mapping[str, object]", body).get(key, body)
    return one_line(limited_text(str, body, _MOST_SAID)) if body else "nothing more"


def _redacted(value: Any, model: Model) -> Any:
    """Return a value, or its text without the key of the model, which a server may have repeated."""
    key: object = getattr(getattr(model, "client", None), "api_key", None)
    if not isinstance(key, str) or len(key) < 8 or key not in str(value):  # noqa: PLR2004 - no key is that short
        return value
    return str(value).replace(key, "***")
