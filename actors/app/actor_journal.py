"""`ActorJournal`: the journal of an actor system, in which its durable actors keep what they have accepted."""

import asyncio
import logging
from contextlib import suppress
from contextvars import Context
from os import PathLike
from typing import Any, Final, Literal

from actors.app.journal_paths import open_journal
from actors.app.journal_watch import JournalWatch
from actors.config.journal import JournalSpec
from actors.config.manifest import Manifest
from actors.durable.delivery_window import DeliveryWindow
from actors.durable.durable_actor import ActorMailbox, DurableActor, DurableRef
from actors.runtime.cell import Cell
from actors.runtime.crash import broken
from actors.runtime.cycle import WaitingFuture
from actors.runtime.errors import ActorStartError
from actors.runtime.phase import Phase
from actors.runtime.shutdown import STOP_ACTORS
from actors.runtime.system import ActorSystem
from actors.runtime.termination import add_ready_waiter, stopped_future
from protocols.durable import Durable, Keeper
from protocols.errors import ConfigError
from protocols.journal import JournalError, MailboxJournal, NotDurableError
from protocols.mailbox import Overflow

CLOSE_JOURNAL: Final = "close-journal"
"""The phase of the shutdown in which the last acknowledgements are committed."""

_log = logging.getLogger("understage.journal")


