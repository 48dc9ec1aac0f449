"""The webhook trigger: one server for all webhooks of a port, owned by one supervised actor."""

import asyncio
import logging
import socket
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from actors.http import LimitedBody, bind, running_server
from actors.triggers.source import TriggerSource
from actors.triggers.webhook.decision import (
    COMPRESSED,
    TOO_LARGE,
    TOO_MANY,
    TOO_SLOW,
    WRONG_METHOD,
    Answer,
    WebhookRoutes,
)
from protocols.clock import Clock
from protocols.triggers import TriggerError

MOST_REQUESTS: Final = 100
"""Bodies that the server reads at the same time; one more ends the oldest of them with 429.

A sender of head and body at once is served, even if many others send theirs slowly.
"""
GRACE: Final = 2
"""Seconds that open requests have to end when the server stops."""

_log: Final = logging.getLogger("understage.triggers")


class WebhookLocation:
    """Where a server listens, and for which webhooks. A location outlives restarts of its server."""

    def __init__(self, host: str, port: int, routes: WebhookRoutes) -> None:
        self.host = host
        self.port = port
        """The port; 0 for any free one, which stays the same after a restart of the server."""
        self.routes = routes
        hooks = [webhook for webhook in routes.webhooks if not webhook.keys and not webhook.settings.insecure]
        self._unsigned = [webhook.trigger.full_name for webhook in hooks]

    @property
    def url(self) -> str:
        """Address of the server, for clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def warn_once(self) -> None:
        """Warn that programs of this machine can start runs, unless the manifest says `insecure`."""
        webhooks, self._unsigned = self._unsigned, []
        if webhooks:
            names = ", ".join(webhooks)
            _log.warning("webhook %s has no secret: every program of this machine can start runs; set 'secret'", names)

    def bind(self) -> socket.socket:
        """Open the port.

        Raises:
            TriggerError: The port is taken, not permitted, or no address of this machine.
        """
        try:
            opened = bind(self.host, self.port)
        except OSError as error:
            why = error.strerror or str(error)
            message = f"webhooks cannot listen on {self.url}: {why}; stop what uses it, or choose another port"
            raise TriggerError(message) from error
        self.port = int(opened.getsockname()[1])
        return opened


class WebhookServer(TriggerSource):
    """Owns the server of a port. The actor starts at once and opens the port afterwards."""

    def __init__(self, site: WebhookLocation) -> None:
        super().__init__([webhook.trigger for webhook in site.routes.webhooks])
        self._site = site

    async def observe(self) -> None:
        """Listen until cancelled; then answer the open requests and close the port."""
        site, clock = self._site, self.system.clock
        app = WebhookApp(site.routes, clock)
        async with running_server(app, site.bind(), clock=clock, patience=site.routes.timeout, grace=GRACE) as ended:
            self.established()
            site.warn_once()
            await ended


class WebhookApp:
    """The ASGI application of one server: reads a request within its limits and answers it by the routes."""

    def __init__(self, routes: WebhookRoutes, clock: Clock) -> None:
        self._routes = routes
        self._clock = clock
        self._reading: dict[asyncio.Timeout, None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless its client has gone."""
        try:
            answer = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        headers = {name.decode(): value.decode() for name, value in answer.headers}
        await Response(answer.body, answer.status, headers, media_type="application/json")(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = scope["headers"]
        if scope["method"] != "POST":
            return WRONG_METHOD
        if any(name == b"content-encoding" and value.strip().lower() != b"identity" for name, value in headers):
            return COMPRESSED
        routes = self._routes
        body = LimitedBody(scope, receive, max_bytes=routes.max_bytes, timeout=routes.timeout, clock=self._clock)
        try:
            body.check_length()
            content = await self._read(Request(scope, body.receive))
        except TimeoutError:
            return TOO_MANY
        except HTTPException as error:
            return TOO_LARGE if error.status_code == TOO_LARGE.status else TOO_SLOW
        return await routes.answer(scope["path"], headers, content)

    async def _read(self, request: Request) -> bytes:
        if len(self._reading) >= MOST_REQUESTS:
            oldest = next(iter(self._reading))
            del self._reading[oldest]
            oldest.reschedule(0)
        async with asyncio.timeout(None) as limit:
            self._reading[limit] = None
            try:
                return await request.body()
            finally:
                self._reading.pop(limit, None)
