"""The writer: never in the way of a run, and nothing lost that the buffer can hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.storage import HistoryWriter, MemoryHistoryStore
from actors.storage import message_buffer as buffer_module
from protocols.history import HistoryQuery
from protocols.stores import StorageError, StoreRejectedError, StoreUnavailableError
from tests.storage.messages import ids, message
from tests.storage.timers import StandingClock, rest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from protocols.history import StoredMessage


class TroubledStore(MemoryHistoryStore):
    """A memory store whose appends fail or wait as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.failure: Exception | None = None
        self.refused: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_forgetful = False
        """Fail after the messages have been kept, as a connection lost during commit does."""

    async def append(self, batch: Sequence[StoredMessage]) -> None:
        self.batches.append(len(batch))
        await self.gate.wait()
        if self.failure is not None and not self.is_forgetful:
            raise self.failure
        if refused := self.refused & set(ids(batch)):
            msg = f"no {refused}"
            raise StoreRejectedError(msg)
        await super().append(batch)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
async def store() -> AsyncGenerator[TroubledStore]:
    async with TroubledStore() as store:
        yield store


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


async def stored(store: MemoryHistoryStore) -> list[str]:
    return ids(await store.query(HistoryQuery(newest_first=False, limit=10_000)))


def assert_balanced(writer: HistoryWriter) -> None:
    s = writer.statistics()
    assert s.accepted == s.stored + s.dropped + s.rejected + s.waiting


async def test_messages_are_written_together_after_lingering(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, linger=0.05, clock=clock) as writer:
        for n in range(3):
            assert writer.offer(message(n))
        await rest()
        assert store.batches == []
        await clock.advance(0.05)
        assert store.batches == [3]
        assert await stored(store) == ["m0", "m1", "m2"]


async def test_full_batch_is_written_without_lingering(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, batch=2, clock=clock) as writer:
        writer.offer(message(0))
        await rest()
        writer.offer(message(1))
        writer.offer(message(2))
        await rest()
        assert store.batches == [2]
        await clock.advance(0.05)
        assert store.batches == [2, 1]


async def test_large_messages_make_small_batches(store: TroubledStore, clock: StandingClock) -> None:
    half = buffer_module.MAX_BATCH_BYTES // 2
    async with HistoryWriter(store, clock=clock) as writer:
        for n in range(3):
            writer.offer(message(n, content="", payload=bytes(half)))
        await rest()
        assert store.batches == [2]
        await writer.flush()
        assert store.batches == [2, 1]


async def test_offer_before_open_is_kept(store: TroubledStore) -> None:
    writer = HistoryWriter(store)
    writer.offer(message(0))
    async with writer:
        await writer.flush()
        assert await stored(store) == ["m0"]


async def test_flush_does_not_linger_and_waits_for_what_was_offered(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, clock=clock) as writer:
        writer.offer(message(0))
        await writer.flush()
        assert await stored(store) == ["m0"]
        await writer.flush()
        assert store.batches == [1]


async def test_flush_does_not_wait_for_what_is_offered_later(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, batch=1, clock=clock) as writer:
        store.gate.clear()
        writer.offer(message(0))
        flush = asyncio.create_task(writer.flush())
        await rest()
        writer.offer(message(1))
        store.refused = set()
        store.gate.set()
        await flush
        assert "m0" in await stored(store)


async def test_flush_of_a_writer_that_is_not_open_fails_instead_of_waiting_for_ever(store: TroubledStore) -> None:
    writer = HistoryWriter(store)
    await writer.flush()
    writer.offer(message(0))
    with pytest.raises(StorageError, match="writer is not open"):
        await writer.flush()


async def test_cancelled_flush_leaves_nothing_behind(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, clock=clock) as writer:
        store.gate.clear()
        writer.offer(message(0))
        flush = asyncio.create_task(writer.flush())
        await rest()
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)
        assert not writer._flushes  # pyright: ignore[reportPrivateUsage]
        store.gate.set()
        await writer.flush()


async def test_store_that_is_down_is_tried_again_with_growing_delay(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, batch=1, clock=clock) as writer:
        store.failure = StoreUnavailableError("down")
        writer.offer(message(0))
        await rest()
        delays: list[float] = []
        for _ in range(10):
            delays += clock.delays
            await clock.advance(clock.delays[0])
        assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
        statistics = writer.statistics()
        assert (statistics.failures, statistics.waiting, statistics.last_error) == (11, 1, "down")
        store.failure = None
        await clock.advance(30.0)
        statistics = writer.statistics()
        assert (statistics.stored, statistics.waiting, statistics.last_error) == (1, 0, None)
        store.failure = StoreUnavailableError("down again")
        writer.offer(message(1))
        await rest()
        assert clock.delays == [0.2]
        store.failure = None
        await writer.flush()


