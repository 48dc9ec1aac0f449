from __future__ import annotations

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from actors.testing.settle import settle
from actors.triggers import Ready
from tests.triggers.started import RecordingNode, crash_message, start_triggers
from tests.triggers.webhook.client import BODY, NOW, client, hook, open_stage, signed

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


@pytest.mark.seed("S97")
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
        ("POST", "/in", {**signed(), "content-encoding": "gzip"}, BODY, 415),
        ("POST", "/in", {**signed(b"x"), "content-type": "image/png"}, b"x", 415),
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

    assert unknown.status_code == forged.status_code
    assert (unknown.content, unknown.headers) == (forged.content, forged.headers)


async def test_a_replay_is_not_run_again_even_after_a_restart_of_the_server(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(backoff=0.01))
    server = stage.refs["webhooks of 127.0.0.1:0"]

    async with client(stage) as http:
        first = await http.post("/in", content=BODY, headers=signed())
    server.tell(crash_message())
    await settle()
    await server.ready()
    await stage.ready()
    async with client(stage) as http:
        second = await http.post("/in", content=BODY, headers=signed())
    await settle()

    assert (first.status_code, second.status_code, second.json()) == (202, 200, {"status": "duplicate"})
    assert (len(node.events), server.incarnation) == (1, 2)


async def test_a_full_queue_is_answered_with_429(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    node.gate = asyncio.Event()
    stage = await open_stage(actor_system, node, hook(queue={"capacity": 1}))

    async with client(stage) as http:
        answers = [await http.post("/in", content=BODY, headers=signed(event_id=f"e{n}")) for n in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[-1].headers["retry-after"] == "1"
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


async def test_a_port_in_use_holds_up_nobody_and_is_tried_again(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    node = RecordingNode()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        stage = await start_triggers(actor_system, [hook(port=port, backoff=1)], node, wall=lambda: NOW)
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
        stage = await start_triggers(actor_system, [hook(port=other.getsockname()[1], backoff=5)], RecordingNode())
        await settle()
        asked = stage.refs[f"webhooks of 127.0.0.1:{other.getsockname()[1]}"].ask(Ready(), timeout=None)
        await stage.supervisor.stop(block=False)

        with pytest.raises(Exception, match="stop"):
            await asked


async def test_a_webhook_on_loopback_without_a_secret_warns_once_and_refuses_web_pages(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, hook(secret=()))
    json = {"content-type": "application/json"}

    async with client(stage) as http:
        statuses = [
            (await http.post("/in", content=BODY, headers={**json, **more})).status_code
            for more in ({}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"})
        ]
    await node.next_event()
    stage.plan.sites[0].warn_once()

    assert statuses == [202, 403, 403]
    assert caplog.text.count("webhook n/w has no secret") == 1
