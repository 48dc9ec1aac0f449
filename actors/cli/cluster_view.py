"""The hosts of a cluster on the command line: who lives, who has what, and who is to give its shards back."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from actors.cli.exit_code import fail
from actors.cli.journal_view import Answer, Document
from actors.cli.output import table
from actors.cli.redaction import one_line
from actors.config.manifest import Manifest
from protocols.cluster import ClusterStore, HostRecord

HEAD = ("host", "id", "state", "shards", "nodes", "open", "last sign", "version")
SHORT = 8
"""Characters of an id in a table."""


class ClusterView:
    """What commands ask the hosts of a cluster, without being one of them.

    Args:
        manifest: the manifest of the cluster.
        store: what the hosts share.
        pause: waits between two looks at a host that gives its shards back.
    """

    def __init__(self, manifest: Manifest, store: ClusterStore, pause: Callable[..., Any] = asyncio.sleep) -> None:
        self._store = store
        self._pool = f"{manifest.name or 'pool'}/"
        self._pause = pause

    async def hosts(self) -> tuple[list[Document], str]:
        """Return the hosts that live, or died within the last hour, with what each has now."""
        hosts, counts = await self._store.hosts(), await self._store.counts()
        open, unknown = Counter[int](), list[str]()
        living = {shard: one for one in hosts if one.left > 0 for shard in one.shards}
        for mailbox, count in counts.items():
            shard = self._store.shard(mailbox)
            open[shard] += count
            if shard in living and mailbox.partition("#")[0] not in living[shard].nodes:
                unknown.append(f"{count:,} for {mailbox.removeprefix(self._pool)!r} at {living[shard].name}")
        rows = [self._document(one, open) for one in hosts]
        text = table(HEAD, [_cells(row) for row in rows]) if rows else "no host lives or died within the last hour"
        if waiting := sum(count for shard, count in open.items() if shard not in living):
            text += f"\n{waiting:,} open messages are of shards that no living host has"
        if unknown:
            text += f"\nmessages wait for nodes that their host does not know or has given up: {', '.join(unknown)}"
        for row in rows:
            for name, why in row["gone"].items() if row["state"] != "dead" else ():
                text += f"\n{one_line(name)!r} is given up at {one_line(row['name'])}: {one_line(why)}"
        if len(versions := {one.version for one in hosts if one.left > 0}) > 1:
            text += f"\nthe hosts have {len(versions)} versions of the manifest"
        return rows, text

    def _document(self, one: HostRecord, open: Counter[int]) -> Document:
        nodes = [name.removeprefix(self._pool) for name in one.nodes if self._store.shard(name) in one.shards]
        said = msgspec.json.decode(one.snapshot or b"{}", type=Document)
        gone = {node["name"]: node.get("reason", "") for node in said.pop("nodes", ()) if node["state"] == "gone"}
        return {
            "name": one.name, "id": one.id, "state": _state(one), "shards": len(one.shards), "nodes": sorted(nodes),
            "open": sum(open[shard] for shard in one.shards), "last_sign": round(max(0.0, one.ttl - one.left), 1),
            "version": one.version, "gone": gone, **said,
        }  # fmt: skip

    async def drain(self, wanted: str, *, waits: bool) -> Answer:
        """Ask a host to give its shards back, and wait until it has none if `waits`."""
        hosts = await self._store.hosts()
        host = _chosen(wanted, hosts)
        await self._empty([host], waits=waits)
        text = f"{host.name} {'has no shards any more' if waits else 'gives its shards back as its nodes come to rest'}"
        if not any(_state(one) == "alive" for one in hosts if one.id != host.id):
            text += "; no other host takes them, so its durable nodes wait until one is started"
        return {"draining": host.id, "name": host.name}, text

    async def drain_all(self, *, waits: bool) -> Answer:
        """Ask all hosts to give their shards back, and wait until they have none if `waits`. Those of Ray end then."""
        hosts = [one for one in await self._store.hosts() if _state(one) in ("alive", "draining")]
        await self._empty(hosts, waits=waits)
        text = f"{len(hosts)} hosts {'have no shards any more' if waits else 'give their shards back'}"
        wait = "; the durable nodes wait until a host is started"
        return {"draining": [one.id for one in hosts]}, text + wait

    async def _empty(self, hosts: list[HostRecord], *, waits: bool) -> None:
        asked = {one.id for one in hosts}
        for id in asked:
            await self._store.drain(id)
        while waits and any(_is_full(one) for one in await self._store.hosts() if one.id in asked):
            await self._pause(0.5)


def _state(one: HostRecord) -> str:
    known = ((one.left <= 0, "dead"), (one.is_caller, "caller"), (one.is_draining, "draining"))
    return next((state for is_so, state in known if is_so), "alive")


def _is_full(one: HostRecord) -> bool:
    """Return True while a host that drains has shards, or while one that ends afterwards lives."""
    return one.left > 0 and bool(one.shards or one.actor)


def _cells(row: Document) -> list[str]:
    numbers = (f"{number:,}" for number in (row["shards"], len(row["nodes"]), row["open"]))
    return [one_line(row["name"]), row["id"][:SHORT], row["state"], *numbers, f"{row['last_sign']:,} s", row["version"]]


def _chosen(wanted: str, hosts: list[HostRecord]) -> HostRecord:
    """Return the one host of a name, or whose id begins so."""
    named = [one for one in hosts if one.name == wanted]
    found = named or [one for one in hosts if wanted and one.id.startswith(wanted.lower())]
    living = [one for one in found if one.left > 0]
    which = ", ".join(f"{one.id[:SHORT]} ({one.name})" for one in living or found)
    if len(living) > 1:
        fail(f"{len(living)} hosts fit to {wanted!r}: {which}; write more of the id")
    if not living:
        dead = f"host {which} is dead, and its shards are taken over"
        fail(dead if found else f"no host has the name {wanted!r} or an id that begins so; see 'understage hosts'")
    return living[0]
