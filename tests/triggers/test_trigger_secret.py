"""Secrets of triggers, and what strangers send them, stay out of logs, errors, events, dead letters and numbers."""

from __future__ import annotations

import asyncio
import socket
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.config.trigger import EmailTrigger, WebhookTrigger
from actors.testing.settle import settle
from actors.triggers import Ready
from protocols.triggers import TriggerError
from tests.support.waiting import TIMEOUT
from tests.triggers.started import RecordingNode, StartedTriggers, crash_message, start_triggers
from tests.triggers.webhook.client import BODY, NOW, client, raw, signed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.runtime.system import ActorSystem
    from protocols.events import StampedEvent

CANARY = "c4n4ry-S3CR3T"
BODY_CANARY = "c4n4ry-body"


class Sinks:
    """Everything that a reader of logs, events and numbers of a system gets to see."""

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._events: list[StampedEvent] = []
        system.events.subscribe(self._events.append)

    def text(self, stage: StartedTriggers, logs: str) -> str:
        letters = [f"{letter.target!r} {letter.reason} {_told(letter.cause)}" for letter in self._system.dead_letters]
        numbers = [trigger.statistics() for trigger in stage.plan.triggers]
        parts: list[object] = [
            logs, *letters, stage.plan, stage.plan.children, stage.plan.triggers, stage.plan.sites,
            [site.routes.webhooks for site in stage.plan.sites],
            [trigger.settings for trigger in stage.plan.triggers], msgspec.json.encode(numbers).decode(),
            [msgspec.json.encode(event).decode() for event in self._events], self._system.tree(), stage.refs,
        ]  # fmt: skip
        return "\n".join(map(repr, parts))


def _told(error: BaseException | None) -> str:
    return "" if error is None else "".join(traceback.format_exception(error))


@pytest.fixture
async def babbler() -> AsyncGenerator[int]:
    """An IMAP server that repeats what it is sent, with control characters."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            tag = line.split()[0]
            if b"CAPABILITY" in line:
                writer.write(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
            elif b"LOGOUT" in line:
                break
            else:
                writer.write(tag + b" NO \x1b[2J I will not " + line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


def email(port: int) -> EmailTrigger:
    return EmailTrigger.model_validate(
        {
            "type": "email", "name": "mail", "host": "127.0.0.1", "port": port, "ssl": False, "username": "ada",
            "password": CANARY, "backoff": 0.01,
        }
    )  # fmt: skip


async def test_the_secret_of_a_webhook_and_forged_requests_leave_no_trace(
    actor_system: ActorSystem, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sinks = Sinks(actor_system)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = [
            WebhookTrigger.model_validate(
                {"type": "webhook", "name": name, "port": port, "path": "/in", "secret": CANARY, "backoff": 5}
            )
            for name, port in (("w", 0), ("taken", taken.getsockname()[1]))
        ]
        stage = await start_triggers(actor_system, settings, RecordingNode(), wall=lambda: NOW)
        server = stage.refs["webhooks of 127.0.0.1:0"]
        await server.ask(Ready(), timeout=TIMEOUT)
        headers = {**signed(), "authorization": f"Bearer {CANARY}", "cookie": f"session={CANARY}"}
        async with client(stage) as http:
            forged = await http.post(f"/in?token={CANARY}", content=f'"{BODY_CANARY}"'.encode(), headers=headers)
            unknown = await http.post(f"/{CANARY}", content=BODY, headers=headers)
            wrong = await http.post("/in", content=b"{", headers=signed(b"{"))
        async with raw(stage) as connection:
            await connection.send(f"{CANARY}\x1b[2J\r\n\r\n".encode())
            answer = await connection.until_closed()
        server.tell(crash_message())
        await settle()

    shown = sinks.text(stage, f"{caplog.text} {capfd.readouterr()}")
    assert [forged.status_code, unknown.status_code, wrong.status_code] == [401, 401, 401]
    assert CANARY not in f"{forged.text} {unknown.text} {wrong.text} {answer!r}"
    assert "cannot listen" in shown
    assert CANARY not in shown
    assert BODY_CANARY not in shown
    assert "\x1b" not in shown


async def test_the_payload_of_an_accepted_webhook_is_in_its_prompt_and_nowhere_else(
    actor_system: ActorSystem, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sinks = Sinks(actor_system)
    node = RecordingNode()
    node.error = ValueError("the run failed")
    body = f'{{"text": "{BODY_CANARY}"}}'.encode()
    config = WebhookTrigger.model_validate(
        {"type": "webhook", "name": "w", "port": 0, "path": "/in", "secret": "secret"}
    )
    stage = await start_triggers(actor_system, [config], node, wall=lambda: NOW)
    await stage.ready()
    async with client(stage) as http:
        answer = await http.post("/in", content=body, headers=signed(body))
    await settle()

    assert answer.status_code == 202
    assert BODY_CANARY in node.prompts[0]
    assert stage.plan.triggers[0].statistics().failed == 1
    assert BODY_CANARY not in sinks.text(stage, f"{caplog.text} {capfd.readouterr()}")


async def test_the_password_of_a_mail_server_that_repeats_everything_is_not_shown(
    actor_system: ActorSystem, babbler: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sinks = Sinks(actor_system)
    stage = await start_triggers(actor_system, [email(babbler)], RecordingNode())
    with pytest.raises(TriggerError, match="I will not") as caught:
        await stage.refs["n/mail"].ask(Ready(), timeout=TIMEOUT)

    shown = sinks.text(stage, f"{caplog.text} {capfd.readouterr()} {_told(caught.value)}")
    assert "\\x1b[2J I will not" in str(caught.value)
    assert CANARY not in shown
    assert "\x1b" not in shown


def test_settings_show_no_secret() -> None:
    settings: list[Any] = [
        email(143),
        WebhookTrigger.model_validate({"type": "webhook", "name": "w", "port": 0, "path": "/", "secret": [CANARY]}),
    ]

    assert all(CANARY not in f"{each!r} {each} {each.model_dump_json()}" for each in settings)