class ActorJournal(Keeper):
    """The journal of one actor system. The system opens it when it is entered, and closes it at its end.

    Args:
        journal: path of a file, address of a PostgreSQL database, or a `MailboxJournal` that is not open.
        sync: for a file: what an accepted message survives, the end of the ``process``, or a loss of power (``full``).
        keep: seconds for which ids of handled messages are known, so that they are not handled again.
        deliveries: how many deliveries of a message may end with the process, before it is a dead letter.

    Example:
        ```python
        class Charge(msgspec.Struct, frozen=True):
            amount: int

        class Billing(AsyncioActor):
            durable = Durable(Charge, retries=2)

            async def on_receive(self, message: Charge) -> int:
                await bank.charge(message.amount, idempotency_key=delivery().key)
                return message.amount

        async with ActorSystem("shop", journal=ActorJournal("shop.journal")) as system:
            billing = system.start(Billing, name="billing")
            await billing.send(Charge(5))
        ```

    Raises:
        ConfigError: no journal can be made of these.
    """

    def __init__(
        self,
        journal: str | PathLike[str] | MailboxJournal,
        *,
        sync: Literal["process", "full"] | None = None,
        keep: float = 86_400.0,
        deliveries: int = 5,
    ) -> None:
        given: dict[str, Any] = {"keep": keep, "deliveries": deliveries, "sync": sync}
        self._journal: MailboxJournal | None = None
        if isinstance(journal, str | PathLike):
            text = str(journal)
            given["url" if "://" in text else "path"] = text
        elif sync is not None or not hasattr(journal, "settle"):
            raise ConfigError(f"journal: a path or an address (with sync=...), or a MailboxJournal; not {journal!r}")
        else:
            self._journal = journal
        self._spec = JournalSpec.checked(given)
        self._system: ActorSystem | None = None
        self._watch: JournalWatch | None = None
        self._turn = asyncio.Lock()
        self._counts: dict[str, int] = {}
        self._mailboxes: dict[str, ActorMailbox] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        """What delivers to the last actor of each name, until its end."""

    async def open(self, system: ActorSystem) -> None:
        """Open the journal of a system. A system whose journal cannot be opened is closed.

        Raises:
            ConfigError: it is, or was, that of a system already.
            JournalError: it cannot be opened.
        """
        try:
            self._watch = await self._opened(system)
        except BaseException:
            await system.close()
            raise
        self._watch.begin(system)

    async def _opened(self, system: ActorSystem) -> JournalWatch:
        if self._system is not None:
            raise ConfigError(f"system {system.name!r}: its journal has been opened; make one for each life")
        self._system = system
        manifest = Manifest().model_copy(update={"name": system.name, "journal": self._spec})
        journal = self._journal = self._journal or open_journal(manifest)
        assert journal is not None
        system.shutdown.add_phase(CLOSE_JOURNAL, after=(STOP_ACTORS,), timeout=None)
        system.shutdown.add_task(CLOSE_JOURNAL, "journal", self._close)
        await journal.open()
        self._counts = await journal.counts()
        return JournalWatch(journal, self._spec.keep, self._mailboxes, self._fail)

    def keep(self, cell: Cell) -> None:
        """Give a durable actor its ref and its mailbox, and deliver what is open; see `Keeper`."""
        if isinstance(cell.ref, DurableRef):
            return
        settings, name = self._settings(cell), f"{cell.system.name}/{_path(cell)}"
        journal = self._journal
        assert journal is not None
        actor: Any = DurableActor(cell, settings)
        window = DeliveryWindow(actor, name, journal, settings, deliveries=self._spec.deliveries, turn=self._turn)
        mailbox = self._mailboxes[name] = ActorMailbox(actor, window, journal)
        cell.ref = DurableRef(cell, mailbox)
        life = self._live(name, mailbox, self._lives.get(name))
        self._lives[name] = cell.loop.create_task(life, context=Context())

    def _settings(self, cell: Cell) -> Durable:
        settings: Any = getattr(cell.kind, "durable", None)
        root, other = cell, self._mailboxes.get(f"{cell.system.name}/{_path(cell)}")
        while root.parent is not None:
            root = root.parent
        is_taken = other is not None and other.actor.cell.phase is not Phase.STOPPED
        overflow = cell.mailbox.overflow
        for is_wrong, problem in (
            (not isinstance(settings, Durable) or not settings.messages, "name what it keeps: durable = Durable(...)"),
            (self._watch is None or not self._watch.is_running or self._system is not cell.system,
             f"the journal of system {cell.system.name!r} is not open: start it in `async with system`"),
            (self._system is not None and self._system.get(root.name) is not root.ref,
             f"what is kept is found by the name in the next process: start {root.name!r} with name=..."),
            (is_taken, "another actor has this name and keeps messages by it; give each a name of its own"),
            (getattr(cell.kind, "redeliver", False), "redeliver is for memory: say Durable(..., retries=1) instead"),
            (overflow not in (Overflow.REJECT, Overflow.WAIT) or cell.mailbox.config.priority is not None,
             "its mailbox loses or sorts what was accepted; choose overflow reject or wait, without priority"),
        ):  # fmt: skip
            if is_wrong:
                raise NotDurableError(f"actor {cell.name!r} ({cell.kind.__name__}) cannot be durable: {problem}")
        checked: Durable = settings
        return checked

    async def _live(self, name: str, mailbox: ActorMailbox, before: "asyncio.Task[None] | None") -> None:
        """Deliver to an actor until its end, after the mailbox of the last actor of its name is closed."""
        cell, window = mailbox.actor.cell, mailbox.window
        if before is not None:
            await asyncio.wait([before])
        window.queue.open += self._counts.pop(name, 0)
        window.start()
        while cell.phase is not Phase.STOPPED:
            change: WaitingFuture[Any] = stopped_future(cell)
            if cell.phase is Phase.HELD:  # until its next incarnation has started, or none comes
                add_ready_waiter(cell, change := WaitingFuture(cell.loop, (cell,)))
            with suppress(ActorStartError):
                await change
        await mailbox.close()
        self._counts[name] = window.queue.open
        if self._mailboxes.get(name) is mailbox:
            del self._mailboxes[name]

    def _fail(self, error: JournalError) -> None:
        """End the system with the cause: nothing that it is told would be kept."""
        system = self._system
        assert system is not None
        for cell in tuple(system.cells):
            if cell.parent is None and cell.phase is Phase.RUNNING:
                broken(cell, error)
        system.exit_reason = system.exit_reason or error
        system.begin_close()

    async def _close(self) -> None:
        """Commit the last acknowledgements and close the journal; all actors have ended."""
        if self._watch is not None:
            await self._watch.end()
        await asyncio.gather(*self._lives.values(), return_exceptions=True)
        for name, waiting in self._counts.items():
            if waiting:
                _log.info("%s messages wait for the next actor of the name %r", waiting, name)
        if self._journal is not None:
            await self._journal.close()


def _path(cell: Cell) -> str:
    return cell.name if cell.parent is None else f"{_path(cell.parent)}/{cell.name}"
