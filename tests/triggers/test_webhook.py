from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from actors.config.trigger import WebhookTrigger
from actors.testing.settle import settle
from actors.triggers import Ready, webhook
from actors.triggers.signature import sign
from tests.triggers.stage import PATIENCE, RecordingNode, Stage, raise_curtain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock

NOW = 1_700_000_000
BODY = b'{"order": 7}'


def hook(path: str = "/in", *, name: str = "w", port: int = 0, **keys: Any) -> WebhookTrigger:
    if "insecure" not in keys:
        keys.setdefault("secret", ("secret",))
    return WebhookTrigger(type="webhook", name=name, port=port, path=path, **keys)


def signed(body: bytes = BODY, *, event_id: str = "e1", **more: str) -> dict[str, str]:
    return {**sign("secret", body, event_id=event_id, timestamp=NOW), "content-type": "application/json", **more}


async def open_stage(system: ActorSystem, node: RecordingNode, *hooks: WebhookTrigger) -> Stage:
    stage = await raise_curtain(system, hooks or [hook()], node, wall=lambda: NOW)
    await stage.ready()
    return stage


@asynccontextmanager
async def client(stage: Stage) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=stage.plan.sites[0].url, timeout=PATIENCE, trust_env=False) as opened:
        yield opened


class Raw:
    """A connection to the server whose every byte the test decides."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def until_closed(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def status(self) -> int:
        async with asyncio.timeout(PATIENCE):
            line = await self._reader.readline()
        return int(line.split()[1]) if line else 0


@asynccontextmanager
async def raw(stage: Stage) -> AsyncGenerator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.plan.sites[0].port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


def head(length: int | None = None, **extra: str) -> bytes:
    lines = ["POST /in HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in signed().items())]
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in extra.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def reading(stage: Stage) -> None:
    """Let the server read what was sent: it answers a request that was sent after."""
    async with client(stage) as http:
        await http.get("/")


# -- the ordinary way ---------------------------------------------------------------------------------------------


async def test_a_post_starts_a_run_with_the_payload_in_its_prompt(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node)

    async with client(stage) as http:
        answer = await http.post("/in", content=BODY, headers=signed())
    await node.next_event()

    assert (answer.status_code, answer.json()) == (202, {"run_id": node.run_ids[0]})
    assert node.prompts == ['Time: 2023-11-14T22:13:20+00:00\nMetadata: path=/in, id=e1\n{\n  "order": 7\n}']


async def test_the_answer_does_not_wait_for_the_run(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    stage = await open_stage(actor_system, node)

    async with client(stage) as http:
        answer = await http.post("/in", content=BODY, headers=signed())

    assert answer.status_code == 202
    assert node.running == 1
    node.gate.set()
    await settle()


async def test_webhooks_of_one_port_share_a_server(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook("/a", name="a"), hook("/b", name="b"))

    async with client(stage) as http:
        statuses = [(await http.post(path, content=BODY, headers=signed())).status_code for path in ("/a", "/b")]
    await settle()

    assert statuses == [202, 202]
    assert [event.source for event in node.events] == ["a", "b"]
    assert len(stage.plan.sites) == 1


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/in", {}, BODY, 401),
        ("POST", "/none", signed(), BODY, 401),
        ("POST", "/in", signed(), BODY + b" ", 401),
        ("GET", "/in", {}, b"", 405),
        ("GET", "/none", {}, b"", 405),
        ("POST", "/in", signed(**{"content-encoding": "gzip"}), BODY, 415),
        ("POST", "/in", signed(b"x", **{"content-type": "image/png"}), b"x", 415),
        ("POST", "/in", signed(b"["), b"[", 400),
        ("POST", "/in", signed(b"x" * 2_000), b"x" * 2_000, 413),
    ],
)
async def test_what_is_not_accepted_is_answered_with_the_reason(
    actor_system: ActorSystem, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(max_bytes=1_000))

    async with client(stage) as http:
        answer = await http.request(method, path, content=body, headers=headers)

    assert answer.status_code == status
    assert "error" in answer.json()
    assert "server" not in answer.headers
    assert node.events == []


async def test_an_unknown_path_and_a_wrong_signature_look_the_same(actor_system: ActorSystem) -> None:
    stage = await open_stage(actor_system, RecordingNode())

    async with client(stage) as http:
        unknown = await http.post("/none", content=BODY, headers=signed())
        forged = await http.post("/in", content=BODY + b" ", headers=signed())

    assert (unknown.status_code, unknown.content, unknown.headers) == (forged.status_code, forged.content, forged.headers)


async def test_a_replay_is_not_run_again_even_after_a_restart_of_the_server(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(backoff=0.01))
    server = stage.refs["webhooks of 127.0.0.1:0"]

    async with client(stage) as http:
        first = await http.post("/in", content=BODY, headers=signed())
    server.tell(_broken())
    await settle()
    await server.ready()
    await stage.ready()
    async with client(stage) as http:
        second = await http.post("/in", content=BODY, headers=signed())
    await settle()

    assert (first.status_code, second.status_code, second.json()) == (202, 200, {"status": "duplicate"})
    assert (len(node.events), server.incarnation) == (1, 2)


def _broken() -> Any:
    from actors.triggers.trigger_actor import _WatchEnded  # pyright: ignore[reportPrivateUsage]

    return _WatchEnded(RuntimeError("broken"))


async def test_a_full_queue_is_answered_with_429(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    stage = await open_stage(actor_system, node, hook(queue={"capacity": 1}))

    async with client(stage) as http:
        statuses: list[int] = []
        for number in range(3):
            answer = await http.post("/in", content=BODY, headers=signed(event_id=f"e{number}"))
            statuses.append(answer.status_code)

    assert statuses == [202, 202, 429]
    assert answer.headers["retry-after"] == "1"
    node.gate.set()
    await settle()


async def test_many_requests_at_once_are_all_accounted_for(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(queue={"capacity": 1_000}))

    async with client(stage) as http:
        answers = await asyncio.gather(
            *(http.post("/in", content=BODY, headers=signed(event_id=f"e{n}")) for n in range(200))
        )
    await settle()

    accepted = [answer.json()["run_id"] for answer in answers if answer.status_code == 202]
    assert sorted(accepted) == sorted(node.run_ids)
    assert {answer.status_code for answer in answers} <= {202, 429}
    assert stage.plan.triggers[0].statistics().completed == len(accepted)


# -- limits -------------------------------------------------------------------------------------------------------


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
        assert await connection.until_closed() == b""
        assert await silent.until_closed() == b""


async def test_a_head_with_too_many_headers_is_refused(actor_system: ActorSystem) -> None:
    stage = await open_stage(actor_system, RecordingNode())

    async with raw(stage) as connection:
        await connection.send(b"POST /in HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(10_000)) + b"\r\n")
        assert await connection.status() in (400, 431)


async def test_too_many_bodies_at_once_are_refused(actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "MOST_REQUESTS", 1)
    stage = await open_stage(actor_system, RecordingNode())

    async with raw(stage) as first, raw(stage) as second:
        await first.send(head(len(BODY)) + BODY[:3])
        await reading(stage)
        await second.send(head(len(BODY)) + BODY)
        assert await second.status() == 429
        await first.send(BODY[3:])
        assert await first.status() == 202
    await settle()


async def test_too_many_connections_are_closed(actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "MOST_CONNECTIONS", 1)
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


# -- start and end ------------------------------------------------------------------------------------------------


async def test_a_port_in_use_holds_up_nobody_and_is_tried_again(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        stage = await raise_curtain(actor_system, [hook(port=port, backoff=1)], node, wall=lambda: NOW)
        await settle()
        numbers = stage.plan.triggers[0].statistics()
        assert f"webhooks cannot listen on http://127.0.0.1:{port}" in numbers.last_error
        assert "choose another port" in numbers.last_error

    await manual_clock.advance(1)
    await stage.ready()

    async with client(stage) as http:
        assert (await http.post("/in", content=BODY, headers=signed())).status_code == 202
    await settle()


async def test_a_stop_answers_what_is_in_hand_and_frees_the_port(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node)
    port = stage.plan.sites[0].port

    async with client(stage) as http:
        assert (await http.post("/in", content=BODY, headers=signed())).status_code == 202
        await stage.supervisor.stop(block=False)

    with socket.create_server(("127.0.0.1", port)):
        pass
    assert stage.plan.triggers[0].statistics().completed == 1


async def test_the_server_leaves_the_signals_alone(actor_system: ActorSystem) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    await open_stage(actor_system, RecordingNode())

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_a_question_whether_it_listens_fails_when_it_stops_first(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        stage = await raise_curtain(actor_system, [hook(port=other.getsockname()[1], backoff=5)], RecordingNode())
        await settle()
        asked = stage.refs[f"webhooks of 127.0.0.1:{other.getsockname()[1]}"].ask(Ready(), timeout=None)
        await stage.supervisor.stop(block=False)

        with pytest.raises(Exception, match="stop"):
            await asked
