"""From the raw body of a webhook to its payload; harmful JSON is refused."""

import re
from typing import Any, Final

import msgspec

from protocols.plain_text import printable, text_encoding

MOST_NESTED: Final = 64
"""Levels of lists and maps."""
_CHARSET: Final = re.compile(r""";\s*charset\s*=\s*["']?([^\s"';]*)""", re.IGNORECASE)
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

    The body is read in the charset of its type, UTF-8 by default; a byte order mark is left out.

    Raises:
        PayloadTypeError: The content type is another one, or its charset is unknown or not for text.
        PayloadError: The body is not of this charset or not JSON, has NaN or numbers out of range, or is nested too
            deeply.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body and (not kind or is_json(kind)):
        return None
    if kind and not kind.startswith("text/") and not is_json(kind):
        raise PayloadTypeError("expected application/json or text/plain")
    text = _text(body, content_type)
    return text if kind.startswith("text/") else read_json(text.encode())


def read_json(body: bytes) -> Any:
    """Return decoded JSON.

    Raises:
        PayloadError: The body is not JSON, has NaN or numbers out of range, or is nested too deeply.
    """
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise PayloadError(f"the body is no valid JSON ({type(error).__name__})") from None
    _check_depth(body)
    return payload


def _text(body: bytes, content_type: str) -> str:
    declared = _CHARSET.search(content_type)
    charset = declared[1] if declared is not None else "utf-8"
    encoding = text_encoding(charset)
    if encoding is None:
        raise PayloadTypeError(f"the charset {printable(charset[:40])!r} is not read; send UTF-8")
    try:
        text = body.decode(encoding).removeprefix("\ufeff")
        text.encode()  # some encodings have lone surrogates
    except UnicodeError:
        raise PayloadError(f"the body is no valid {encoding.upper()}") from None
    return text


def _check_depth(body: bytes) -> None:
    """Remove the innermost pairs of brackets level by level: each pass is one sweep in C."""
    left = _STRING.sub(b"", body).translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(MOST_NESTED):
        left = left.replace(b"[]", b"")
        if not left:
            return
    raise PayloadError(f"the body is nested deeper than {MOST_NESTED} levels")
