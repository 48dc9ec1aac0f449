"""The errors of a pool, as a client over HTTP gets them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from actors.web import error_handlers
from protocols.errors import (
    AlreadyRunningError,
    EmptyPromptError,
    HostLostError,
    MemberError,
    NodeNotFoundError,
    NodeStoppedError,
    RunError,
    RunTimeoutError,
)
from protocols.journal import JournalFullError
from protocols.mailbox import MailboxFullError
from protocols.model_errors import BudgetExceededError, CircuitOpenError, RateLimitedError, UpstreamTimeoutError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

CANARY = "a secret of the user"


def limited() -> RateLimitedError:
    error = RateLimitedError(CANARY, node="clerk")
    error.retry_after = 2.5
    return error


def answered(error: Exception) -> Any:
    """Return what a client gets when an endpoint raises an error."""

    async def endpoint(_request: Request) -> Response:
        raise error

    app = Starlette(routes=[Route("/ask", endpoint)], exception_handlers=error_handlers())
    return TestClient(app, raise_server_exceptions=False).get("/ask")


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (NodeNotFoundError(CANARY, node="clerk"), 404, None),
        (AlreadyRunningError(CANARY, node="clerk"), 409, None),
        (EmptyPromptError(CANARY, node="clerk"), 422, None),
        (limited(), 429, "3"),
        (BudgetExceededError(CANARY, node="clerk"), 429, None),
        (MailboxFullError("clerk", 10, CANARY), 503, "1"),
        (JournalFullError(CANARY), 503, "1"),
        (NodeStoppedError(CANARY, node="clerk"), 503, "1"),
        (HostLostError(CANARY, node="clerk"), 503, "1"),
        (CircuitOpenError(CANARY, node="clerk"), 503, "1"),
        (RunTimeoutError(CANARY, node="clerk"), 504, None),
        (UpstreamTimeoutError(CANARY, node="clerk"), 504, None),
        (MemberError.of("team", {"a": EmptyPromptError(CANARY), "b": RunTimeoutError(CANARY)}), 504, None),
        (MemberError.of("team", {"a": ValueError(CANARY)}), 500, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_error_has_its_status_and_tells_no_text(error: Exception, status: int, retry_after: str | None) -> None:
    answer = answered(error)

    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry_after)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"title": type(error).__name__, "status": status, "node": getattr(error, "node", None)}
    assert CANARY not in answer.text


def test_what_the_service_cannot_help_is_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "understage.web"):
        answered(EmptyPromptError("empty"))
        answered(RunTimeoutError("too late"))

    assert caplog.messages == ["GET /ask: too late"]


def test_another_error_is_a_fault_of_the_service() -> None:
    assert answered(RunError(CANARY)).status_code == 500
