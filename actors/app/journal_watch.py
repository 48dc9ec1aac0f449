"""Looks after an open journal: its disk, what other processes have written, and what is too old."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from actors.durable.durable_mailbox import DurableMailbox
from actors.runtime.system import ActorSystem
from protocols.clock import pause
from protocols.journal import STALLED, JournalError, MailboxJournal
from protocols.journal_events import JournalStalled

LOOK: Final = 1.0
"""Seconds between two looks at what other processes have written, and at the health of the disk."""
PRUNE: Final = 60.0
"""Seconds between two prunings."""
PRUNED: Final = 1_000
"""Messages that one pruning deletes at most, so after that many there may be more."""

_log = logging.getLogger("understage.journal")


class JournalWatch:
    """Watches one journal from `begin` to `end`.

    Args:
        journal: the journal.
        keep: seconds for which ended messages are known.
        mailboxes: those whose messages are in the journal.
        fail: told of the error after which the journal works no more.
        now: wall time of the journal.
    """

    def __init__(
        self,
        journal: MailboxJournal,
        keep: float,
        mailboxes: Mapping[Any, DurableMailbox],
        fail: Callable[[JournalError], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.is_stalled = False
        """True while writes wait for the disk for more than a second."""
        self._journal = journal
        self._keep = keep
        self._mailboxes = mailboxes
        self._fail = fail
        self._now = now
        self._watching: asyncio.Task[None] | None = None
        self._version: int | None = None
        self._pruned = 0.0

    @property
    def is_running(self) -> bool:
        """True from `begin` to `end`."""
        return self._watching is not None

    def begin(self, system: ActorSystem) -> None:
        """Begin to watch, by the clock of a system."""
        self._watching = asyncio.ensure_future(self._watch(system))

    async def end(self) -> None:
        """Watch no more, and let the mailboxes give their actors nothing more."""
        for mailbox in self._mailboxes.values():
            mailbox.window.pause()
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self, system: ActorSystem) -> None:
        """Tell when the disk is slow, and tidy up whenever it answers."""
        tidying = asyncio.ensure_future(self._tidy(system.clock.now()))
        try:
            while True:
                await pause(system.clock, LOOK)
                self._look_at_disk(system)
                if tidying.done():
                    tidying = asyncio.ensure_future(self._tidy(system.clock.now()))
        finally:
            tidying.cancel()
            await asyncio.gather(tidying, return_exceptions=True)

    async def _tidy(self, now: float) -> None:
        """Look for what other processes have written, and prune. A journal that works no more ends its owner."""
        try:
            version, before = await self._journal.version(), self._version
            self._version = version
            if before is not None and before != version:
                for mailbox in self._mailboxes.values():
                    mailbox.window.look()
            if now - self._pruned >= PRUNE:
                self._pruned = now
                while await self._journal.prune(self._keep) >= PRUNED:
                    pass
        except JournalError as error:
            _log.warning("journal: %s", error)
            if error.is_final and self._watching is not None:
                self._watching.cancel()
                for mailbox in self._mailboxes.values():
                    mailbox.window.broke(error)
                self._fail(error)

    def _look_at_disk(self, system: ActorSystem) -> None:
        since = self._journal.statistics().waiting_since
        waiting = 0.0 if since is None else self._now() - since
        if waiting > STALLED and not self.is_stalled:
            system.events.publish(JournalStalled, location=self._journal.location, waiting=waiting)
        self.is_stalled = waiting > STALLED
