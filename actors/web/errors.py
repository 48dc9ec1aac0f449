"""What errors of a pool mean to a client over HTTP."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from math import ceil
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from protocols.errors import (
    AlreadyRunningError,
    ApprovalError,
    HostLostError,
    MemberError,
    NodeNotFoundError,
    NodeStoppedError,
    NotRunningError,
    PromptError,
    RunCancelledError,
    RunTimeoutError,
    ToolServerError,
    error_text,
)
from protocols.journal import JournalError
from protocols.mailbox import MailboxFullError
from protocols.model_errors import (
    BudgetExceededError,
    ContentFilteredError,
    ContextTooLongError,
    ModelCallError,
    RateLimitedError,
    UpstreamTimeoutError,
)
from protocols.stores import StorageError

Handler = Callable[[Request, Exception], Awaitable[Response]]

STATUSES: Final[dict[type[Exception], int]] = {
    NodeNotFoundError: 404,
    AlreadyRunningError: 409,
    NotRunningError: 409,
    ApprovalError: 409,
    PromptError: 422,
    ContextTooLongError: 422,
    ContentFilteredError: 422,
    RateLimitedError: 429,
    BudgetExceededError: 429,
    MailboxFullError: 503,
    NodeStoppedError: 503,
    RunCancelledError: 503,
    HostLostError: 503,
    ToolServerError: 503,
    JournalError: 503,
    StorageError: 503,
    ModelCallError: 503,
    RunTimeoutError: 504,
    UpstreamTimeoutError: 504,
    MemberError: 500,
}
"""The status of each error, and of those below it in the tree. Any other error is a fault of the service: 500.

A failed team has the highest status of the errors of its members.
"""

_RETRY_AFTER: Final = 1.0
"""Seconds after which a client may ask again, when nothing better is known."""

_log = logging.getLogger("understage.web")


def error_handlers() -> dict[type[Exception], Handler]:
    """Return handlers for `exception_handlers` of FastAPI or Starlette: each error of a run has its HTTP status.

    The answer is a problem of RFC 9457 with the class of the error and the name of its node. The text of the error is
    in the log only: it may quote what was asked. ``Retry-After`` is there when asking again may help.

    Example:
        >>> sorted({*STATUSES.values()})
        [404, 409, 422, 429, 500, 503, 504]
    """
    return dict.fromkeys(STATUSES, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    status = _status(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s %s: %s", request.method, request.url.path, error_text(error))
    body = {"title": type(error).__name__, "status": status, "node": getattr(error, "node", None)}
    return JSONResponse(body, status, _headers(error, status), "application/problem+json")


def _status(error: BaseException) -> int:
    if isinstance(error, MemberError) and error.errors:
        return max(map(_status, error.errors.values()))
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def _headers(error: Exception, status: int) -> dict[str, str]:
    if status not in (429, 503) or not getattr(error, "retryable", True):
        return {}
    seconds = getattr(error, "retry_after", None) or getattr(error, "next_probe", None) or _RETRY_AFTER
    return {"Retry-After": str(ceil(seconds))}
