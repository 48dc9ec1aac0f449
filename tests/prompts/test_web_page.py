"""Text of web addresses, from a real server on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from actors.prompts.web_page import fetch_text, is_public, shown
from protocols.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

OK = b"HTTP/1.1 200 OK\r\n"
TEXT = OK + b"Content-Type: text/plain; charset=utf-8\r\n"


def moved(where: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode()


@asynccontextmanager
async def server(answers: Mapping[str, bytes], seen: list[str] | None = None) -> AsyncGenerator[str]:
    """Serve an answer for each path, byte by byte as it is given; yield the address without a path."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        if seen is not None:
            seen.append(request)
        writer.write(answers[request.split()[1]])
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def test_the_text_comes_in_its_own_encoding() -> None:
    answers = {
        "/utf": TEXT + b"\r\n" + "grün".encode(),
        "/latin": OK + b"Content-Type: text/html; charset=latin-1\r\n\r\n" + "grün".encode("latin-1"),
        "/odd": OK + b"Content-Type: application/ld+json; charset=klingon\r\n\r\n" + "grün".encode(),
        "/bare": OK + b"\r\nplain",
    }
    async with server(answers) as address:
        texts = [await fetch_text(f"{address}{path}", most_bytes=100) for path in answers]

    assert texts == ["grün", "grün", "grün", "plain"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "answers 404 Not Found"),
        (TEXT + b"\r\n" + b"x" * 200, "has more than 100 bytes; raise max_bytes"),
        (TEXT + b"Content-Length: 9000000000\r\n\r\n" + b"x" * 200, "has more than 100 bytes"),
        (OK + b"Content-Type: image/png\r\n\r\nx", "is image/png, not text"),
        (TEXT + b"Content-Encoding: gzip\r\n\r\nx", "compressed form"),
        (TEXT + b"Content-Length: 50\r\n\r\nx", "cannot be read: peer closed"),
        (b"nonsense\r\n\r\n", "cannot be read: "),
        (moved("file:///etc/passwd"), "is no web address"),
        (moved("ftp://127.0.0.1/x"), "is no web address"),
        (moved("/a"), "redirects more than 5 times"),
        (moved("http://[::1"), "is no web address"),
    ],
)
async def test_every_other_answer_is_one_clear_error(answer: bytes, reason: str) -> None:
    async with server({"/a": answer}) as address:
        with pytest.raises(ConfigError, match=reason):
            await fetch_text(f"{address}/a", most_bytes=100)


async def test_a_redirect_on_the_same_host_is_followed() -> None:
    async with server({"/a": moved("/b?x=1"), "/b?x=1": TEXT + b"\r\nhere"}) as address:
        assert await fetch_text(f"{address}/a", most_bytes=100) == "here"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_a_redirect_to_another_place_that_is_not_public_is_refused(host: str) -> None:
    seen: list[str] = []
    async with server({"/secret": TEXT + b"\r\nsecret"}, seen) as other:
        port = other.rpartition(":")[2]
        async with server({"/a": moved(f"http://{host}:{port}/secret")}) as address:
            with pytest.raises(ConfigError, match=r"is not public|is unknown|is no web address"):
                await fetch_text(f"{address}/a", most_bytes=100)
    assert seen == []


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.8",
        "192.168.1.1",
        "224.0.1.1",
        "0.0.0.0",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "::7f00:1",
        "::ffff:0:127.0.0.1",
        "fec0::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "192.88.99.1",
        "203.0.113.5",
    ],
)
def test_a_private_place_is_not_public(place: str) -> None:
    assert not is_public(place)


@pytest.mark.parametrize("place", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_place_is_public(place: str) -> None:
    assert is_public(place)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/y", "data:text/plain,x", "http://", "x", "http://[::1", "http://a b/"]
)
async def test_anything_but_a_web_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="is no web address"):
        await fetch_text(url, most_bytes=100)


def test_secrets_of_an_address_are_not_shown() -> None:
    assert shown("https://me:secret@host/path?token=secret#x") == "https://host/path"


async def test_a_server_that_does_not_answer_can_be_left() -> None:
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        fetching = asyncio.ensure_future(fetch_text(url, most_bytes=100))
        await reached.wait()
        fetching.cancel()

        with pytest.raises(asyncio.CancelledError):
            await fetching
