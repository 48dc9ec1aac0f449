"""Limit what the client of a provider reads: bytes after decompression, and the length of a line of a stream.

Without a limit a few kilobytes of compressed zeros become gigabytes. The body is counted where the client reads it, so
no more of it is kept than the limit, and the connection is closed there.
"""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import httpx2

from actors.models.policy import DEFAULT_POLICY
from protocols.model_errors import BadResponseError, ResponseTooLargeError

most_bytes: ContextVar[int] = ContextVar("most_bytes", default=DEFAULT_POLICY.max_response_bytes)
"""The limit for the requests of a context."""
_MOST_LINE: Final = 4 << 20
_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = re.compile(rb"(?:^|[\r\n])data: ?\[DONE\]")
_BEFORE: Final = len(b"\ndata: [DONE]") - 1

Provider = TypeVar("Provider")


def limit_provider(provider: Provider) -> Provider:
    """Limit the client that a provider made for itself, and those that it makes when that one is closed.

    A client that was given to the provider stays as it is.
    """
    made: Any = provider
    client, make = getattr(made, "_own_http_client", None), getattr(made, "_http_client_factory", None)
    if isinstance(client, httpx2.AsyncClient) and make is not None and _limit not in client.event_hooks["response"]:
        limit_client(client)
        made._http_client_factory = lambda: limit_client(make())  # noqa: SLF001 - a client given to it is never reopened
    return provider


def limit_client(client: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Limit all responses of a client. Its transports, proxies and timeouts stay."""
    hooks = client.event_hooks
    client.event_hooks = {
        "request": [*hooks["request"], _prepare],
        "response": [_limit, *hooks["response"]],
    }
    return client


def limit_response(response: httpx2.Response) -> "LimitedBody":
    """Limit a response that is not read yet, and return its body. A limited response stays as it is."""
    body = response.stream
    if not isinstance(body, LimitedBody):
        plain = httpx2.Response(response.status_code, headers=response.headers, stream=body, request=response.request)
        is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
        body = response.stream = LimitedBody(plain, most_bytes.get(), is_stream=is_stream)
        response.headers.pop("content-encoding", None)
    return body


async def _prepare(request: httpx2.Request) -> None:
    request.headers["accept-encoding"] = "identity"
    if request.url.scheme == "https":
        request.extensions = {"trace": _OpenConnection(), **request.extensions}


class _OpenConnection:
    """Closes a connection whose handshake is cancelled: httpcore2 leaves it open until the garbage is collected."""

    def __init__(self) -> None:
        self._connection: Any = None

    async def __call__(self, event: str, details: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            self._connection = details["return_value"]
        elif event == "connection.start_tls.failed" and self._connection is not None:
            await self._connection.aclose()


async def _limit(response: httpx2.Response) -> None:
    limit_response(response)
    kind = response.headers.get("content-type", "")
    if response.is_success and kind.startswith("text/html"):
        await response.aread()
        error = BadResponseError(f"{_host(response)} answered a page of {kind!r} instead of what a model says")
        error.sample = response.text[: error.most_sample]
        raise error


class LimitedBody(httpx2.AsyncByteStream):
    """The body of a response, decompressed and within its limits.

    Args:
        response: the response with the body as it comes; decompresses it piece by piece.
        most: number of bytes.
        is_stream: True for server-sent events, whose lines have a limit of their own.
    """

    def __init__(self, response: httpx2.Response, most: int, *, is_stream: bool) -> None:
        self.is_done = False
        """True once the event that ends a stream of chat completions has passed."""
        self._response = response
        self._most = most
        self._is_stream = is_stream
        self._line = 0
        self._before = b""

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        """Yield the pieces of the body, without the mark of UTF-8 at the begin of a stream.

        Raises:
            ResponseTooLargeError: it exceeds a limit.
        """
        read, held, has_begun = 0, b"", not self._is_stream
        async with aclosing(self._response.aiter_bytes()) as pieces:
            async for each in pieces:
                read += len(each)
                if read > self._most:
                    raise self._too_large(f"more than {self._most} bytes")
                piece = held + each
                if not has_begun and len(piece) < len(_BOM) and _BOM.startswith(piece):
                    held = piece
                    continue
                if not has_begun:
                    piece, held, has_begun = piece.removeprefix(_BOM), b"", True
                if self._is_stream:
                    self._look_at(piece)
                yield piece

    async def aclose(self) -> None:
        """Close the connection, or give it back if the body was read to its end."""
        await self._response.aclose()

    def _look_at(self, piece: bytes) -> None:
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        self._line = len(piece) - end - 1 if end >= 0 else self._line + len(piece)
        if self._line > _MOST_LINE:
            raise self._too_large(f"a line of more than {_MOST_LINE} bytes")
        text = self._before + piece
        self.is_done = self.is_done or _DONE.search(text) is not None
        self._before = text[-_BEFORE:]

    def _too_large(self, what: str) -> ResponseTooLargeError:
        return ResponseTooLargeError(f"{_host(self._response)} answered {what}, and the rest was not read")


def _host(response: httpx2.Response) -> str:
    return response.request.url.netloc.decode()
