"""The store of a simulated host: a network lies between it and the database, which delays, and loses answers.

What has been sent reaches the database even if the sender dies or freezes meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from actors.storage.cluster_memory import MemoryClusterStore, MemoryDatabase, MemoryTransport
from protocols.journal import JournalError
from tests.cluster.simulated_loop import SimulatedClock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from random import Random

    from actors.storage.cluster_tables import ClusterTables
    from actors.storage.journal_sql import WaitingCall
    from actors.storage.journal_tables import JournalTables
    from protocols.cluster import Lease, Notice
    from protocols.journal import Acknowledgement, Commit
    from tests.cluster.laws import Ledger
    from tests.cluster.simulated_loop import SimulatedLoop, SimulatedProcess

T = TypeVar("T")


class Network:
    """What lies between hosts and the database.

    Args:
        loop: the loop of the simulation.
        random: decides.
        loss: share of requests, and of answers, that are lost.
        longest: most seconds of a delay; most of them take less than 10 ms.
    """

    notices = 0.2
    """Share of notices that are lost."""
    packets = 0.1
    """Share of packets between hosts that are lost."""

    def __init__(self, loop: SimulatedLoop, random: Random, *, loss: float, longest: float) -> None:
        self.loop = loop
        self.random = random.random
        self.loss, self.longest = loss, longest
        self.is_away = False
        """True while the database is away: what is sent to it is lost, and so is what hosts say to each other by it."""

    def calm(self) -> None:
        """Delay nothing from now on, and lose nothing but notices."""
        self.loss, self.longest, self.is_away = 0.0, 0.001, False

    def loses(self) -> bool:
        """Return True for a request, or an answer, that is lost."""
        return self.random() < self.loss or self.is_away

    def send(self, arrive: Callable[..., object], *args: Any) -> None:
        """Call a function as no host, later: mostly a little, sometimes by up to 300 ms."""
        how = self.random()
        before, self.loop.process = self.loop.process, None
        if how > 0.3:
            self.loop.call_soon(arrive, *args)
        else:
            self.loop.call_later((self.longest if how < 0.03 else 0.01) * self.random(), arrive, *args)
        self.loop.process = before


class SimulatedStore(MemoryClusterStore):
    """The journal of one host, over a network."""

    def __init__(self, database: MemoryDatabase, process: SimulatedProcess, network: Network, ledger: Ledger) -> None:
        super().__init__(database, shards=ledger.shards)
        self.host = process.name
        self.process, self.network, self.ledger = process, network, ledger
        self.transport = SimulatedTransport(self.host, database.hosts, network)
        self._sent: list[WaitingCall] = []

    async def read(self, query: Callable[[JournalTables], T]) -> T:
        return await self._ask(lambda: query(self.opened()))

    async def control(self, name: str, change: Callable[[ClusterTables], T], limit: float) -> T:
        if self.process.is_cut_off:
            await SimulatedClock(self.network.loop).sleep(limit)
            raise self._lost()

        def make() -> T:
            tables = self.cluster_tables()
            return self._change(tables, lambda: change(tables))

        return await self._ask(make)

    async def _ask(self, do: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = self.network.loop.create_future()
        self.network.send(self._do_there, do, answer)
        return await answer

    def _do_there(self, do: Callable[[], Any], answer: asyncio.Future[Any]) -> None:
        network = self.network
        is_lost = network.loses()
        try:
            found = None if is_lost else do()
        except JournalError as error:
            found = error
        if is_lost or network.loses():
            found = self._lost()
        network.send(self.process.call, _answer, answer, found)

    def _submit(self, batch: list[WaitingCall]) -> None:
        self._sent = batch
        self.network.send(self._write_there, batch)

    def _write_there(self, batch: list[WaitingCall]) -> None:
        network = self.network
        results: list[Any] = [] if network.loses() else self._commit(batch)
        network.send(self.process.call, self._committed, batch, results)  # an answer that was lost is looked up

    def receive(self, notice: Notice) -> None:
        if self.network.random() >= self.network.notices:
            self.network.send(self.process.call, self.tell, notice)

    def bury(self) -> None:
        """Tell the tasks of a dead host that nothing of what they wait for was written."""
        for one in (*self._sent, *self._queue):
            if not one.future.done():
                one.future.finish(self._lost())
        self._queue.clear()

    def _lost(self) -> JournalError:
        return JournalError("the connection broke", location=self.location)

    def write_leased(self, lease: Lease, change: str, *args: Any) -> Commit[Any]:
        """Make a change, and note who had the shard then."""
        write = super().write_leased(lease, change, *args)
        if change == "settle":
            self.wrap(lambda settle: self._noted(settle, args[0], lease))
        return write

    def wrap(self, wrapped: Callable[[Any], Callable[[], Any]]) -> None:
        """Replace the change that waits last."""
        waiting: Any = self._queue[-1]
        self._queue[-1] = replace(waiting, operation=WrappedCall(waiting.operation, wrapped(waiting.operation)))

    def _noted(self, settle: Callable[[], Any], one: Acknowledgement, lease: Lease) -> Callable[[], Any]:
        def settle_and_note() -> Any:
            result = settle()
            if not isinstance(result, JournalError):
                ((owner, epoch),) = self.ledger.select("SELECT owner, epoch FROM shard WHERE no = ?", lease.shard)
                self.ledger.settled(one, lease, is_good=(owner, epoch) == (self.host, lease.epoch), host=self.host)
            return result

        return settle_and_note


class SimulatedTransport(MemoryTransport):
    """Carries packets between simulated hosts."""

    def __init__(self, me: str, hosts: dict[str, Any], network: Network) -> None:
        super().__init__(me, hosts)
        self._network = network

    def send(self, host: str, packet: bytes) -> None:
        if self._network.random() >= self._network.packets and not self._network.is_away:
            self._network.send(self._arrive, host, packet)

    def _arrive(self, host: str, packet: bytes) -> None:
        store: Any = self._hosts.get(host)
        if store is not None:
            store.process.call(store.transport.arrived, self._me, packet)


class WrappedCall:
    """A change with more around it, in the shards of the change."""

    def __init__(self, inner: Any, call: Callable[[], Any]) -> None:
        self.shards = inner.shards
        self.call = call

    def __call__(self) -> Any:
        return self.call()


def _answer(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return
    if isinstance(result, JournalError):
        future.set_exception(result)
    else:
        future.set_result(result)
