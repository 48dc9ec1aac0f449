"""What a cluster has promised, checked against what its hosts did."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from protocols.cluster import shard_of
from protocols.errors import HostLostError, NodeStoppedError, RunCancelledError, RunTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.storage.cluster_memory import MemoryDatabase
    from protocols.cluster import Lease
    from protocols.journal import Acknowledgement

SLACK = 1.0
"""Seconds that a takeover may take after the ttl."""

ENDS = (ValueError, HostLostError, RunTimeoutError, NodeStoppedError, RunCancelledError)
"""What a run in memory may end with: its own failure, or that of a host."""

_LEASE = "SELECT owner, until FROM shard LEFT JOIN host ON host.id = owner WHERE no = ?"


class Begin(NamedTuple):
    """A handler that began."""

    time: float
    host: str
    node: str
    text: str
    run_id: str
    attempt: int


class Outage(NamedTuple):
    """A host that stopped without a word, and the shards that it had then."""

    time: float
    host: str
    shards: tuple[int, ...]


class ErrorLog(logging.Handler):
    """Collects what is logged as an error."""

    def __init__(self, broken: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.broken = broken

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        self.broken.append(f"log: {self.format(record)}")


class Ledger:
    """Collects what happens, and tells which laws it breaks.

    Args:
        database: what the hosts share.
        shards: number of shards.
        ttl: seconds for which a lease is good.
        most: the nodes, and how many messages each of them handles at the same time.
    """

    def __init__(self, database: MemoryDatabase, *, shards: int, ttl: float, most: dict[str, int]) -> None:
        self.database = database
        self.shards, self.ttl, self.most = shards, ttl, most
        self.spread = ""
        """The node that lives at all hosts: its order is not promised, and all of them repeat some of its runs."""
        self.begins: list[Begin] = []
        self.finished: set[str] = set()
        """Run ids of handlers that came to an end."""
        self.accepted: dict[str, str] = {}
        """Text of each run that was told to be kept, by its id."""
        self.given_up: set[str] = set()
        """Texts whose callers may have ended their runs."""
        self.live: Counter[str] = Counter()
        """How often each run in memory began."""
        self.answers: list[tuple[str, object]] = []
        """Texts of asks that ended, and their answers or errors."""
        self.changes: list[float] = []
        """When hosts died, froze, thawed, joined or left."""
        self.outages: list[Outage] = []
        self.tenures: defaultdict[int, list[tuple[float, str]]] = defaultdict(list)
        """When deliveries of a shard began, and at which host."""
        self.rested = float("inf")
        """Wall time at which all had come to rest; later there are but times of a schedule, until all hosts end."""
        self.takeovers: list[float] = []
        """Seconds from an outage until the deliveries began elsewhere."""
        self.places = 0
        """The last place that was given out of order; see `mutations.no_order`."""
        self.broken: list[str] = []

    def select(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self.database.connection.execute(sql, values).fetchall()

    # -- as it happens

    def began(self, one: Begin, *, shard: int, has_just_thawed: bool) -> None:
        """Note a handler that begins: its host has the lease, or froze between its look at it and this moment."""
        self.begins.append(one)
        if one.node == self.spread:
            ((mailbox,),) = self.select("SELECT mailbox FROM message WHERE id = ?", bytes.fromhex(one.run_id))
            shard = shard_of(mailbox, self.shards)
        self._fenced(one, one.host, shard, has_just_thawed=has_just_thawed)

    def began_live(self, text: str, host: str, *, shard: int, has_just_thawed: bool) -> None:
        """Do the same for a run in memory."""
        self.live[text] += 1
        self._fenced(text, host, shard, has_just_thawed=has_just_thawed)

    def _fenced(self, one: object, host: str, shard: int, *, has_just_thawed: bool) -> None:
        ((owner, until),) = self.select(_LEASE, shard)
        if not has_just_thawed and (owner != host or until < self.database.now()):
            self.broken.append(f"L3: {one} begins while {owner} has the lease until {until}")

    def settled(self, one: Acknowledgement, lease: Lease, *, is_good: bool, host: str) -> None:
        """Note an end of a message that is about to be committed."""
        if not is_good:
            self.broken.append(f"L3: {host} ends {one.id.hex()} under epoch {lease.epoch} of shard {lease.shard}")

    def back(self, host: str, now: float) -> None:
        """Note that a host thaws. If that is soon, its shards need not have been taken over."""
        self.changes.append(now)
        self.outages = [one for one in self.outages if one.host != host or now > one.time + self.ttl + SLACK]

    # -- at rest

    def check(self) -> list[str]:
        """Return which laws were broken."""
        return [*self.broken, *self._lost(), *self._disordered(), *self._repeated(), *self._answered(), *self._late()]

    def _lost(self) -> Iterator[str]:
        rows = self.select("SELECT id, mailbox, outcome, sender, accepted FROM message")
        outcomes = {id.hex(): outcome for id, _, outcome, _, _ in rows}
        for id, mailbox, outcome, _, accepted in rows:
            if outcome is None and accepted < self.rested:
                yield f"L1: {id.hex()} waits for {mailbox} for ever"
            if outcome == "handled" and id.hex() not in self.finished:
                yield f"L1: {id.hex()} of {mailbox} counts as handled, and was not"
        for id, text in self.accepted.items():
            if outcomes.get(id) != (due := "failed" if text.endswith("!") else "handled"):
                yield f"L1: {text} ({id}) was accepted, and its outcome is {outcomes.get(id)} in place of {due}"
        passing = {id.hex() for id, mailbox, outcome, _, _ in rows if mailbox == "pool/a" and outcome == "handled"}
        passed = {sender for _, mailbox, _, sender, _ in rows if mailbox == "pool/d" and sender}
        if passing != passed:
            yield f"L1: answers of a that were not passed on, or passed on from no answer: {passing ^ passed}"

    def _disordered(self) -> Iterator[str]:
        last: dict[tuple[str, str], tuple[int, Begin]] = {}
        seen: set[str] = set()
        for one in self.begins:
            if one.run_id in seen or "-" not in one.text:
                continue
            seen.add(one.run_id)
            sender, _, number = one.text.rstrip("!").partition("-")
            key, at = (sender, one.node), int(number)
            if one.node not in ("d", self.spread) and key in last and last[key][0] > at:
                yield f"L2: {one} begins after {last[key][1]}"
            last[key] = at, one

    def _repeated(self) -> Iterator[str]:
        times, firsts = Counter[str](), Counter[str]()
        for one in self.begins:
            times[one.run_id] += 1
            firsts[one.run_id] += one.attempt == 0
            if firsts[one.run_id] > 1:
                yield f"L4: {one} is a repetition, and is not marked"
        repeated = Counter[str]()
        for one in {one.run_id: one for one in self.begins}.values():
            repeated[one.node] += times[one.run_id] - 1
        for node, number in repeated.items() - {(self.spread, repeated[self.spread])}:
            shard = shard_of(f"pool/{node}", self.shards)
            ((epoch,),) = self.select("SELECT epoch FROM shard WHERE no = ?", shard)
            if number > self.most[node] * (epoch - 1):
                yield f"L4: {number} repetitions at {node} in {epoch} tenures"

    def _answered(self) -> Iterator[str]:
        yield from (f"L7: {text} in memory began {times} times" for text, times in self.live.items() if times > 1)
        for text, answer in self.answers:
            if isinstance(answer, str) and answer != text:
                yield f"L5: {text} was answered with {answer!r}"
            if ".live-" in text and isinstance(answer, str) and not self.live[text]:
                yield f"L7: {text} was answered, and never began"
            if ".live-" in text and not isinstance(answer, (str, *ENDS)):
                yield f"L7: {text} ended with {answer!r}"

    def _late(self) -> Iterator[str]:
        for outage in self.outages:
            for shard in outage.shards:
                end = outage.time + self.ttl + SLACK
                starts = [at for at, host in self.tenures[shard] if at > outage.time and host != outage.host]
                first = min(starts, default=float("inf"))
                if any(outage.time < at < min(first, end) for at in self.changes):
                    continue  # by another host that had an outage as well
                self.takeovers.append(first - outage.time)
                if first > end:
                    yield f"L6: shard {shard} of {outage.host} was taken over {first - outage.time:.2f} s after its end"
