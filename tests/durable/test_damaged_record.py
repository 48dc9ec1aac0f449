"""Bytes that are no record: damaged, cut, of another version. They are told from records, and raise one error."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import ChatMessage
from actors.durable import record
from actors.durable.record import UndecodableError, decode_answer, decode_run, encode_run
from tests.durable.requests import CLERK, request


def sealed(body: bytes) -> bytes:
    return b"\x01" + crc32(body).to_bytes(4, "big") + body


@given(st.binary())
def test_random_bytes_are_undecodable(data: bytes) -> None:
    for bytes_ in (data, sealed(data)):
        with pytest.raises(UndecodableError, match="node 'clerk': a kept run cannot be read: "):
            decode_run(bytes_, CLERK)
        with pytest.raises(UndecodableError, match="a kept answer cannot be read: "):
            decode_answer(bytes_)


RUN = encode_run(request("x", ["y", {"z": 1}], ChatMessage("m", "user"), timeout=1.0, metadata={"a": 1}))


@given(st.integers(0, len(RUN) - 1), st.integers(1, 255))
def test_a_flipped_or_cut_run_is_undecodable(place: int, bits: int) -> None:
    flipped = RUN[:place] + bytes((RUN[place] ^ bits,)) + RUN[place + 1 :]

    for data in (flipped, RUN[:place]):
        with pytest.raises(UndecodableError):
            decode_run(data, CLERK)


@given(st.integers(5, len(RUN) - 1), st.integers(1, 255))
def test_a_wrong_record_with_a_right_checksum_raises_nothing_else(place: int, bits: int) -> None:
    body = RUN[5:place] + bytes((RUN[place] ^ bits,)) + RUN[place + 1 :]
    with suppress(UndecodableError):
        decode_run(sealed(body), CLERK)


def options_record(options: dict[str, Any]) -> bytes:
    return sealed(msgspec.msgpack.encode(["clerk", ["x"], "1", "c", "", 0, options]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"colour": "red"}, "it has the option 'colour', which this version does not know"),
        ({"usage_limits": {"words": 5}}, "its option 'usage_limits' has fields that this version does not know"),
        ({"budget": {"tokens": 5, "words": 5}}, "its option 'budget' has fields that this version does not know"),
        ({"timeout": "soon"}, "Expected `float | null`, got `str`"),
        ({"metadata": b"{"}, "JSONDecodeError"),
        ({"message_history": b'[{"kind": "secret"}]'}, "ValidationError"),
    ],
)
def test_an_option_of_another_version_is_undecodable(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UndecodableError) as caught:
        decode_run(options_record(options), CLERK)

    assert str(caught.value) == f"node 'clerk': a kept run cannot be read: {says}"


def test_a_run_of_another_version_names_its_version() -> None:
    with pytest.raises(UndecodableError, match="it has version 2, not 1"):
        decode_run(b"\x02" + RUN[1:], CLERK)
    with pytest.raises(UndecodableError, match="it is empty"):
        decode_run(b"", CLERK)


def test_a_damaged_answer_shows_none_of_its_content() -> None:
    broken = record.MessageRecord("x", b'[{"kind": "secret"}]', (), b'{"role":"user"}')

    with pytest.raises(UndecodableError) as caught:
        decode_answer(sealed(msgspec.msgpack.encode(broken)))
    assert "secret" not in str(caught.value)
