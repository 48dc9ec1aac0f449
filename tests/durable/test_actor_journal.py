"""What cannot be durable is refused with what to do; a journal in trouble ends its system with the cause."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors import ActorJournal, ActorSystem, Agent, ChildSpec, Durable, Supervisor
from actors.app.journal_watch import LOOK
from actors.durable.record import MAX_MESSAGE
from actors.runtime.errors import ActorStoppingError, RuntimeClosedError
from actors.runtime.mailbox import MailboxConfig
from actors.storage.journal_sqlite import SqliteJournal
from actors.testing.clock import ManualClock
from actors.testing.settle import settle
from protocols.errors import ConfigError
from protocols.journal import JournalBrokenError, JournalError, JournalFencedError, NotDurableError
from protocols.mailbox import Overflow
from tests.durable.ledger import Charge, Ledger, Refund, stop_at_once
from tests.durable.test_broken_journal import fail, fence

if TYPE_CHECKING:
    from pathlib import Path

    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Discount(Charge, frozen=True):
    pass


class Note(msgspec.Struct, frozen=True):
    content: Any


class Twice(Ledger):
    redeliver = True


class Lossy(Ledger):
    mailbox = MailboxConfig(overflow=Overflow.DROP_OLDEST)


class Sorting(Ledger):
    mailbox = MailboxConfig(priority=lambda _: 0)


class Vague(Ledger):
    durable = Durable(retries=1)


class Mistaken(Ledger):
    durable = True  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (Ledger, None, "start 'Ledger' with name="),
        (Twice, "ledger", "retries=1"),
        (Lossy, "ledger", "choose overflow reject or wait"),
        (Sorting, "ledger", "without priority"),
        (Vague, "ledger", "name what it keeps"),
        (Mistaken, "ledger", "name what it keeps"),
    ],
)
async def test_an_actor_that_cannot_be_durable_is_refused_at_its_start(
    journal: MemoryJournal, kind: Any, name: str | None, words: str
) -> None:
    async with ActorSystem("orders", journal=ActorJournal(journal)) as system:
        with pytest.raises(NotDurableError, match=rf"actor .* \({kind.__name__}\) cannot be durable: .*{words}"):
            system.start(kind, ([],), name=name)
        assert not system.actors()


async def test_an_actor_whose_constructor_fails_leaves_its_name_to_the_next(journal: MemoryJournal) -> None:
    async with ActorSystem("orders", journal=ActorJournal(journal)) as system:
        with pytest.raises(TypeError):
            system.start(Ledger, (), name="ledger")
        assert await system.start(Ledger, ([],), name="ledger").ask(Charge(1)) == 1


async def test_two_children_of_one_name_are_not_both_durable(journal: MemoryJournal) -> None:
    async with ActorSystem("orders", journal=ActorJournal(journal)) as system:
        system.start(Ledger, ([],), name="boss/ledger")
        boss: Any = system.start(Supervisor, ([],), name="boss").proxy()
        with pytest.raises(Exception, match="another actor has this name"):
            await boss.start_child(ChildSpec(Ledger, args=([],), name="ledger"))


async def test_a_durable_actor_needs_an_open_journal_of_its_own_system(journal: MemoryJournal) -> None:
    async with ActorSystem("orders") as system:
        with pytest.raises(NotDurableError, match=r"'ledger' .* 'orders' has no journal.*journal=ActorJournal\(path\)"):
            system.start(Ledger, ([],), name="ledger")
    shared = ActorJournal(journal)
    late = ActorSystem("late", journal=shared)
    with pytest.raises(NotDurableError, match="journal of system 'late' is not open"):
        late.start(Ledger, ([],), name="ledger")
    await late.close()
    async with ActorSystem("orders", journal=shared) as system:
        with pytest.raises(ConfigError, match="system 'other': its journal has been opened"):
            await ActorSystem("other", journal=shared).__aenter__()
        foreign = ActorSystem("foreign", journal=shared)
        with pytest.raises(NotDurableError, match="journal of system 'foreign' is not open"):
            foreign.start(Ledger, ([],), name="ledger")
        await foreign.close()
        assert await system.start(Ledger, ([],), name="ledger").ask(Charge(1)) == 1


async def test_a_file_of_another_system_is_refused_and_the_system_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "orders.journal"
    async with ActorSystem("orders", journal=ActorJournal(file, sync="full")) as system:
        await system.start(Ledger, ([], asyncio.Event()), name="ledger").send(Charge(1))
        await stop_at_once(system)
    for path in (file, tmp_path):
        other = ActorSystem("other", journal=ActorJournal(path))
        with pytest.raises(JournalError):
            await other.__aenter__()
        assert other.is_closed
    seen: list[Any] = []
    async with ActorSystem("orders", journal=ActorJournal(str(file))) as system:
        assert await system.start(Ledger, (seen,), name="ledger").ask(Charge(2)) == 2
        assert [message for message, _ in seen] == [Charge(1), Charge(2)]


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (5, {}, "a path or an address"),
        (None, {}, "a path or an address"),
        ("a.journal", {"sync": "sometimes"}, "'process' or 'full'"),
        ("a.journal", {"keep": -1}, "."),
        ("a.journal", {"deliveries": 0}, "."),
        ("mysql://host/name", {}, "postgresql://"),
        ("postgresql://host/name", {"sync": "full"}, "it is about a file"),
    ],
)
async def test_an_impossible_journal_is_refused(given: Any, options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"journal: .*{words}"):
        ActorJournal(given, **options)


async def test_sync_is_for_files_and_a_system_takes_an_actor_journal(journal: MemoryJournal) -> None:
    for given in ("orders.journal", journal):
        with pytest.raises(ConfigError, match=r"must be an ActorJournal\(path\), not"):
            ActorSystem("orders", journal=given)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="sync="):
        ActorJournal(journal, sync="full")


async def test_a_message_that_cannot_be_read_again_is_refused_before_it_is_accepted(journal: MemoryJournal) -> None:
    class Keeping(Ledger):
        durable = Durable(Charge, Note)

    wrong: Any = "ten"
    async with ActorSystem("orders", journal=ActorJournal(journal)) as system:
        ref = system.start(Keeping, ([],), name="ledger")
        for message, words in (
            (Charge(wrong), "Charge cannot be kept: Expected `int`"),
            (Discount(1), r"Discount would .*; name it as well: Durable\(..., Discount\)"),
            (Note(object()), "Note cannot be kept: .*use fields that msgpack has"),
            (Note("x" * MAX_MESSAGE), "Note cannot be kept: it has 1,0.* bytes"),
        ):
            for sends in (ref.send, ref.ask):
                with pytest.raises(NotDurableError, match=f"actor 'ledger': {words}"):
                    await sends(message)
        assert journal.statistics().accepted == 0


@pytest.mark.parametrize(
    ("classes", "options", "words"),
    [
        ((int,), {}, "messages must be classes made with msgspec.Struct"),
        ((Charge(1),), {}, "messages must be classes"),
        ((Charge, msgspec.defstruct("Charge", [])), {}, "same name"),
        ((Charge,), {"steps": False}, "steps are those of agents"),
    ],
)
def test_only_structs_with_names_of_their_own_are_kept(classes: Any, options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"durable: .*{words}"):
        Durable(*classes, **options)
    with pytest.raises(ConfigError, match="only actors name messages"):
        Agent("clerk", model="offline", durable=Durable(Charge, Refund))


@pytest.mark.parametrize(("trouble", "kind"), [(fail, JournalBrokenError), (fence, JournalFencedError)])
@pytest.mark.parametrize("is_used", [True, False], ids=["used", "idle"])
async def test_a_journal_that_works_no_more_ends_its_system_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Any, kind: type[JournalError], *, is_used: bool
) -> None:
    clock, journal = ManualClock(), SqliteJournal(tmp_path / "orders.journal", pool="orders", reserve=0)
    async with ActorSystem("orders", clock=clock, journal=ActorJournal(journal)) as system:
        ref = system.start(Ledger, ([], asyncio.Event()), name="ledger")
        boss: Any = system.start(Supervisor, ([ChildSpec(Ledger, args=([],), name="child")],), name="boss")
        await boss.ready()
        child = next(one for one in system.actors() if one.name == "child")
        await ref.send(Charge(1))
        waiting = ref.ask(Charge(2), timeout=None)
        await settle()
        monkeypatch.setattr(journal, "_seal", trouble)
        if is_used:
            with pytest.raises(kind):
                await ref.send(Charge(3))
        while not system.is_closed:
            await clock.advance(LOOK)
        assert isinstance(system.exit_reason, kind)
        with pytest.raises(kind):
            await waiting
        for one in (ref, child):
            with pytest.raises(ActorStoppingError) as stopped:
                await one.ask(Charge(4))
            assert isinstance(stopped.value.__cause__, kind)
        with pytest.raises(RuntimeClosedError):
            system.start(Ledger, ([],), name="next")
        monkeypatch.undo()
    await journal.open()
    assert await journal.counts() == {"orders/ledger": 2}
    await journal.close()