async def test_nothing_is_lost_while_the_store_is_down_and_order_is_kept(
    store: TroubledStore, clock: StandingClock
) -> None:
    async with HistoryWriter(store, batch=10, clock=clock) as writer:
        store.failure = ConnectionRefusedError("down")
        for n in range(95):
            writer.offer(message(n))
            await asyncio.sleep(0)
        await clock.advance(0.2)
        store.failure = None
        await writer.flush()
        assert await stored(store) == [f"m{n}" for n in range(95)]


async def test_attempt_with_unknown_outcome_is_repeated_without_duplicates(
    store: TroubledStore, clock: StandingClock
) -> None:
    async with HistoryWriter(store, clock=clock) as writer:
        store.failure, store.is_forgetful = StoreUnavailableError("connection lost during commit"), True
        writer.offer(message(0))
        await clock.advance(0)
        await clock.advance(0.05)
        assert writer.statistics().failures == 1
        store.failure = None
        await writer.flush()
        assert await stored(store) == ["m0"]
        assert writer.statistics().stored == 1


async def test_offers_do_not_shorten_the_delay_between_attempts(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, batch=1, clock=clock) as writer:
        store.failure = StoreUnavailableError("down")
        for n in range(20):
            writer.offer(message(n))
            await rest()
        assert store.batches == [1]
        store.failure = None
        await writer.flush()


async def test_full_buffer_drops_the_oldest_and_tells_of_each(store: TroubledStore, clock: StandingClock) -> None:
    dropped: list[tuple[str, str]] = []
    writer = HistoryWriter(store, capacity=3, clock=clock, on_dropped=lambda m, why: dropped.append((m.id, why)))
    for n in range(5):
        assert writer.offer(message(n))
    assert dropped == [("m0", "overflow"), ("m1", "overflow")]
    async with writer:
        await writer.flush()
    assert await stored(store) == ["m2", "m3", "m4"]
    assert writer.statistics().dropped == 2
    assert_balanced(writer)


async def test_buffer_is_bounded_during_an_outage(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, capacity=100, batch=10, clock=clock) as writer:
        store.failure = StoreUnavailableError("down")
        for n in range(1_000):
            writer.offer(message(n))
            await asyncio.sleep(0)
            assert writer.statistics().waiting <= 110
            assert_balanced(writer)
        store.failure = None
        await writer.flush()
        assert await stored(store) == [f"m{n}" for n in range(900, 1_000)]


async def test_buffer_is_bounded_in_bytes(store: TroubledStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer_module, "MAX_BYTES", 100)
    dropped: list[tuple[str, str]] = []
    writer = HistoryWriter(store, on_dropped=lambda m, why: dropped.append((m.id, why)))
    assert writer.offer(message(0, content="x" * 60))
    assert not writer.offer(message(1, content="x" * 101))
    assert writer.offer(message(2, content="x" * 60))
    assert dropped == [("m1", "too_large"), ("m0", "overflow")]
    assert (writer.statistics().accepted, writer.statistics().waiting) == (2, 1)


async def test_message_that_the_store_rejects_is_dropped_alone(store: TroubledStore, clock: StandingClock) -> None:
    dropped: list[tuple[str, str]] = []
    async with HistoryWriter(store, clock=clock, on_dropped=lambda m, why: dropped.append((m.id, why))) as writer:
        store.refused = {"m3", "m7"}
        for n in range(10):
            writer.offer(message(n))
        await writer.flush()
        assert await stored(store) == [f"m{n}" for n in range(10) if n not in {3, 7}]
        assert dropped == [("m3", "rejected"), ("m7", "rejected")]
        assert writer.statistics().rejected == 2
        assert_balanced(writer)


async def test_unexpected_error_of_a_store_does_not_block_history(store: TroubledStore, clock: StandingClock) -> None:
    async with HistoryWriter(store, clock=clock) as writer:
        store.failure = TypeError("a bug")
        writer.offer(message(0))
        await writer.flush()
        store.failure = None
        writer.offer(message(1))
        await writer.flush()
        assert await stored(store) == ["m1"]


