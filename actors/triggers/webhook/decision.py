"""What a webhook answers to a request that has been read: pure decisions over headers and body, no socket."""

from __future__ import annotations

from time import time as wall_time
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from actors.triggers.webhook.payload import PayloadError, PayloadTypeError, is_json, read_payload
from actors.triggers.webhook.replay_guard import ReplayGuard
from actors.triggers.webhook.signature import Headers, decoy_key, read_key, verify
from protocols.triggers import TriggerConfigError, TriggerFullError, TriggerStoppedError, WebhookReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.triggers.trigger import Trigger
    from actors.triggers.webhook.replay_journal import ReplayJournal
    from actors.triggers.webhook.signature import SignedRequest


class Answer(msgspec.Struct, frozen=True):
    """Status and JSON of a response."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refusal(status: int, why: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Return an answer that says why nothing was started."""
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
_STOPPED: Final = refusal(503, "not running; try again later", _LATER)
_DUPLICATE: Final = Answer(200, b'{"status":"duplicate"}')


class WebhookSettings(Protocol):
    """Settings of one webhook, as in `actors.config.trigger.WebhookTrigger`."""

    @property
    def path(self) -> str:
        """URL path."""
        ...

    @property
    def max_bytes(self) -> int:
        """Bound on the body."""
        ...

    @property
    def window(self) -> float:
        """How far a timestamp may be off, in seconds."""
        ...

    @property
    def timeout(self) -> float:
        """How long a request may take to arrive, in seconds."""
        ...


class Webhook:
    """One path of a server. It remembers what was accepted, so a restart of the server opens nothing to replays."""

    def __init__(
        self,
        trigger: Trigger,
        settings: WebhookSettings,
        secrets: Sequence[str],
        *,
        insecure: bool = False,
        journal: ReplayJournal | None = None,
        wall: Callable[[], float] = wall_time,
    ) -> None:
        """Take the settings.

        Args:
            trigger: Takes the events.
            settings: Path and limits.
            secrets: Keys; several while they are changed.
            insecure: Whether requests need no signature.
            journal: Keeps what was accepted beyond the end of the process.
            wall: The wall clock, in seconds since 1970 UTC.

        Raises:
            TriggerConfigError: A secret is empty, or there is none and `insecure` is not set.
        """
        who = f"trigger {trigger.full_name!r}"
        if not secrets and not insecure:
            msg = f"{who}: a webhook needs a secret, or insecure=True, with which anybody can start runs"
            raise TriggerConfigError(msg)
        if secrets and insecure:
            msg = f"{who}: insecure=True does not go with a secret"
            raise TriggerConfigError(msg)
        self.trigger = trigger
        self.settings = settings
        self.keys = tuple(read_key(secret, who) for secret in secrets)
        self.guard = ReplayGuard(journal=journal, scope=trigger.full_name)
        self.since = float(int(wall())) if journal is None else journal.since
        """What was accepted is known since then; without a journal a process forgets when it ends. Nothing that was
        signed earlier is accepted."""

    @property
    def is_signed(self) -> bool:
        """Whether requests need a signature."""
        return bool(self.keys)


class WebhookDesk:
    """Answers the requests of all webhooks of one port."""

    def __init__(self, webhooks: Sequence[Webhook], *, wall: Callable[[], float] = wall_time) -> None:
        """Take the webhooks; `wall` is the wall clock, in seconds since 1970 UTC.

        Raises:
            TriggerConfigError: There is none, or two have the same path.
        """
        self._webhooks = {webhook.settings.path: webhook for webhook in webhooks}
        if len(self._webhooks) != len(webhooks) or not webhooks:
            paths = sorted(webhook.settings.path for webhook in webhooks)
            msg = f"the webhooks of a port need different paths, not {paths}"
            raise TriggerConfigError(msg)
        self._wall = wall
        # A path that does not exist is checked like one that does, against keys that nobody has.
        self._decoys = tuple(decoy_key() for _ in range(max(len(webhook.keys) for webhook in webhooks)))
        self.max_bytes = max(webhook.settings.max_bytes for webhook in webhooks)
        """The largest body that any of them takes: the limit for all, so that it tells nobody which paths exist."""
        self.timeout = max(webhook.settings.timeout for webhook in webhooks)
        """The longest time that any of them waits."""

    def answer(self, path: str, headers: Headers, body: bytes) -> Answer:
        """Return the answer to a POST that has been read; a valid one has its run queued then."""
        webhook = self._webhooks.get(path)
        if webhook is None:
            if not self._decoys:
                return NOT_FOUND
            verify(headers, body, self._decoys, now=self._wall(), window=0.0)
            return UNAUTHORIZED
        if not webhook.is_signed:
            return self._answer_unsigned(webhook, headers, body)
        return self._answer_signed(webhook, headers, body)

    def _answer_signed(self, webhook: Webhook, headers: Headers, body: bytes) -> Answer:
        now = self._wall()
        window = webhook.settings.window
        signed = verify(headers, body, webhook.keys, now=now, window=window, not_before=webhook.since)
        if signed is None:
            return UNAUTHORIZED
        if webhook.guard.knows(signed.event_id, now=now):
            return _DUPLICATE
        if webhook.guard.is_full:
            return TOO_MANY
        answer = self._accept(webhook, headers, body, signed)
        if answer.status == 202:  # noqa: PLR2004 - Accepted
            webhook.guard.remember(signed.event_id, expires=signed.timestamp + window)
        return answer

    def _answer_unsigned(self, webhook: Webhook, headers: Headers, body: bytes) -> Answer:
        """A web page can reach loopback: browsers say where a POST comes from, and cannot send JSON unasked."""
        if any(name in (b"origin", b"sec-fetch-site") for name, _ in headers):
            return _FROM_A_PAGE
        if not is_json(_content_type(headers)):
            return refusal(415, "expected application/json")
        return self._accept(webhook, headers, body, None)

    def _accept(self, webhook: Webhook, headers: Headers, body: bytes, signed: SignedRequest | None) -> Answer:
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
        try:
            run_id = webhook.trigger.accept(event)
        except TriggerFullError:
            return TOO_MANY
        except TriggerStoppedError:
            return _STOPPED
        return Answer(202, msgspec.json.encode({"run_id": run_id}))


def _content_type(headers: Headers) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == b"content-type"), "")
