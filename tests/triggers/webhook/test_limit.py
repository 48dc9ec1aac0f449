from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from actors.http import server
from actors.testing.settle import settle
from actors.triggers.webhook import server as webhook
from tests.triggers.started import RecordingNode
from tests.triggers.webhook.client import BODY, client, head, hook, open_stage, raw, reading, signed

if TYPE_CHECKING:
    import pytest

    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


async def test_a_body_that_says_it_is_too_large_is_refused_unread(actor_system: ActorSystem) -> None:
    stage = await open_stage(actor_system, RecordingNode(), hook(max_bytes=10_000_000))

    async with raw(stage) as connection:
        await connection.send(head(10_000_001))
        assert await connection.status() == 413


async def test_a_body_that_does_not_say_how_large_it_is_is_counted_while_it_comes(actor_system: ActorSystem) -> None:
    stage = await open_stage(actor_system, RecordingNode(), hook(max_bytes=100_000))
    chunk = b"%x\r\n" % 65_536 + b"x" * 65_536 + b"\r\n"

    async with raw(stage) as connection:
        await connection.send(head())
        await connection.send(chunk)
        await connection.send(chunk)
        assert await connection.status() == 413


async def test_a_slow_body_is_given_up(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(timeout=10))

    async with raw(stage) as connection:
        await connection.send(head(len(BODY)) + BODY[:3])
        await reading(stage)
        manual_clock.tick(9.9)
        await connection.send(BODY[3:4])
        await reading(stage)
        manual_clock.tick(0.2)
        assert await connection.status() == 408
    assert node.events == []


async def test_a_slow_head_is_cut_off(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    stage = await open_stage(actor_system, RecordingNode(), hook(timeout=10))

    async with raw(stage) as connection, raw(stage) as silent:
        await connection.send(b"POST /in HTTP/1.1\r\nHo")
        await reading(stage)
        manual_clock.tick(9.0)
        await connection.send(b"st: x\r\n")
        await reading(stage)
        manual_clock.tick(1.1)
        assert (await connection.until_closed()).startswith(b"HTTP/1.1 408 ")
        assert await silent.until_closed() == b""


async def test_a_head_with_too_many_headers_is_refused(actor_system: ActorSystem) -> None:
    stage = await open_stage(actor_system, RecordingNode())

    async with raw(stage) as connection:
        await connection.send(b"POST /in HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(10_000)) + b"\r\n")
        assert await connection.status() in (400, 431)  # as it comes in one piece or in several


async def test_slow_bodies_do_not_crowd_out_others(actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "MOST_REQUESTS", 1)
    stage = await open_stage(actor_system, RecordingNode())

    async with raw(stage) as first, raw(stage) as second:
        await first.send(head(len(BODY)) + BODY[:3])
        await reading(stage)
        await second.send(head(len(BODY)) + BODY)
        assert await second.status() == 202
        assert await first.status() == 429
    await settle()


async def test_too_many_connections_are_closed(actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 1)
    stage = await open_stage(actor_system, RecordingNode())

    async with raw(stage) as first:
        await first.send(head(len(BODY)) + BODY)
        assert await first.status() == 202
        async with raw(stage) as second:
            assert await second.until_closed() == b""
    await settle()


async def test_a_client_that_goes_away_starts_nothing(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node)

    async with raw(stage) as connection:
        await connection.send(head(len(BODY)) + BODY[:3])
        await reading(stage)
    await reading(stage)

    async with client(stage) as http:
        assert (await http.post("/in", content=BODY, headers=signed())).status_code == 202
    await settle()
    assert len(node.events) == 1


async def test_garbage_does_not_disturb_the_next_request(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node)

    async with raw(stage) as connection:
        await connection.send(b"\x16\x03\x01\x02\x00 no HTTP at all\r\n\r\n")
        assert await connection.status() == 400
    async with client(stage) as http:
        assert (await http.post("/in", content=BODY, headers=signed())).status_code == 202
    await settle()


async def test_small_packets_are_not_delayed(actor_system: ActorSystem) -> None:
    stage = await open_stage(actor_system, RecordingNode())
    stage.plan.sites[0].port = 0

    with stage.plan.sites[0].bind() as opened:
        # asyncio sets TCP_NODELAY only on sockets that name their protocol.
        assert opened.proto == socket.IPPROTO_TCP
