from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from actors.config.trigger import WebhookTrigger
from actors.config.value import QueueSpec
from actors.runtime.options import StartOptions
from actors.testing.settle import settle
from actors.triggers.trigger import Trigger, queue_class
from actors.triggers.webhook.decision import Answer, Webhook, WebhookRoutes
from actors.triggers.webhook.replay_journal import ReplayGuard
from actors.triggers.webhook.signature import sign
from protocols.triggers import TriggerConfigError
from tests.triggers.started import RecordingNode

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem

NOW = 1_700_000_000


class Desk:
    """A desk with one signed webhook, one without a secret if wanted, and a wall clock that the test sets."""

    def __init__(self, system: ActorSystem, *, capacity: int = 10, insecure: bool = False, **more: Any) -> None:
        self.now = float(NOW)
        self.node = RecordingNode()
        keys: dict[str, Any] = {"insecure": True} if insecure else {"secret": ("secret",)}
        config = WebhookTrigger(
            type="webhook", name="w", port=0, path="/in", max_bytes=1_000,
            queue=QueueSpec(capacity=capacity), **keys, **more,
        )  # fmt: skip
        self.trigger = Trigger(config, self.node, node="n")
        self.webhook = Webhook(self.trigger, config, wall=lambda: self.now)
        self.routes = WebhookRoutes([self.webhook], wall=lambda: self.now)
        options = StartOptions("q", self.trigger.mailbox_config())
        self.queue = system.start(queue_class(1), (self.trigger,), options=options)

    async def post(
        self, body: bytes = b"{}", *, path: str = "/in", event_id: str = "e1", secret: str = "secret", **extra: str
    ) -> Answer:
        headers = sign(secret, body, event_id=event_id, timestamp=int(self.now))
        headers.update({name.replace("_", "-"): value for name, value in extra.items()})
        return await self.routes.answer(path, [(k.encode(), v.encode()) for k, v in headers.items()], body)

    async def post_unsigned(self, body: bytes = b"{}", **headers: str) -> Answer:
        sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        return await self.routes.answer("/in", sent, body)


async def test_a_signed_post_is_accepted_with_the_id_of_its_run(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)

    answer = await desk.post(b'{"order": 7}')
    await settle()

    assert (answer.status, json.loads(answer.body)) == (202, {"run_id": desk.node.run_ids[0]})
    event: Any = desk.node.events[0]
    assert (event.payload, event.event_id, event.path) == ({"order": 7}, "e1", "/in")
    assert '"order": 7' in desk.node.prompts[0]


async def test_the_same_request_twice_runs_once(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)

    answers = [(await desk.post()).status, (await desk.post()).status, (await desk.post(event_id="e2")).status]
    await settle()

    assert (answers, len(desk.node.events)) == ([202, 200, 202], 2)


async def test_a_request_is_refused_as_a_replay_for_as_long_as_its_time_is_valid(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)
    desk.now = NOW + 300.0
    headers = [(k.encode(), v.encode()) for k, v in sign("secret", b"{}", event_id="e1", timestamp=NOW + 600).items()]

    statuses: list[int] = []
    for later in (300.0, 450.0, 899.0, 900.0, 901.0):
        desk.now = NOW + later
        statuses.append((await desk.routes.answer("/in", headers, b"{}")).status)

    assert statuses == [202, 200, 200, 200, 401]
    await settle()


async def test_a_request_captured_before_a_restart_of_the_process_is_refused(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)
    desk.now = NOW - 1.0

    assert (await desk.post()).status == 401


async def test_an_unknown_path_is_answered_like_a_wrong_signature(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)

    assert (await desk.post(path="/other")) == (await desk.post(secret="wrong")) == (await desk.post_unsigned())
    assert (await desk.post(path="/other")).status == 401
    assert desk.node.events == []


async def test_an_unknown_path_is_not_found_where_there_is_nothing_to_hide(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system, insecure=True)

    assert (await desk.post(path="/other")).status == 404


async def test_an_unsigned_webhook_takes_only_json_and_nothing_from_web_pages(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system, insecure=True)

    assert (await desk.post_unsigned(content_type="application/json")).status == 202
    assert (await desk.post_unsigned(content_type="text/plain")).status == 415
    assert (await desk.post_unsigned()).status == 415
    assert (await desk.post_unsigned(content_type="application/json", origin="https://evil.example")).status == 403
    assert (await desk.post_unsigned(content_type="application/json", sec_fetch_site="cross-site")).status == 403
    await settle()
    assert len(desk.node.events) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [(b"[", "application/json", 400), (b"x", "image/png", 415), (b'"' + b"x" * 2_000 + b'"', "application/json", 413)],
)
async def test_a_payload_that_cannot_be_read_is_refused_and_may_come_again(
    actor_system: ActorSystem, body: bytes, content_type: str, status: int
) -> None:
    desk = Desk(actor_system)

    assert (await desk.post(body, content_type=content_type)).status == status
    assert (await desk.post(b"{}", content_type="application/json")).status == 202
    await settle()


async def test_a_full_queue_is_answered_with_429_and_the_request_may_come_again(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system, capacity=1)

    first, second = await desk.post(event_id="e1"), await desk.post(event_id="e2")
    await settle()
    again = await desk.post(event_id="e2")
    await settle()

    assert (first.status, second.status, again.status) == (202, 429, 202)
    assert (b"retry-after", b"1") in second.headers
    assert len(desk.node.events) == 2


async def test_a_guard_that_is_full_refuses_rather_than_forgets(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)
    desk.webhook.guard = ReplayGuard(capacity=1)

    assert [(await desk.post(event_id=name)).status for name in ("a", "b", "a")] == [202, 429, 200]
    await settle()


async def test_a_trigger_that_has_stopped_is_answered_with_503(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)
    await desk.queue.stop()

    assert (await desk.post()).status == 503


async def test_webhooks_that_cannot_work_are_refused(actor_system: ActorSystem) -> None:
    desk = Desk(actor_system)
    config = WebhookTrigger(type="webhook", name="w", port=0, path="/in", secret=(SecretStr("whsec_x"),))

    with pytest.raises(TriggerConfigError, match="'n/w': a secret that begins with 'whsec_' must go on with base64"):
        Webhook(desk.trigger, config)
    with pytest.raises(TriggerConfigError, match="different paths"):
        WebhookRoutes([desk.webhook, desk.webhook])
    open_to_all = WebhookTrigger.model_construct(type="webhook", name="w", port=0, path="/in", host="0.0.0.0")
    with pytest.raises(TriggerConfigError, match=r"'n/w': 'secret': a webhook on 0\.0\.0\.0 needs a secret"):
        Webhook(desk.trigger, open_to_all)


@pytest.mark.parametrize("user", ["alice", 5, "", None, "a\nb", "x" * 300, ["a"]])
async def test_a_post_that_names_no_session_is_refused_before_it_is_accepted(
    actor_system: ActorSystem, user: Any
) -> None:
    desk = Desk(actor_system, session="{payload[user]}")

    answer = await desk.post(json.dumps({"user": user}).encode())

    is_name = user in ("alice", 5)
    assert answer.status == (202 if is_name else 422)
    assert desk.trigger.statistics().accepted == is_name