async def test_error_in_the_drop_callback_reaches_nobody(store: TroubledStore) -> None:
    def fail(_message: StoredMessage, _reason: str) -> None:
        raise RuntimeError

    writer = HistoryWriter(store, capacity=1, on_dropped=fail)
    assert writer.offer(message(0))
    assert writer.offer(message(1))
    assert writer.statistics().dropped == 1


async def test_close_writes_what_waits(store: TroubledStore, clock: StandingClock) -> None:
    writer = HistoryWriter(store, clock=clock)
    await writer.open()
    writer.offer(message(0))
    assert await writer.close() == 0
    assert await stored(store) == ["m0"]
    assert await writer.close() == 0


async def test_close_tries_a_failing_store_at_once(store: TroubledStore, clock: StandingClock) -> None:
    writer = HistoryWriter(store, batch=1, clock=clock)
    await writer.open()
    store.failure = StoreUnavailableError("down")
    writer.offer(message(0))
    await rest()
    store.failure = None
    assert await writer.close() == 0
    assert await stored(store) == ["m0"]


@pytest.mark.parametrize("is_hanging", [False, True])
async def test_close_gives_up_after_its_time_and_tells_of_each_message(
    store: TroubledStore, clock: StandingClock, is_hanging: bool
) -> None:
    dropped: list[tuple[str, str]] = []
    writer = HistoryWriter(store, batch=2, clock=clock, on_dropped=lambda m, why: dropped.append((m.id, why)))
    await writer.open()
    store.failure = StoreUnavailableError("down")
    if is_hanging:
        store.gate.clear()
    for n in range(3):
        writer.offer(message(n))
    flush = asyncio.create_task(writer.flush())
    closing = asyncio.create_task(writer.close(timeout=1.0))
    await rest()
    assert not closing.done()
    await clock.advance(1.0)
    assert await closing == 3
    await flush  # its messages are settled: the statistics say how
    assert dropped == [("m0", "closed"), ("m1", "closed"), ("m2", "closed")]
    assert_balanced(writer)
    assert clock.delays == []


async def test_offer_after_close_is_refused_and_told(store: TroubledStore) -> None:
    dropped: list[tuple[str, str]] = []
    writer = HistoryWriter(store, on_dropped=lambda m, why: dropped.append((m.id, why)))
    await writer.close()
    assert not writer.offer(message(0))
    assert dropped == [("m0", "closed")]
    with pytest.raises(StorageError, match="writer is closed"):
        await writer.open()


@pytest.mark.parametrize("arguments", [{"capacity": 0}, {"batch": 0}, {"linger": -1.0}, {"linger": float("nan")}])
def test_senseless_limits_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="capacity and batch must be 1 or more"):
        HistoryWriter(MemoryHistoryStore(), **arguments)


steps = st.lists(st.sampled_from(["offer", "rest", "advance", "down", "up", "refuse", "forget"]), max_size=60)


@given(steps=steps, capacity=st.integers(1, 8), batch=st.integers(1, 5))
async def test_every_accepted_message_has_exactly_one_fate(steps: list[str], capacity: int, batch: int) -> None:
    clock = StandingClock()
    offered: list[str] = []
    told: list[str] = []
    async with TroubledStore() as store:
        writer = HistoryWriter(
            store, capacity=capacity, batch=batch, clock=clock, on_dropped=lambda m, _: told.append(m.id)
        )
        await writer.open()
        for step in steps:
            match step:
                case "offer":
                    writer.offer(message(len(offered)))
                    offered.append(f"m{len(offered)}")
                case "refuse":
                    store.refused.add(f"m{len(offered)}")
                case "rest":
                    await rest()
                case "advance":
                    await clock.advance(31.0)
                case _:
                    store.failure = None if step == "up" else StoreUnavailableError("down")
                    store.is_forgetful = step == "forget"
            assert_balanced(writer)
            assert writer.statistics().waiting <= capacity + batch
        store.failure = None
        await writer.flush()
        await writer.close()
        kept = await stored(store)
        # A message kept by an attempt that seemed to fail may be dropped afterwards: it is told, and also kept.
        assert set(kept) | set(told) == set(offered)
        assert len(kept) == len(set(kept))
        assert len(told) == len(set(told))
        assert kept == sorted(kept, key=lambda key: int(key[1:]))
        assert writer.statistics().stored + len(told) == len(offered)
