"""Faults for a `HostileServer`: replies that refuse, break off, hang, lie, or are too large.

Each function returns a reply of a script. Some take a reply and break it, so that faults combine:
``slow(cut(Answer("hello"), after=3), every=0.2)``.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

from actors.testing.hostile_server import Ending, Framing, RecordedRequest, Reply, Response
from actors.testing.openai_answer import EVENTS, JSON, Answer, event, json_response


def refusal(
    status: int, message: str = "no", *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """Refuse with a status and an error as OpenAI words it."""
    return lambda _: json_response(_error(message, code), status, headers)


def raw(
    *parts: bytes,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    framing: Framing = "length",
) -> Reply:
    """Send these bytes, whatever they are and however many. With the framing "none" they stand for the head as well."""
    return lambda _: Response(parts, status, {"content-type": content_type, **(headers or {})}, framing)


def events(*data: Mapping[str, Any] | str, framing: Framing = "chunked") -> Reply:
    """Send these as server-sent events; ``"[DONE]"`` is one only if it is given."""
    return lambda _: Response([event(one) for one in data], 200, EVENTS, framing)


def silence() -> Reply:
    """Accept the request and never answer."""
    return lambda _: Response(framing="none", end="hang")


def no_answer() -> Reply:
    """Reset the connection before the head of an answer."""
    return lambda _: Response(framing="none", end="reset")


def cut(reply: Reply, after: int, *, end: Ending = "reset", framing: Framing | None = None) -> Reply:
    """End a reply after its head and so many parts: by a reset, a silence, or a close.

    With the framing "close" a closed connection looks like the end of a whole body: HTTP cannot tell.
    """

    def broken(request: RecordedRequest) -> Response:
        response = reply(request)
        return replace(response, after=after, end=end, framing=framing or response.framing)

    return broken


def closing(reply: Reply) -> Reply:
    """Send a reply whole, then close the connection without having said so."""
    return lambda request: replace(reply(request), end="close")


def slow(reply: Reply, every: float) -> Reply:
    """Pause before each part of a reply."""
    return lambda request: replace(reply(request), every=every)


def pings(every: float) -> Reply:
    """Keep the connection busy without content, for ever: comments in a stream, spaces before a whole answer."""

    def busy(request: RecordedRequest) -> Response:
        part, headers = (b": ping\n\n", EVENTS) if request.is_stream else (b" ", JSON)
        return Response(repeat(part), 200, headers, "chunked", every)

    return busy


def split(reply: Reply, size: int = 1) -> Reply:
    """Send the bytes of a reply in parts of this size, which breaks characters and lines anywhere."""

    def small(request: RecordedRequest) -> Response:
        response = reply(request)
        body = b"".join(response.parts)
        return replace(response, parts=[body[at : at + size] for at in range(0, len(body), size)])

    return small


def failing(reply: Reply, after: int, message: str = "overloaded", *, code: str | int | None = None) -> Reply:
    """Send so many parts of a stream, then an error as its last event. A whole answer is an error with status 200."""

    def broken(request: RecordedRequest) -> Response:
        response, error = reply(request), _error(message, code)
        if not request.is_stream:
            return json_response(error)
        if request.is_responses:
            error = {"type": "error", "sequence_number": 99, "message": message, "code": code, "param": None}
        last = event(error, kind="error" if request.is_responses else None)
        return replace(response, parts=[*list(response.parts)[:after], last])

    return broken


def chaos(seed: int, *, replies: Sequence[Reply] | None = None) -> Reply:
    """Draw a reply for each request: the same seed, the same faults in the same order.

    Args:
        seed: of the random numbers.
        replies: what to draw from; None for whole answers and one fault of each common kind.
    """
    draws, kinds = random.Random(seed), list(replies or _common())
    return lambda request: draws.choice(kinds)(request)  # noqa: PLW0108 - a draw for each request


def _common() -> Iterator[Reply]:
    answer = Answer("hello from the server")
    yield from repeat(answer, 8)
    yield from (refusal(status) for status in (429, 500, 503))
    yield from (refusal(429, headers={"retry-after": "0.01"}), refusal(429, code="insufficient_quota"))
    yield from (no_answer(), cut(answer, 0), cut(answer, 3), cut(answer, 3, end="close", framing="close"))
    yield from (split(answer), closing(answer), failing(answer, 2, code="server_error"))
    yield from (raw(b"{oops"), raw(b"<html>gateway</html>", content_type="text/html"), raw(b'{"choices": []}'))


def _error(message: str, code: str | int | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": code or "error", "param": None, "code": code}}
