from __future__ import annotations

import base64
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.triggers.webhook.signature import read_key, sign, verify
from protocols.triggers import TriggerConfigError

if TYPE_CHECKING:
    from actors.triggers.webhook.signature import Headers, SignedRequest

NOW = 1_700_000_000
KEY = read_key("secret", "test")


def signed(body: bytes = b"{}", *, secret: str = "secret", event_id: str = "e1", timestamp: int = NOW) -> Headers:
    headers = sign(secret, body, event_id=event_id, timestamp=timestamp)
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def check(headers: Headers, body: bytes = b"{}", keys: tuple[bytes, ...] = (KEY,)) -> SignedRequest | None:
    return verify(headers, body, keys, now=NOW, window=300.0)


def test_a_signed_request_is_recognised() -> None:
    found = check(signed())

    assert found is not None
    assert (found.event_id, found.timestamp) == ("e1", NOW)


def test_signatures_are_those_of_the_standard_webhooks_rules() -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()

    headers = sign(secret, b'{"a":1}', event_id="msg_1", timestamp=NOW)

    assert check([(k.encode(), v.encode()) for k, v in headers.items()], b'{"a":1}', (b"k" * 24,)) is not None
    assert headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize("place", range(2))
def test_every_flipped_byte_of_the_body_is_noticed(place: int) -> None:
    body = bytearray(b"{}")
    body[place] ^= 1

    assert check(signed(), bytes(body)) is None


def test_every_flipped_byte_of_the_headers_is_noticed() -> None:
    for number, (name, value) in enumerate(signed()):
        for place in range(len(value)):
            changed = bytearray(value)
            changed[place] ^= 1
            headers = signed()
            headers[number] = (name, bytes(changed))
            assert check(headers) is None, (name, place)


@pytest.mark.parametrize("name", [b"webhook-id", b"webhook-timestamp", b"webhook-signature"])
def test_a_missing_or_doubled_header_is_no_signature(name: bytes) -> None:
    assert check([pair for pair in signed() if pair[0] != name]) is None
    assert check([*signed(), *(pair for pair in signed() if pair[0] == name)]) is None


@pytest.mark.parametrize(
    "value",
    [b"", b"v1,", b"v1,\xff\xfe", b"v1, " + b"A" * 44, b"v2,abc", b"v1," + b"A" * 5_000, b" " * 5_000, b"\x00", b"v1"],
)
def test_a_malformed_signature_is_none_and_no_error(value: bytes) -> None:
    headers = [pair for pair in signed() if pair[0] != b"webhook-signature"]

    assert check([*headers, (b"webhook-signature", value)]) is None


@pytest.mark.parametrize(
    "value", [b" 1700000000", b"+1700000000", b"1_700_000_000", b"1700000000.0", b"\xd9\xa1", b"-1", b"1" * 5_000, b""]
)
def test_a_timestamp_must_be_plain_digits(value: bytes) -> None:
    headers: Headers = [(name, value if name == b"webhook-timestamp" else old) for name, old in signed()]

    assert check(headers) is None


@pytest.mark.parametrize(("offset", "is_valid"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_timestamp_must_be_within_the_window_on_both_sides(offset: int, is_valid: bool) -> None:
    assert (check(signed(timestamp=NOW + offset)) is not None) is is_valid


def test_what_was_signed_before_the_process_began_is_too_old() -> None:
    early = signed(timestamp=NOW - 1)

    assert verify(early, b"{}", (KEY,), now=NOW, window=300.0, not_before=NOW) is None
    assert verify(signed(), b"{}", (KEY,), now=NOW, window=300.0, not_before=NOW) is not None


def test_any_of_several_keys_will_do_while_they_are_changed() -> None:
    keys = (read_key("new", "test"), read_key("old", "test"))

    assert check(signed(secret="old"), keys=keys) is not None
    assert check(signed(secret="new"), keys=keys) is not None
    assert check(signed(secret="other"), keys=keys) is None


def test_one_of_several_signatures_will_do() -> None:
    headers = signed()
    name, value = headers[-1]
    headers[-1] = (name, b"v1,AAAA " + value + b" v1a,BBBB")

    assert check(headers) is not None


@pytest.mark.parametrize("secret", ["", "   ", "whsec_", "whsec_!!!"])
def test_a_secret_that_is_none_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(TriggerConfigError, match=r"hook: .*secret"):
        read_key(secret, "hook")


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"other"]),
            st.binary(max_size=60),
        ),
        max_size=6,
    ),
    body=st.binary(max_size=50),
)
def test_no_header_breaks_the_check_and_none_is_valid_by_chance(headers: Headers, body: bytes) -> None:
    assert check(headers, body) is None


@given(event_id=st.text(max_size=140), timestamp=st.integers(-(10**13), 10**13))
def test_what_is_signed_is_what_a_webhook_takes(event_id: str, timestamp: int) -> None:
    is_wrong = re.fullmatch(r"[!-\-/-~]{1,128}", event_id) is None or not 0 <= timestamp < 10**12
    with pytest.raises(ValueError, match=r"(event_id|timestamp) must be") if is_wrong else nullcontext():
        headers = sign("secret", b"{}", event_id=event_id, timestamp=timestamp)
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        assert verify(given, b"{}", (KEY,), now=timestamp, window=1.0) is not None


def test_an_identifier_with_a_dot_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"event_id must be .* without dots and spaces, not 'e1\.2'"):
        sign("secret", b"{}", event_id="e1.2", timestamp=NOW)
