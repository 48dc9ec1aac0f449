"""The answer of a webhook to a complete request: pure decisions over headers and body, no socket."""

from collections.abc import Callable, Sequence
from secrets import token_bytes
from time import time as wall_time
from typing import Final

import msgspec

from actors.config.trigger import WebhookTrigger
from actors.triggers.prompt import session_of
from actors.triggers.trigger import Trigger
from actors.triggers.webhook.payload import PayloadError, PayloadTypeError, is_json, read_payload
from actors.triggers.webhook.replay_journal import ReplayGuard, ReplayJournal
from actors.triggers.webhook.signature import Headers, SignedRequest, read_key, verify
from protocols.triggers import (
    NotKeptError,
    TriggerConfigError,
    TriggerError,
    TriggerFullError,
    TriggerStoppedError,
    WebhookReceived,
)


class Answer(msgspec.Struct, frozen=True):
    """Status and JSON of a response."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refusal(status: int, why: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Return an answer that says why no run was started."""
    return Answer(status, msgspec.json.encode({"error": why}), headers)


_LATER: Final = (b"retry-after", b"1")

UNAUTHORIZED: Final = refusal(401, "unauthorized")
NOT_FOUND: Final = refusal(404, "not found")
WRONG_METHOD: Final = refusal(405, "only POST is accepted", (b"allow", b"POST"))
TOO_SLOW: Final = refusal(408, "the request took too long to arrive", (b"connection", b"close"))
TOO_LARGE: Final = refusal(413, "the body is too large")
COMPRESSED: Final = refusal(415, "compressed bodies are not accepted", (b"connection", b"close"))
TOO_MANY: Final = refusal(429, "too many requests; try again later", _LATER)
_FROM_A_PAGE: Final = refusal(403, "requests of web pages are not accepted")
_REFUSALS: Final[tuple[tuple[type[TriggerError], Answer], ...]] = (
    (NotKeptError, refusal(503, "not accepted; try again later", _LATER)),
    (TriggerFullError, TOO_MANY),
    (TriggerStoppedError, refusal(503, "not running; try again later", _LATER)),
    (TriggerError, refusal(422, "no run can be made of it")),
)


class Webhook:
    """One path of a server. It outlives the server and remembers accepted requests, so none is accepted twice."""

    def __init__(
        self,
        trigger: Trigger,
        settings: WebhookTrigger,
        *,
        journal: ReplayJournal | None = None,
        wall: Callable[[], float] = wall_time,
    ) -> None:
        """Read the secrets.

        Args:
            trigger: takes the events.
            settings: path, secrets and limits.
            journal: keeps what was accepted beyond the end of the process.
            wall: the wall clock, in seconds since 1970 UTC.

        Raises:
            TriggerConfigError: A secret is missing, blank, or not base64 after `whsec_`.
        """
        who = f"trigger {trigger.full_name!r}"
        for key, problem in settings.mismatches():  # settings that were made without validation
            raise TriggerConfigError(f"{who}: {key!r}: {problem}", node=trigger.node)
        self.trigger = trigger
        self.settings = settings
        self.keys = tuple(read_key(secret.get_secret_value(), who) for secret in settings.secret)
        self.guard = ReplayGuard(journal=journal, scope=trigger.full_name)
        self.since = float(int(wall())) if journal is None else journal.since
        """Requests that were signed earlier are refused: without a journal, a process does not know what the process
        before it has accepted."""


class WebhookRoutes:
    """Answers the requests of all webhooks of one port."""

    def __init__(self, webhooks: Sequence[Webhook], *, wall: Callable[[], float] = wall_time) -> None:
        self.webhooks = tuple(webhooks)
        self._by_path = {webhook.settings.path: webhook for webhook in webhooks}
        if len(self._by_path) != len(webhooks) or not webhooks:
            paths = sorted(webhook.settings.path for webhook in webhooks)
            raise TriggerConfigError(f"the webhooks of a port need different paths, not {paths}")
        self._wall = wall
        # A missing path is checked like an existing one, against random keys, so that both take the same time.
        self._decoys = tuple(token_bytes(32) for _ in range(max(len(webhook.keys) for webhook in webhooks)))
        self.max_bytes = max(webhook.settings.max_bytes for webhook in webhooks)
        """The largest limit of all webhooks. It holds for every path, so that it does not tell which paths exist."""
        self.timeout = max(webhook.settings.timeout for webhook in webhooks)
        """The longest time limit of all webhooks, for the same reason."""

    async def answer(self, path: str, headers: Headers, body: bytes) -> Answer:
        """Return the answer to a complete POST, when the run of a valid one is accepted."""
        webhook = self._by_path.get(path)
        if webhook is None:
            if not self._decoys:
                return NOT_FOUND
            verify(headers, body, self._decoys, now=self._wall(), window=0.0)
            return UNAUTHORIZED
        if not webhook.keys:
            return await self._answer_unsigned(webhook, headers, body)
        return await self._answer_signed(webhook, headers, body)

    async def _answer_signed(self, webhook: Webhook, headers: Headers, body: bytes) -> Answer:
        now = self._wall()
        window = webhook.settings.window
        signed = verify(headers, body, webhook.keys, now=now, window=window, not_before=webhook.since)
        if signed is None:
            return UNAUTHORIZED
        if webhook.guard.knows(signed.event_id, now=now):
            trigger = webhook.trigger
            return _duplicate(run_id=trigger.kept_id(signed.event_id)) if trigger.is_durable else _duplicate()
        if webhook.guard.is_full:
            return TOO_MANY
        answer = await self._accept(webhook, headers, body, signed)
        if answer.status in (202, 200):  # accepted, now or by a process that died before it said so
            webhook.guard.remember(signed.event_id, expires=signed.timestamp + window)
        return answer

    async def _answer_unsigned(self, webhook: Webhook, headers: Headers, body: bytes) -> Answer:
        """Refuse web pages, which can reach loopback: browsers name the origin of a POST and cannot send JSON."""
        if any(name in (b"origin", b"sec-fetch-site") for name, _ in headers):
            return _FROM_A_PAGE
        if not is_json(_content_type(headers)):
            return refusal(415, "expected application/json")
        return await self._accept(webhook, headers, body, None)

    async def _accept(self, webhook: Webhook, headers: Headers, body: bytes, signed: SignedRequest | None) -> Answer:
        if len(body) > webhook.settings.max_bytes:
            return TOO_LARGE
        try:
            payload = read_payload(body, _content_type(headers))
        except PayloadTypeError as error:
            return refusal(415, str(error))
        except PayloadError as error:
            return refusal(400, str(error))
        event_id = signed.event_id if signed is not None else ""
        path = webhook.settings.path
        event = WebhookReceived(
            source=webhook.trigger.name,
            time=self._wall(),
            path=path,
            payload=payload,
            event_id=event_id,
            metadata={"path": path, **({"id": event_id} if event_id else {})},
        )
        if webhook.trigger.keeper is not None:
            webhook.trigger.keeper.continue_trace(headers)
        try:
            session_of(event, webhook.settings)  # refused before it is accepted
            accepted = await webhook.trigger.accept(event, event_id)
        except TriggerError as error:
            return _refused(error)
        if accepted.is_new:
            return Answer(202, msgspec.json.encode({"run_id": accepted.run_id}))
        return _duplicate(run_id=accepted.run_id)


def _refused(error: Exception) -> Answer:
    return next(answer for kind, answer in _REFUSALS if isinstance(error, kind))


def _duplicate(**facts: str) -> Answer:
    return Answer(200, msgspec.json.encode({"status": "duplicate", **facts}))


def _content_type(headers: Headers) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
