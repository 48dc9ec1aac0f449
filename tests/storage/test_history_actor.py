"""The history actor writes what it was given, and nothing keeps it from keeping the rest."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.system import ActorSystem
from actors.storage.history import HistoryWriter
from actors.storage.history_actor import Flush, HistoryActor
from actors.storage.memory import MemoryHistoryStore
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from protocols.history import Retention, StoredMessage
from protocols.stores import StoreUnavailableError
from tests.storage.messages import message
from tests.storage.timers import rest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.runtime.ref import ActorRef

LATER = 3_600.0


class Line:
    """A writer and the actor that runs it."""

    def __init__(self, store: MemoryHistoryStore, **limits: Any) -> None:
        self.store = store
        self.writer = HistoryWriter(store, linger=LATER, **limits)

    def start(self, system: ActorSystem, **options: Any) -> ActorRef[HistoryActor]:
        return system.start(HistoryActor, (self.writer,), options)

    def say(self, *numbers: int) -> None:
        for number in numbers:
            self.writer.put((made, number, None))

    async def kept(self) -> list[str]:
        return [one.id for one in await self.store.conversation("c1")]


@asynccontextmanager
async def running(line: Line, **options: Any) -> AsyncGenerator[ActorRef[HistoryActor]]:
    async with ActorSystem("s") as system, line.store:
        yield await line.start(system, **options).ready()


@pytest.fixture
def line() -> Line:
    return Line(MemoryHistoryStore())


def made(number: int, _: object) -> StoredMessage:
    return message(number)


def broken(_: object, __: object) -> StoredMessage:
    text = "cannot be made"
    raise ValueError(text)


async def test_what_was_said_is_in_the_store_when_flush_is_answered_also_after_a_message_that_cannot_be_made(
    line: Line,
) -> None:
    async with running(line) as ref:
        line.say(1)
        line.writer.put((broken, 1, None))
        line.say(2)
        await ref.ask(Flush())

        assert await line.kept() == ["m1", "m2"]
        statistics = line.writer.statistics()
        assert (statistics.accepted, statistics.stored, statistics.rejected) == (3, 2, 1)


async def test_what_waits_is_written_when_it_stops(line: Line) -> None:
    async with running(line) as ref:
        line.say(1)
        await ref.stop()

        assert await line.kept() == ["m1"]


async def test_what_was_said_before_the_start_is_kept(line: Line) -> None:
    line.say(*range(120))
    async with running(line) as ref:
        await ref.ask(Flush())

        assert len(await line.kept()) == 120


async def test_a_batch_is_written_without_waiting_for_the_delay() -> None:
    line = Line(MemoryHistoryStore(), batch=2)
    async with running(line):
        line.say(1, 2)
        await rest()
        assert line.writer.statistics().stored == 2


class Down(MemoryHistoryStore):
    """Cannot be reached until it is told that it can."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = True
        self.tried = asyncio.Event()

    async def append(self, batch: Any) -> None:
        self.tried.set()
        if self.is_down:
            text = "is down"
            raise StoreUnavailableError(text)
        await super().append(batch)


async def test_what_is_said_while_a_flush_waits_for_a_store_that_is_down_is_still_taken() -> None:
    store = Down()
    line = Line(store, batch=5)
    async with running(line) as ref:
        line.say(*range(5))
        flush = asyncio.ensure_future(ref.ask(Flush(), timeout=LATER))
        await store.tried.wait()
        line.say(*range(5, 10))
        await rest()
        assert line.writer.statistics().waiting == 10

        store.is_down = False
        await line.writer.flush()
        await flush
        assert len(await line.kept()) == 10


async def test_a_full_backlog_drops_the_oldest_and_counts_them() -> None:
    line = Line(MemoryHistoryStore(), capacity=3)
    line.say(*range(8))
    async with running(line) as ref:
        await ref.ask(Flush())

        assert await line.kept() == ["m5", "m6", "m7"]
        assert line.writer.statistics().dropped == 5


class Fragile(HistoryActor):
    """Breaks at a word."""

    async def on_receive(self, message: Any) -> None:
        if message == "break":
            text = "a bug"
            raise RuntimeError(text)
        await super().on_receive(message)


async def test_a_crash_of_the_actor_loses_nothing(line: Line) -> None:
    async with ActorSystem("s") as system, line.store:
        supervisor = system.start(Supervisor, kwargs={"backoff": Backoff.none()})
        spec = ChildSpec(Fragile, args=(line.writer,), name="history")
        ref = await supervisor.proxy().start_child(spec)
        line.say(1)
        ref.tell("break")
        line.say(2)
        await ref.ask(Flush())

        assert await line.kept() == ["m1", "m2"]


async def test_a_bug_in_the_pruning_of_a_store_does_not_keep_messages_from_being_kept() -> None:
    class Broken(MemoryHistoryStore):
        async def prune(self, retention: Retention, *, now: float | None = None) -> int:
            text = "a bug"
            raise RuntimeError(text)

    line = Line(Broken())
    async with running(line, retention=Retention(max_messages=1)) as ref:
        line.say(1)
        await ref.ask(Flush())

        assert await line.kept() == ["m1"]


async def test_what_is_too_old_is_removed_at_the_start(line: Line) -> None:
    async with line.store:
        await line.store.append([message(1)])
    async with running(line, retention=Retention(max_age=60.0)) as ref:
        await ref.ask(Flush())

        assert await line.store.count() == 0
