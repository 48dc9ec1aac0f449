"""Ways to break a cluster on purpose: each takes away what keeps one of its laws."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from actors.app.trigger_service import TriggerService
from actors.cluster.lease import LeaseKeeper
from actors.cluster.live_run import LiveRuns
from actors.durable import kept_queue
from actors.storage.cluster_tables import ClusterTables
from protocols.cluster import Notice
from tests.cluster.simulated_store import Network, SimulatedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from protocols.cluster import Lease
    from protocols.journal import Commit, Entry


def no_fence() -> AbstractContextManager[Any]:
    """Let a host end messages under an epoch that is over."""
    return mock.patch.object(ClusterTables, "holds", return_value=True)


def no_self_fence() -> AbstractContextManager[Any]:
    """Let a host begin handlers by a lease whose time is over."""

    def is_good(keeper: LeaseKeeper, lease: Lease) -> bool:
        return keeper.leases.get(lease.shard) == lease

    return mock.patch.object(LeaseKeeper, "is_good", is_good)


def no_marks() -> AbstractContextManager[Any]:
    """Take what an earlier tenure has left open for new."""
    return mock.patch.object(kept_queue, "_suspect", return_value=None)


def no_notices() -> AbstractContextManager[Any]:
    """Lose all notices. The looks of the hosts have to be enough: this breaks no law."""
    return mock.patch.object(Network, "notices", 1.0)


@contextmanager
def no_notices_and_no_looks() -> Generator[None]:
    """Lose all notices, and have hosts not look for what they missed."""

    async def look(*_: object) -> Notice:
        return Notice()

    with no_notices(), mock.patch.object(SimulatedStore, "look", look):
        yield


def no_order() -> AbstractContextManager[Any]:
    """Give a message its place when it is sent, before other hosts that may commit earlier."""
    accept = SimulatedStore.accept

    def accept_in_any_order(store: SimulatedStore, entries: Sequence[Entry]) -> Commit[list[int | None]]:
        write = accept(store, entries)
        store.ledger.places += 1_000
        place = store.ledger.places

        def placed(inner: Callable[[], list[int | None]]) -> Callable[[], list[int | None]]:
            def change() -> list[int | None]:
                places = inner()
                for seq in places:
                    store.ledger.select("UPDATE message SET seq = ? WHERE seq = ?", place, seq)
                return [None if seq is None else place for seq in places]

            return change

        store.wrap(placed)
        return write

    return mock.patch.object(SimulatedStore, "accept", accept_in_any_order)


def asked_again() -> AbstractContextManager[Any]:
    """Ask another host for what a lost one had in memory, as if that had not begun it."""

    def lost(runs: LiveRuns, host: str) -> None:
        for run in tuple(vars(runs)["_open"].values()):
            if run.host.id == host:
                run.end(None)

    return mock.patch.object(LiveRuns, "lost", lost)


def no_drain() -> AbstractContextManager[Any]:
    """Have a host that was drained keep its shards."""
    return mock.patch.object(ClusterTables, "drain", return_value=True)


def no_look_back() -> AbstractContextManager[Any]:
    """Begin a schedule anew at each host, whatever the one before has missed."""

    async def look_back(_: object, now: float, __: object) -> float:
        return now

    return mock.patch.object(TriggerService, "look_back", look_back)
