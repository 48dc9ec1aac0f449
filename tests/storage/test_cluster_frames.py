"""Packets as notifications: pieces that are missing or strange are passed over, and no server fails who sends."""

from __future__ import annotations

from typing import Any

import pytest

from actors.storage.cluster_frames import MARK, PIECE, PostgresTransport

URL = "postgresql://u@127.0.0.1:1/d"


def pieces(sender: str, *packets: bytes) -> list[list[str]]:
    """Return what notifications say of packets."""
    cut: Any = PostgresTransport(URL, sender)._cut  # pyright: ignore[reportPrivateUsage]
    return [[*cut(packet)] for packet in packets]


@pytest.fixture
def heard() -> list[tuple[str, bytes]]:
    """Return the packets that arrive."""
    return []


@pytest.fixture
def transport(heard: list[tuple[str, bytes]]) -> PostgresTransport:
    """Return the transport of a host that hears."""
    made = PostgresTransport(URL, "me")
    made.connect(lambda sender, packet: heard.append((sender, packet)))
    return made


FIRST, SECOND = bytes(range(250)) * 100, b"second" * PIECE


def test_a_piece_fits_into_a_notification() -> None:
    ((longest, *_),) = pieces("f" * 32, bytes(2**24))
    assert len(longest) < 8_000


def test_pieces_of_several_senders_become_their_packets(transport: PostgresTransport, heard: list[Any]) -> None:
    (first,), (second,) = pieces("a", FIRST), pieces("b", SECOND)
    for place in range(max(len(first), len(second))):
        for one in (first, second):
            for text in one[place : place + 1]:
                transport.hear(text)
    assert sorted(heard) == [("a", FIRST), ("b", SECOND)]


@pytest.mark.parametrize("missing", range(5))
def test_a_packet_without_one_piece_is_lost_and_the_next_arrives(
    transport: PostgresTransport, heard: list[Any], missing: int
) -> None:
    first, second = pieces("a", FIRST, SECOND)
    assert len(first) == 5
    for text in first[:missing] + first[missing + 1 :] + second:
        transport.hear(text)
    assert heard == [("a", SECOND)]


@pytest.mark.parametrize("text", ["", "a", "a 1 0 0", "a 1 x 0 AAAA", "a 1 0 0 A", "a 1 -1 0 AAAA", "a 1 0 0 \u00e4"])
def test_what_another_version_says_is_passed_over(transport: PostgresTransport, heard: list[Any], text: str) -> None:
    transport.hear(f"{MARK}{text}")
    assert heard == []


async def test_what_is_sent_while_the_server_is_away_is_lost_without_an_error_and_said_once(
    transport: PostgresTransport, caplog: pytest.LogCaptureFixture
) -> None:
    transport.open("schema")
    for _ in range(3):
        transport.send("b", b"hello")
        sending: Any = vars(transport)["_sending"]
        await sending
    await transport.close()
    assert [message for message in caplog.messages if "cannot talk to the others now: " in message] == caplog.messages
    assert len(caplog.messages) == 1
