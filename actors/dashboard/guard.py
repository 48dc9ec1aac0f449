"""Who may see the dashboard: the checks before every request, in this order: Host, token, Origin."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.http.head_check import is_known_host, known_hosts
from protocols.checks import is_a

SHORTEST_TOKEN: Final = 16
"""Characters of a token: a shorter one could be guessed."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_READS: Final = ("GET", "HEAD")


class Guard:
    """Middleware that lets only known names, holders of the token, and pages of its own reach an application.

    Args:
        app: the application.
        token: what a request must know; in the address once, in a cookie from then on. None for a socket of the file
            system, whose mode says who may open it: a request from a network is refused then.
        hosts: names in the Host header that are answered, apart from ``localhost`` and addresses.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        # Browsers send a cookie to all ports of a host, so two dashboards on one machine need different names.
        self._cookie = f"understage-{hashlib.sha256(self._token or b'').hexdigest()[:12]}"
        self._known = known_hosts(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # a websocket is not answered
        is_of_api = "/api/" in scope["path"]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store" if is_of_api else "no-cache")
            await send(message)

        refused = self._refused(HTTPConnection(scope))
        await (refused or self._app)(scope, receive, answer)

    def _refused(self, request: HTTPConnection) -> Response | None:
        """Return the answer to a request that does not get through, or None."""
        host = request.headers.get("host", "")
        if not is_known_host(host, self._known):
            return _error(403, f"the host name {host[:100]!r} is not answered; pass it to dashboard(hosts=[...])")
        given = request.query_params.get("token", "")
        if request.scope["method"] in _READS:
            for one in (given, given.replace(" ", "+")):  # as which a plus arrives that the address does not escape
                if self._is_token(one):
                    return self._with_cookie(request, one)
        if not self._is_known(request):
            return _error(401, "the token is missing or wrong; open the address with the token, as it was printed")
        if request.scope["method"] not in _READS and not _is_own(request.headers.get("origin", ""), host):
            return _error(403, "only a page of this dashboard may do that: the Origin header is missing or foreign")
        return None

    def _is_known(self, request: HTTPConnection) -> bool:
        if self._token is None:
            return request.client is None  # such a socket names no client
        return self._is_token(request.cookies.get(self._cookie, ""))

    def _is_token(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def _with_cookie(self, request: HTTPConnection, given: str) -> Response:
        """Return the way to the same address without the token, which must not stay in the history of the browser."""
        scope = request.scope
        rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        where = f"{scope['path']}?{urlencode(rest)}" if rest else scope["path"]
        answer = RedirectResponse("/" + where.lstrip("/\\"), 303, {"cache-control": "no-store"})
        path, is_secure = scope.get("root_path", "") or "/", scope.get("scheme") == "https"
        answer.set_cookie(self._cookie, given, path=path, secure=is_secure, httponly=True, samesite="strict")
        return answer


def check_token(token: str) -> str:
    """Return a token that a browser can send.

    Raises:
        ValueError: it is none.
    """
    if not is_a(token, str) or len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()):
        text = f"a token is a text of {SHORTEST_TOKEN} or more printable characters of ASCII"
        raise ValueError(f"{text}; leave it out for a new one")
    return token


def new_token() -> str:
    """Return a token that no other has."""
    return secrets.token_urlsafe(32)


def _is_own(origin: str, host: str) -> bool:
    """Return True if a page of this host sends the request; behind a proxy its scheme may be another one."""
    try:
        parts: Any = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
