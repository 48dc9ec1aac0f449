"""Which names in the Host header are answered, so that no foreign name that points at this machine is."""

from collections.abc import Iterable
from ipaddress import ip_address

from protocols.checks import is_a


def known_hosts(hosts: Iterable[str] = ()) -> frozenset[str]:
    """Return the names that are answered: ``localhost``, and these.

    Raises:
        ValueError: one is more than a name.
    """
    hosts = [hosts] if isinstance(hosts, str) else list(hosts)
    for host in hosts:
        if not is_a(host, str) or not host or not host.isprintable() or set(host) & set(":/ *"):
            raise ValueError(f"host {host!r} is never answered; give a name alone, such as 'ops.example.org'")
    return frozenset({"localhost", *(host.lower() for host in hosts)})


def is_known_host(header: str, known: frozenset[str]) -> bool:
    """Return True if a Host header is a known name, or an address."""
    host = header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]
    if host.lower() in known:
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
