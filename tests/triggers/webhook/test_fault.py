"""Whatever a client does to the server of webhooks: it is answered or cut off, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from actors.testing.settle import settle
from tests.support.waiting import TIMEOUT
from tests.triggers.started import RecordingNode, StartedTriggers
from tests.triggers.webhook.client import BODY, NOW, client, head, hook, open_stage, raw, reading, signed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def leaving_nothing(stage: StartedTriggers) -> AsyncGenerator[None]:
    """Check that neither task nor open file is left of what happens inside."""
    await reading(stage)
    await settle()
    before = len(asyncio.all_tasks()), open_files()
    yield
    async with asyncio.timeout(TIMEOUT):
        while (len(asyncio.all_tasks()), open_files()) != before:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)


CHUNK = b"%x\r\n" % 65_536 + b"x" * 65_536 + b"\r\n"
SIGNATURE = "".join(f"{name}: {value}\r\n" for name, value in signed().items()).encode()
POST = b"POST /in HTTP/1.1\r\nHost: x\r\n" + SIGNATURE
HEAD_TOO_LARGE = 431
BAD_REQUESTS = {
    "no HTTP": (b"\x00\x01\x02\x03 nothing of the kind\r\n\r\n", 400),
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no length": (POST + b"\r\n", 401),
    "a length that is none": (POST + b"Content-Length: many\r\n\r\n", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 12\r\nContent-Length: 13\r\n\r\n" + BODY, 400),
    "a length of 5,000 digits": (POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", 400),
    "a length of ten digits": (POST + b"Content-Length: 9999999999\r\n\r\n", 413),
    "another coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
    "a broken chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "a compressed body": (POST + b"Content-Encoding: gzip\r\nContent-Length: 12\r\n\r\n" + BODY, 415),
    "a line without end": (b"POST /" + b"a" * 20_000, 400),
    "10,000 headers": (POST + b"".join(b"h%d: x\r\n" % n for n in range(10_000)) + b"\r\n", HEAD_TOO_LARGE),
    "a header of 20,000 bytes": (POST + b"x: " + b"y" * 20_000 + b"\r\n\r\n", HEAD_TOO_LARGE),
    "HTTP 0.9": (b"GET /in\r\n\r\n", 400),
    "no host": (b"POST /in HTTP/1.1\r\n\r\n", 400),
    "an upgrade": (b"GET /in HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 405),
    "a proxy request": (b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    "a path that climbs": (POST.replace(b"/in", b"/../in") + b"Content-Length: 12\r\n\r\n" + BODY, 401),
    "another method": (b"DELETE /in HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n" + BODY, 405),
}


@pytest.mark.parametrize("request_id", BAD_REQUESTS)
async def test_a_bad_request_is_answered_starts_nothing_and_leaves_nothing(
    actor_system: ActorSystem, request_id: str
) -> None:
    sent, status = BAD_REQUESTS[request_id]
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(max_bytes=1_000_000))

    async with leaving_nothing(stage), raw(stage) as connection:
        await connection.send(sent)
        answered = await connection.status()
    if status == HEAD_TOO_LARGE:  # a head that comes in several pieces is refused before it is complete
        assert answered in (HEAD_TOO_LARGE, 400)
    else:
        assert answered == status

    async with client(stage) as http:
        assert (await http.post("/in", content=BODY, headers=signed())).status_code == 202
    await settle()
    assert len(node.events) == 1
    assert stage.plan.triggers[0].statistics().restarts == 0


async def test_a_length_and_chunks_together_are_no_second_request(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node)
    hidden = POST + b"Content-Length: 12\r\n\r\n" + BODY
    smuggled = POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden

    async with leaving_nothing(stage), raw(stage) as connection:
        await connection.send(smuggled)
        answers = await connection.until_closed()
    await settle()

    assert (answers.count(b"HTTP/1.1 "), answers[:12], node.events) == (1, b"HTTP/1.1 400", [])


async def test_a_body_that_never_ends_is_cut_off_and_not_kept(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(max_bytes=1_000_000))
    taken = 0

    async with leaving_nothing(stage), raw(stage) as connection:
        await connection.send(head())
        try:
            while taken < 1_000_000_000:
                await connection.send(CHUNK)
                taken += len(CHUNK)
        except ConnectionError:
            pass
        assert taken < 100_000_000, "the server went on reading"

    assert node.events == []


@pytest.mark.parametrize("is_announced", [True, False])
async def test_who_sends_too_much_is_told_so_when_all_is_sent(actor_system: ActorSystem, is_announced: bool) -> None:
    stage = await open_stage(actor_system, RecordingNode(), hook(max_bytes=1_000_000))
    body = b"x" * 10_000_000

    async def parts() -> AsyncGenerator[bytes]:
        for start in range(0, len(body), 1_000_000):
            yield body[start : start + 1_000_000]

    async with leaving_nothing(stage), client(stage) as http:
        answer = await http.post("/in", content=body if is_announced else parts(), headers=signed(body))
        again = await http.post("/in", content=BODY, headers=signed())
    await settle()

    assert (answer.status_code, again.status_code) == (413, 202)


async def test_a_refused_body_is_not_read_for_ever(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    stage = await open_stage(actor_system, RecordingNode(), hook(max_bytes=1_000, timeout=10))

    async with leaving_nothing(stage), raw(stage) as much, raw(stage) as slow:
        await much.send(head(1_000_000_000))
        await slow.send(head(1_000_000_000))
        statuses = [await much.status(), await slow.status()]
        for _ in range(40):
            with suppress(ConnectionError, RuntimeError):  # uvloop refuses a closed transport
                await much.send(b"x" * 1_000_000)
        await much.until_closed()
        await slow.send(b"x")
        await reading(stage)
        manual_clock.tick(10.1)
        await slow.until_closed()

    assert statuses == [413, 413]


async def test_who_sends_too_slowly_is_answered_and_cut_off(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(timeout=10))

    async with leaving_nothing(stage), raw(stage) as slow_head, raw(stage) as slow_body, raw(stage) as silent:
        await slow_head.send(b"POST /in HTTP/1.1\r\nHost: x\r\nX-Lo")
        await slow_body.send(head(1_000))
        await reading(stage)
        for _ in range(10):
            await slow_head.send(b"r")
            await slow_body.send(b" ")
            await reading(stage)
            manual_clock.tick(1.01)
        assert (await slow_head.until_closed()).startswith(b"HTTP/1.1 408 ")
        assert (await slow_body.until_closed()).startswith(b"HTTP/1.1 408 ")
        assert await silent.until_closed() == b""

    assert node.events == []
    assert stage.plan.sites[0].routes.timeout == 10


async def test_hundreds_of_slow_clients_do_not_hold_up_a_good_one(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(timeout=10))

    async with leaving_nothing(stage):
        slow = [await asyncio.open_connection("127.0.0.1", stage.plan.sites[0].port) for _ in range(300)]
        for _, writer in slow:
            writer.write(b"POST /in HTTP/1.1\r\n")
        async with client(stage) as http:
            answer = await http.post("/in", content=BODY, headers=signed())
        manual_clock.tick(10.1)
        for reader, writer in slow:
            await reader.read()
            writer.close()

    assert answer.status_code == 202
    await settle()
    assert len(node.events) == 1


async def test_forged_and_replayed_requests_among_good_ones_start_nothing(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node)
    old = {**signed(event_id="old"), "webhook-timestamp": f"{NOW - 301}"}
    forged = {**signed(event_id="f"), "webhook-signature": "v1," + "A" * 43 + "="}

    async with leaving_nothing(stage), client(stage) as http:
        statuses = [
            (await http.post("/in", content=body, headers=headers)).status_code
            for body, headers in [
                (BODY, signed(event_id="a")),
                (BODY, forged),
                (BODY, signed(event_id="a")),
                (BODY + b" ", signed(event_id="b")),
                (BODY, old),
                (BODY, {"content-type": "application/json"}),
                (BODY, signed(event_id="b")),
            ]
        ]
    await settle()

    assert statuses == [202, 401, 200, 401, 401, 401, 202]
    assert [event.event_id for event in node.events] == ["a", "b"]  # type: ignore[attr-defined]
