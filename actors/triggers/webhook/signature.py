"""Signatures of webhooks: HMAC-SHA256 over id, timestamp and raw body, in the headers of the Standard Webhooks rules.

| header | value |
|---|---|
| `webhook-id` | identifier of the event, unique per sender; printable ASCII without dots and spaces |
| `webhook-timestamp` | seconds since 1970 UTC, when this attempt was sent |
| `webhook-signature` | `v1,` and the base64 of HMAC-SHA256(key, id.timestamp.body); several, separated by spaces |
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from protocols.errors import safe_repr
from protocols.triggers import TriggerConfigError

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, and values."""

ID_HEADER: Final = b"webhook-id"
TIME_HEADER: Final = b"webhook-timestamp"
SIGNATURE_HEADER: Final = b"webhook-signature"

_ID: Final = re.compile(rb"[!-\-/-~]{1,128}")
_TIMESTAMP: Final = re.compile(rb"[0-9]{1,12}")
_VERSION: Final = b"v1,"
_MOST_SIGNATURES: Final = 8
_LONGEST_HEADER: Final = 1_024
_PREFIX: Final = "whsec_"


class SignedRequest(msgspec.Struct, frozen=True):
    """What a valid signature covers apart from the body."""

    event_id: str
    timestamp: int


def read_key(secret: str, who: str) -> bytes:
    """Return the key of a secret: base64 after `whsec_`, otherwise the text itself.

    Raises:
        TriggerConfigError: The secret is blank, or not base64 after `whsec_`.
    """
    if not secret.strip():
        raise TriggerConfigError(f"{who}: the secret of a webhook must not be empty")
    if not secret.startswith(_PREFIX):
        return secret.encode("utf-8", "surrogatepass")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise TriggerConfigError(f"{who}: a secret that begins with {_PREFIX!r} must go on with base64")
    return key


def sign(secret: str, body: bytes, *, event_id: str, timestamp: int) -> dict[str, str]:
    """Return the headers of a signed request.

    Raises:
        ValueError: `verify` would refuse the id, which has 1 to 128 printable characters of ASCII without dots and
            spaces, or the timestamp.

    Example:
        >>> headers = sign("secret", b"{}", event_id="e1", timestamp=1_700_000_000)
        >>> headers["webhook-signature"]
        'v1,gDunWhz9iSN39ToHNS8gOADAmG9WeofmxeJ2mWAdn2E='
    """
    given, stamp = event_id.encode("utf-8", "replace"), str(timestamp).encode()
    if not _ID.fullmatch(given):
        form = "1 to 128 printable characters of ASCII without dots and spaces"
        raise ValueError(f"sign: event_id must be {form}, not {safe_repr(event_id)}; a webhook would refuse it")
    if not _TIMESTAMP.fullmatch(stamp):
        raise ValueError(f"sign: timestamp must be whole seconds since 1970 UTC, not {timestamp!r}")
    digest = _digest(read_key(secret, "sign"), given, stamp, body)
    return {
        ID_HEADER.decode(): event_id,
        TIME_HEADER.decode(): str(timestamp),
        SIGNATURE_HEADER.decode(): (_VERSION + base64.b64encode(digest)).decode(),
    }


def verify(
    headers: Headers, body: bytes, keys: Sequence[bytes], *, now: float, window: float, not_before: float = 0.0
) -> SignedRequest | None:
    """Return what was signed; None if no key has signed the request, or its time is off.

    The check takes the same time in every case, whichever key fits.

    Args:
        headers: all headers of the request.
        body: the raw body.
        keys: the keys; one of them must have signed.
        now: seconds since 1970 UTC.
        window: seconds that the timestamp may be off.
        not_before: earlier timestamps are too old as well.
    """
    event_id = _single(headers, ID_HEADER, _ID)
    stamp = _single(headers, TIME_HEADER, _TIMESTAMP)
    given = _signatures(headers)
    is_valid = False
    for key in keys:
        expected = base64.b64encode(_digest(key, event_id, stamp, body))
        for signature in given:
            is_valid |= hmac.compare_digest(expected, signature)
    if not (is_valid and event_id and stamp):
        return None
    timestamp = int(stamp)
    if abs(now - timestamp) > window or timestamp < not_before:
        return None
    return SignedRequest(event_id.decode("ascii"), timestamp)


def _digest(key: bytes, event_id: bytes, stamp: bytes, body: bytes) -> bytes:
    mac = hmac.new(key, event_id + b"." + stamp + b".", hashlib.sha256)
    mac.update(body)
    return mac.digest()


def _single(headers: Headers, name: bytes, form: re.Pattern[bytes]) -> bytes:
    """Return the value of a header that occurs once and has this form; empty otherwise."""
    values = [value for key, value in headers if key == name]
    return values[0] if len(values) == 1 and form.fullmatch(values[0]) else b""


def _signatures(headers: Headers) -> list[bytes]:
    values = [value for key, value in headers if key == SIGNATURE_HEADER]
    if len(values) != 1 or len(values[0]) > _LONGEST_HEADER:
        return []
    parts = values[0].split(b" ")[:_MOST_SIGNATURES]
    return [part.removeprefix(_VERSION) for part in parts if part.startswith(_VERSION)]
