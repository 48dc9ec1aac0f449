"""Faults that are built into a life: what is checked after the last one must find each of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from actors.durable import kept_queue
from actors.durable.acknowledgement import failed
from actors.durable.delivery_window import DeliveryWindow
from actors.durable.durable_mailbox import DurableMailbox
from actors.durable.kept_queue import KeptQueue
from actors.durable.kept_run import KeptRun
from actors.durable.talk_queue import TalkQueue
from actors.storage.journal_sql import SqlJournal
from actors.storage.journal_tables import JournalTables
from protocols.journal import Commit
from tests.durability.patch import patch

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable


def _says_yes_early() -> None:
    async def is_new(*_: object) -> bool:
        return True

    patch(DurableMailbox, "_is_new", lambda _: is_new)


def _acknowledges_early() -> None:
    def make(deliver: Any) -> Any:
        def acknowledged(window: Any, message: Any, steps: Any) -> None:
            def settled(_: object) -> None:
                deliver(window, message, steps)

            one = failed(message.entry.id, "handled", None, None, is_dead=False)
            window.journal.settle(replace(one, steps_of=one.id)).then(settled)

        return acknowledged

    patch(DeliveryWindow, "_deliver", make)


def _has_two_transactions() -> None:
    def make(settle: Any) -> Any:
        def in_two(journal: Any, one: Any) -> Any:
            if not one.outbox:
                return settle(journal, one)
            told: Commit[Any] = Commit(loop=journal._loop)

            def passed_on(done: Future[Any]) -> None:
                told.finish(done.result())

            def settled(_: object) -> None:
                journal.accept(one.outbox).then(passed_on)

            settle(journal, replace(one, outbox=())).then(settled)
            return told

        return in_two

    patch(SqlJournal, "settle", make)


def _knows_no_ids() -> None:
    def make(insert: Any) -> Any:
        def insert_again(tables: Any, entry: Any) -> Any:
            place = insert(tables, entry)
            return insert(tables, replace(entry, id=os.urandom(16))) if place is None else place

        return insert_again

    patch(JournalTables, "_insert", make)


def _takes_the_newest_first() -> None:
    def make(take: Any) -> Any:
        def newest(queue: Any, busy: Any) -> Any:
            queue._line.reverse()
            found = take(queue, busy)
            queue._line.reverse()
            return found

        return newest

    patch(KeptQueue, "_next", make)


def _suspects_nothing() -> None:
    def nothing(*_: object) -> None:
        return

    patch(kept_queue, "_suspect", lambda _: nothing)


def _marks_nothing() -> None:
    def make(begin: Any) -> Any:
        def unmarked(journal: Any, id: bytes, _: int = 1) -> Any:
            return begin(journal, id, 0)

        return unmarked

    patch(SqlJournal, "begin", make)


def _releases_early() -> None:
    def make(settle: Any) -> Any:
        def in_two(queue: Any, one: Any, outbox: Any = None) -> Any:
            def kept(done: Future[Any]) -> None:
                outbox.release(done.result())

            def released(_: object) -> None:
                queue._journal.accept(one.outbox).then(kept)

            ended = settle(queue, replace(one, outbox=()))
            if outbox is not None:
                ended.add_done_callback(released)
            return ended

        return in_two

    patch(TalkQueue, "_settle", make)


def _derives_no_ids() -> None:
    def make(part: Any) -> Any:
        def other(run: Any, name: str) -> Any:
            return part(run, name + os.urandom(8).hex())

        return other

    patch(KeptRun, "part", make)


MUTATIONS: Final[dict[str, Callable[[], None]]] = {
    "says yes before the commit": _says_yes_early,
    "acknowledges before the effect": _acknowledges_early,
    "passes on in a second transaction": _has_two_transactions,
    "knows no ids": _knows_no_ids,
    "takes the newest first": _takes_the_newest_first,
    "releases before it keeps": _releases_early,
    "suspects nothing": _suspects_nothing,
    "marks nothing": _marks_nothing,
    "derives no ids": _derives_no_ids,
}
