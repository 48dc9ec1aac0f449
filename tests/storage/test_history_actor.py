"""The history actor keeps what it is told, and nothing keeps it from keeping the rest."""

from __future__ import annotations

from functools import partial

from actors.runtime.system import ActorSystem
from actors.storage.history_actor import Flush, HistoryActor, Remember
from actors.storage.memory import MemoryHistoryStore
from protocols.history import Retention, StoredMessage


def message(number: int) -> StoredMessage:
    return StoredMessage(id=f"m{number}", conversation_id="c", node="n", role="user", content="x", created=1.0)


def broken() -> StoredMessage:
    text = "cannot be made"
    raise ValueError(text)


async def test_what_was_told_is_in_the_store_when_flush_is_answered_also_after_a_message_that_cannot_be_made() -> None:
    async with ActorSystem("s") as system, MemoryHistoryStore() as store:
        ref = await system.start(HistoryActor, (store,), {"linger": 3600.0}).ready()
        ref.tell(Remember(partial(message, 1)))
        ref.tell(Remember(broken))
        ref.tell(Remember(partial(message, 2)))
        await ref.ask(Flush())

        assert [one.id for one in await store.conversation("c")] == ["m1", "m2"]


async def test_what_waits_is_written_when_it_stops() -> None:
    async with ActorSystem("s") as system, MemoryHistoryStore() as store:
        ref = await system.start(HistoryActor, (store,), {"linger": 3600.0}).ready()
        ref.tell(Remember(partial(message, 1)))
        await ref.stop()

        assert await store.count() == 1


async def test_what_is_too_old_is_removed_at_the_start() -> None:
    async with ActorSystem("s") as system, MemoryHistoryStore() as store:
        await store.append([message(1)])
        ref = await system.start(HistoryActor, (store,), {"retention": Retention(max_age=60.0)}).ready()
        await ref.ask(Flush())

        assert await store.count() == 0
