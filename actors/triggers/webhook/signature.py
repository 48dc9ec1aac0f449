"""Signatures of webhooks: HMAC-SHA256 over id, timestamp and raw body, in the headers of the Standard Webhooks rules.

| header | value |
|---|---|
| `webhook-id` | identifier of the event, unique per sender; printable ASCII without dots and spaces |
| `webhook-timestamp` | seconds since 1970 UTC, when this attempt was sent |
| `webhook-signature` | `v1,` and the base64 of HMAC-SHA256(key, id.timestamp.body); several, separated by spaces |
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from protocols.triggers import TriggerConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """What a valid signature covers besides the body."""

    event_id: str
    timestamp: int


def read_key(secret: str, who: str) -> bytes:
    """Return the key that a secret stands for: after `whsec_` it is base64, otherwise the text itself.

    Raises:
        TriggerConfigError: It is empty or blank, or no base64.
    """
    if not secret.strip():
        msg = f"{who}: the secret of a webhook must not be empty"
        raise TriggerConfigError(msg)
    if not secret.startswith(_PREFIX):
        return secret.encode("utf-8", "surrogatepass")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        msg = f"{who}: a secret that begins with {_PREFIX!r} must go on with base64"
        raise TriggerConfigError(msg)
    return key


def decoy_key() -> bytes:
    """Return a key that nobody has, to check requests for which there is none in the same time."""
    return secrets.token_bytes(32)


def sign(secret: str, body: bytes, *, event_id: str, timestamp: int) -> dict[str, str]:
    """Return the headers of a signed request.

    Example:
        >>> headers = sign("secret", b"{}", event_id="e1", timestamp=1_700_000_000)
        >>> headers["webhook-signature"]
        'v1,gDunWhz9iSN39ToHNS8gOADAmG9WeofmxeJ2mWAdn2E='
    """
    digest = _digest(read_key(secret, "sign"), event_id.encode("ascii"), str(timestamp).encode(), body)
    return {
        ID_HEADER.decode(): event_id,
        TIME_HEADER.decode(): str(timestamp),
        SIGNATURE_HEADER.decode(): (_VERSION + base64.b64encode(digest)).decode(),
    }


def verify(
    headers: Headers, body: bytes, keys: Sequence[bytes], *, now: float, window: float, not_before: float = 0.0
) -> SignedRequest | None:
    """Return what was signed, or None if the request is not signed by one of the keys or its time is off.

    It takes the same time whichever of the two it is, and whichever key fits.

    Args:
        headers: All headers of the request.
        body: The raw body.
        keys: The keys, any of which may have signed.
        now: Seconds since 1970 UTC.
        window: How far the timestamp may be off, in seconds.
        not_before: Timestamps before this one are too old, too.
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
    """Return the value of a header that must be there once and have this form; empty if not."""
    values = [value for key, value in headers if key == name]
    return values[0] if len(values) == 1 and form.fullmatch(values[0]) else b""


def _signatures(headers: Headers) -> list[bytes]:
    values = [value for key, value in headers if key == SIGNATURE_HEADER]
    if len(values) != 1 or len(values[0]) > _LONGEST_HEADER:
        return []
    parts = values[0].split(b" ")[:_MOST_SIGNATURES]
    return [part.removeprefix(_VERSION) for part in parts if part.startswith(_VERSION)]
