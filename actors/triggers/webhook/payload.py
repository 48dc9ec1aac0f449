"""From the raw body of a webhook to its payload; harmful JSON is refused."""

import re
from typing import Any, Final

import msgspec

MOST_NESTED: Final = 64
"""Levels of lists and maps."""
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))


class PayloadError(ValueError):
    """The body cannot be read; the text says why and holds none of it."""


class PayloadTypeError(PayloadError):
    """Webhooks do not take bodies of this type."""


def is_json(content_type: str) -> bool:
    """Return True if this content type, with or without parameters, is JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def read_payload(body: bytes, content_type: str) -> Any:
    """Return the decoded JSON, or the text of a body of type `text/*`. Without a type it must be JSON; empty is None.

    Raises:
        PayloadTypeError: The content type is another one.
        PayloadError: The body is not UTF-8 or not JSON, has NaN or numbers out of range, or is nested too deeply.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body and (not kind or is_json(kind)):
        return None
    if kind.startswith("text/"):
        return _text(body)
    if kind and not is_json(kind):
        message = "expected application/json or text/plain"
        raise PayloadTypeError(message)
    return read_json(body)


def read_json(body: bytes) -> Any:
    """Return decoded JSON.

    Raises:
        PayloadError: The body is not JSON, has NaN or numbers out of range, or is nested too deeply.
    """
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = f"the body is no valid JSON ({type(error).__name__})"
        raise PayloadError(message) from None
    _check_depth(body)
    return payload


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        message = "the body is no valid UTF-8"
        raise PayloadError(message) from None


def _check_depth(body: bytes) -> None:
    """Remove the innermost pairs of brackets level by level: each pass is one sweep in C."""
    left = _STRING.sub(b"", body).translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(MOST_NESTED):
        left = left.replace(b"[]", b"")
        if not left:
            return
    message = f"the body is nested deeper than {MOST_NESTED} levels"
    raise PayloadError(message)
