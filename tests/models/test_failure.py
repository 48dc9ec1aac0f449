import pickle
from typing import Any

import pytest
from pydantic_ai import exceptions
from pydantic_ai.models.test import TestModel

from actors.models.failure import failure_of
from protocols import model_errors as errors
from protocols.errors import ModelError

MODEL = TestModel(model_name="m")


def http(status: int, category: Any = None, body: Any = None, **headers: str) -> exceptions.ModelHTTPError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return exceptions.ModelHTTPError.for_category(
        category, status_code=status, model_name="m", body=body, headers=named
    )


KINDS: list[tuple[Exception, type[errors.ModelCallError], bool]] = [
    (http(429, exceptions.ModelRateLimitError), errors.RateLimitedError, True),
    (http(402, exceptions.ModelQuotaExceededError), errors.QuotaExhaustedError, False),
    (http(529, exceptions.ModelOverloadedError), errors.OverloadedError, True),
    (http(503, exceptions.ModelUnavailableError), errors.OverloadedError, True),
    (http(500, exceptions.ModelServerError), errors.OverloadedError, True),
    (http(501), errors.OverloadedError, True),
    (http(408), errors.OverloadedError, True),
    (http(409), errors.OverloadedError, True),
    (http(401, exceptions.ModelAuthenticationError), errors.AuthError, False),
    (http(404, exceptions.ModelNotFoundError), errors.BadRequestError, False),
    (http(413), errors.BadRequestError, False),
    (http(422, exceptions.ModelRequestRejectedError), errors.BadRequestError, False),
    (http(400, exceptions.ModelContextWindowExceededError), errors.ContextTooLongError, False),
    (exceptions.ModelTimeoutError("m", "late", phase="connect"), errors.UpstreamTimeoutError, True),
    (exceptions.ModelRequestTimeout("m", 3.0), errors.UpstreamTimeoutError, True),
    (exceptions.ModelConnectionError("m", "gone", phase="read"), errors.UpstreamConnectionError, True),
    (exceptions.ContentFilterError("no"), errors.ContentFilteredError, False),
    (exceptions.UnexpectedModelBehavior("odd", "body"), errors.BadResponseError, True),
    (exceptions.ModelAPIError("m", "Failed to decode"), errors.BadResponseError, True),
    (exceptions.ModelAPIError("m", "Error code: 307"), errors.BadResponseError, False),
]


@pytest.mark.parametrize(("error", "kind", "retryable"), KINDS)
def test_an_error_of_a_request_is_of_our_class_and_stays_of_its_own(
    error: Exception, kind: type[errors.ModelCallError], retryable: bool
) -> None:
    failure = failure_of(error, MODEL, attempts=2, elapsed=1.5)

    assert isinstance(failure, (kind, ModelError))
    assert isinstance(failure, type(error))
    assert (type(failure).__name__, type(failure).__module__) == (type(error).__name__, type(error).__module__)
    assert (failure.retryable, failure.attempts, failure.elapsed, failure.node) == (retryable, 2, 1.5, None)
    status = getattr(error, "status_code", None)
    text = str(error) if status is None else f"model 'm': status {status}: nothing more"
    assert str(failure) == f"{text} (2 attempts in 1.5 s)"
    assert getattr(failure, "status_code", None) == getattr(error, "status_code", None)


@pytest.mark.parametrize(("error", "kind", "retryable"), KINDS)
def test_such_an_error_can_be_sent_to_another_process(
    error: Exception, kind: type[errors.ModelCallError], retryable: bool
) -> None:
    failure = failure_of(error, MODEL, attempts=2)

    copy = pickle.loads(pickle.dumps(failure))

    assert failure is not None
    assert type(copy) is type(failure)
    assert (str(copy), copy.retryable, copy.attempts) == (str(failure), retryable, 2)
    assert isinstance(copy, kind)


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("x"), exceptions.UsageLimitExceeded("x"), KeyError()])
def test_what_is_no_error_of_a_request_is_left_alone(error: Exception) -> None:
    assert failure_of(error, MODEL) is None


def test_an_error_below_the_client_of_the_provider_decides() -> None:
    error = exceptions.ModelConnectionError("m", "Connection error.")
    error.__cause__ = RuntimeError("client")
    error.__cause__.__cause__ = errors.ResponseTooLargeError("40 MB")

    failure = failure_of(error, MODEL)

    assert isinstance(failure, errors.ResponseTooLargeError)
    assert not failure.retryable


def test_what_the_provider_says_is_read() -> None:
    body = {"message": "maximum context length is 8,192 tokens, but 9000 were requested"}
    long = failure_of(http(400, exceptions.ModelContextWindowExceededError, body, x_request_id="req_1"), MODEL)
    odd = failure_of(exceptions.UnexpectedModelBehavior("odd", "<html>" + "x" * 9_000), MODEL)

    assert isinstance(long, errors.ContextTooLongError)
    assert (long.limit, long.tokens, long.request_id) == (8192, 9000, "req_1")
    assert str(long).endswith("(request req_1)")
    assert isinstance(odd, errors.BadResponseError)
    assert odd.sample.startswith("<html>")
    assert len(odd.sample) == errors.BadResponseError.most_sample


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "2"}, 2.0),
        ({"retry_after": "60", "retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "1000000000"}, 1e9),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:09 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 9.0),
        ({"retry_after": "Wed, 21 Oct 2099 07:27:00 GMT", "date": "Wed, 21 Oct 2099 07:28:00 GMT"}, 0.0),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:09 GMT", "date": "yesterday"}, 0.0),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": ""}, None),
        ({}, None),
    ],
)
def test_a_wait_is_read_by_the_clock_of_the_provider_and_garbage_is_none(
    headers: dict[str, str], seconds: float | None
) -> None:
    failure = failure_of(http(429, exceptions.ModelRateLimitError, **headers), MODEL)

    assert failure is not None
    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No such model.", "code": 7}}, "No such model."),
        ({"error": "quota"}, "quota"),
        ({"message": "Slow\ndown"}, "Slow down"),
        ({"detail": [{"msg": "bad"}]}, "[{'msg': 'bad'}]"),
        ("<html>" + "x" * 1_000, "<html>" + "x" * 293 + "\N{HORIZONTAL ELLIPSIS}"),
        (None, "nothing more"),
    ],
)
def test_a_refusal_says_what_the_provider_said(body: Any, said: str) -> None:
    assert str(failure_of(http(400, body=body), MODEL)) == f"model 'm': status 400: {said}"
