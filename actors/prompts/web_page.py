"""Text of a web address: bounded in size and time, and never that of a private place which a public one points to."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Any, Final

import httpx2

from protocols.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_REDIRECTS: Final = 5
_TEXT: Final = re.compile(r"text/.*|application/(.*\+)?(json|xml|yaml|x-yaml|toml|javascript|x-ndjson)", re.IGNORECASE)
_HEADERS: Final[Mapping[str, str]] = {"Accept-Encoding": "identity", "User-Agent": "understudy"}
# Python 3.11 and 3.12 take these for public; the second one leads to any IPv4 address.
_NOT_PUBLIC: Final = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("64:ff9b::/96"))


def check_address(url: str) -> None:
    """Refuse what is no web address.

    Raises:
        ConfigError: it does not begin with http:// or https://, or names no host.
    """
    try:
        address = httpx2.URL(url)
        is_web = address.scheme in ("http", "https") and bool(address.host)
    except httpx2.InvalidURL:
        is_web = False
    if not is_web:
        msg = f"{shown(url)!r} is no web address; it must begin with http:// or https:// and name a host"
        raise ConfigError(msg)


def shown(url: str) -> str:
    """Return an address without the parts that may hold secrets: user, password and query."""
    return re.sub(r"//[^/?#]*@", "//", url).partition("?")[0]


async def fetch_text(url: str, *, most_bytes: int) -> str:
    """Return the text of a web address.

    Nothing but a cancellation ends a wait here: the caller sets the limit. The address itself may be anywhere. One that
    it redirects to must be on the same host and port, or public: what is connected to is what was checked.

    Raises:
        ConfigError: it cannot be reached, answers with an error or with something else than text, is too long, or
            redirects to a place that is not public.
    """
    check_address(url)
    try:
        return await _follow(url, most_bytes)
    except httpx2.TransportError as error:
        msg = f"{shown(url)!r} cannot be read: {str(error) or type(error).__name__}"
        raise ConfigError(msg) from error


async def _follow(url: str, most_bytes: int) -> str:
    async with httpx2.AsyncClient(headers=_HEADERS, timeout=None) as client:
        address, pin = httpx2.URL(url), None
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await client.send(_request(client, address, pin), stream=True)
            try:
                if not answer.has_redirect_location:
                    return await _text(answer, shown(str(address)), most_bytes)
                address, pin = await _next(address, answer.headers["location"])
            finally:
                await answer.aclose()
    msg = f"{shown(url)!r} redirects more than {_MOST_REDIRECTS} times"
    raise ConfigError(msg)


def _request(client: httpx2.AsyncClient, address: httpx2.URL, pin: str | None) -> httpx2.Request:
    if pin is None:
        return client.build_request("GET", address)
    host = address.netloc.decode("ascii")
    return client.build_request(
        "GET", address.copy_with(host=pin), headers={"Host": host}, extensions={"sni_hostname": address.host}
    )


async def _next(address: httpx2.URL, location: str) -> tuple[httpx2.URL, str | None]:
    """Return where a redirect leads, and the network address to connect to when it is another host."""
    try:
        target = address.join(location)
    except httpx2.InvalidURL:
        target = httpx2.URL("")
    check_address(str(target))
    if (target.scheme, target.netloc) == (address.scheme, address.netloc):
        return target, None
    if address.scheme == "https" and target.scheme == "http":
        msg = f"{shown(str(address))!r} redirects from https to http ({shown(str(target))!r})"
        raise ConfigError(msg)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        msg = f"{shown(str(address))!r} redirects to {target.host!r}, which is unknown: {error}"
        raise ConfigError(msg) from error
    places = [str(entry[4][0]) for entry in found]
    if not places or not all(is_public(place) for place in places):
        msg = f"{shown(str(address))!r} redirects to {target.host!r}, which is not public; name that address itself"
        raise ConfigError(msg)
    return target.copy_with(username=None, password=None), places[0]


def is_public(place: str) -> bool:
    """Whether a network address is one that everybody can reach."""
    address: Any = ipaddress.ip_address(place.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_multicast or not address.is_global:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


async def _text(answer: httpx2.Response, url: str, most_bytes: int) -> str:
    kind = answer.headers.get("content-type", "text/plain").partition(";")[0].strip()
    if answer.is_error:
        msg = f"{url!r} answers {answer.status_code} {answer.reason_phrase}"
    elif answer.headers.get("content-encoding", "identity") != "identity":
        msg = f"{url!r} answers in a compressed form, which was not asked for"
    elif not _TEXT.fullmatch(kind):
        msg = f"{url!r} is {kind}, not text"
    else:
        data = b""
        async for part in answer.aiter_raw():
            data += part
            if len(data) > most_bytes:
                break
        else:
            return _decoded(data, answer.charset_encoding)
        msg = f"{url!r} has more than {most_bytes} bytes; raise max_bytes"
    raise ConfigError(msg)


def _decoded(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8", "replace")
    except LookupError:  # no such encoding
        return data.decode("utf-8", "replace")
