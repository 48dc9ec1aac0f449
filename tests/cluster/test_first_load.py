"""The first messages of a tenure are marked in their order, whoever has accepted them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from actors.durable.kept_queue import WINDOW, KeptQueue
from tests.contracts.journal_kinds import entry


async def test_what_was_accepted_here_is_not_passed_by_what_another_host_put_behind_it() -> None:
    entries = [replace(entry(number, "pool/a"), seq=number) for number in (1, 2)]

    async def waiting(*_: object) -> Any:
        return entries

    def message_key(_: object) -> None:
        return None

    node: Any = SimpleNamespace(max_concurrency=1, most_runs=1, is_serial=False, message_key=message_key)
    journal: Any = SimpleNamespace(waiting=waiting)
    queue = KeptQueue(node, "pool/a", journal)
    queue.is_shared = True
    request: Any = object()
    queue.note(entries[0], request, None, 1)
    assert queue.begin_load()
    await queue.load()
    first = queue.next([])
    assert first is not None
    assert (first.place, first.is_suspect) == (1, True)


async def test_of_what_is_accepted_here_no_more_is_held_than_of_what_is_read() -> None:
    entries = [replace(entry(number, "pool/a"), seq=number) for number in range(1, 3 * WINDOW)]

    async def waiting(_name: str, after: int, limit: int) -> Any:
        return [one for one in entries if one.seq > after][:limit]

    def message_key(_: object) -> None:
        return None

    node: Any = SimpleNamespace(max_concurrency=1, most_runs=1, is_serial=False, message_key=message_key)
    journal: Any = SimpleNamespace(waiting=waiting)
    queue = KeptQueue(node, "pool/a", journal)
    queue.is_shared = True
    request: Any = object()
    for one in entries:
        queue.note(one, request, None, one.seq)
    found: list[int] = []
    while len(found) < len(entries):
        if queue.begin_load():
            await queue.load()
        assert len(queue) <= WINDOW
        message = queue.next([])
        assert message is not None
        assert (message.request is request) == (message.place <= WINDOW)
        found.append(message.place)
    assert found == [one.seq for one in entries]
