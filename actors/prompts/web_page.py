"""Text of a web address, bounded in size. A public address cannot redirect to a private one."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Any, Final

import httpx2

from protocols.errors import ConfigError
from protocols.plain_text import text_encoding

_MOST_REDIRECTS: Final = 5
_TEXT: Final = re.compile(r"text/.*|application/(.*\+)?(json|xml|yaml|x-yaml|toml|javascript|x-ndjson)", re.IGNORECASE)
_HEADERS: Final[Mapping[str, str]] = {"Accept-Encoding": "identity", "User-Agent": "understage"}
_UNICAST: Final = ipaddress.ip_network("2000::/3")
"""All other IPv6 addresses are for special uses, or lead to any IPv4 address (NAT64, IPv4-compatible)."""
# The standard library treats these as public. 2001::/23 (Teredo) and 2002::/16 (6to4) lead to any IPv4 address.
_NOT_PUBLIC: Final = tuple(
    map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20"))
)


def check_address(url: str) -> None:
    """Check that a text is a web address.

    Raises:
        ConfigError: the text does not begin with http:// or https://, or names no host.
    """
    try:
        address = httpx2.URL(url)
        is_web = address.scheme in ("http", "https") and re.fullmatch(r"[^\s%]+", address.host) is not None
    except httpx2.InvalidURL:
        is_web = False
    if not is_web:
        raise ConfigError(f"{shown(url)!r} is no web address; it must begin with http:// or https:// and name a host")


def shown(url: str) -> str:
    """Return an address without the parts that may hold secrets: user, password and query."""
    return re.sub(r"//[^/?#]*@", "//", url).partition("?")[0]


async def fetch_text(url: str, *, most_bytes: int) -> str:
    """Return the text of a web address.

    The caller limits the time: only a cancellation ends a wait here. The given address may be private. An address that
    it redirects to must have the same host and port, or be public. The connection uses the network address that was
    checked.

    Raises:
        ConfigError: the address cannot be reached, answers with an error or with something that is not text, is too
            long, or redirects to an address that is not public.
    """
    check_address(url)
    try:
        return await _follow(url, most_bytes)
    except httpx2.TransportError as error:
        raise ConfigError(f"{shown(url)!r} cannot be read: {str(error) or type(error).__name__}") from error


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
    raise ConfigError(f"{shown(url)!r} redirects more than {_MOST_REDIRECTS} times")


def _request(client: httpx2.AsyncClient, address: httpx2.URL, pin: str | None) -> httpx2.Request:
    if pin is None:
        return client.build_request("GET", address)
    host = address.netloc.decode("ascii")
    return client.build_request(
        "GET", address.copy_with(host=pin), headers={"Host": host}, extensions={"sni_hostname": address.host}
    )


async def _next(address: httpx2.URL, location: str) -> tuple[httpx2.URL, str | None]:
    """Return the target of a redirect, and the network address to connect to if the host is another one."""
    try:
        target = address.join(location)
    except httpx2.InvalidURL:
        target = httpx2.URL("")
    check_address(str(target))
    if (target.scheme, target.netloc) == (address.scheme, address.netloc):
        return target, None
    if address.scheme == "https" and target.scheme == "http":
        raise ConfigError(f"{shown(str(address))!r} redirects from https to http ({shown(str(target))!r})")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(f"{shown(str(address))!r} redirects to {target.host!r}, which is unknown: {error}") from error
    places = [str(entry[4][0]) for entry in found]
    if not places or not all(is_public(place) for place in places):
        message = f"{shown(str(address))!r} redirects to {target.host!r}, which is not public; name that address itself"
        raise ConfigError(message)
    return target.copy_with(username=None, password=None), places[0]


def is_public(place: str) -> bool:
    """Return True if a network address is public."""
    address: Any = ipaddress.ip_address(place.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_multicast or not address.is_global:
        return False
    if address.version == _UNICAST.version and address not in _UNICAST:
        return False
    return not any(address in network for network in _NOT_PUBLIC if network.version == address.version)


async def _text(answer: httpx2.Response, url: str, most_bytes: int) -> str:
    kind = answer.headers.get("content-type", "text/plain").partition(";")[0].strip()
    if answer.is_error:
        message = f"{url!r} answers {answer.status_code} {answer.reason_phrase}"
    elif answer.headers.get("content-encoding", "identity") != "identity":
        message = f"{url!r} answers in a compressed form, which was not asked for"
    elif not _TEXT.fullmatch(kind):
        message = f"{url!r} is {kind}, not text"
    else:
        data = b""
        async for part in answer.aiter_raw():
            data += part
            if len(data) > most_bytes:
                break
        else:
            encoding = text_encoding(answer.charset_encoding or "utf-8") or "utf-8"
            return data.decode(encoding, "replace").removeprefix("\ufeff")
        message = f"{url!r} has more than {most_bytes} bytes; raise max_bytes"
    raise ConfigError(message)
