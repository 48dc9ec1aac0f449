"""What `add_context` gave to a durable node: it is in the journal until a run that has read it is acknowledged."""

import logging
from functools import partial

from actors.durable.delivery_window import DeliveryWindow
from actors.durable.outbox import keep
from actors.durable.record import CONTEXT_KIND, UndecodableError, decode_run, encode_run
from actors.prompts.pending_context import KeptText
from actors.runs.request import NO_OPTIONS, RunRequest
from protocols.delivery_tracker import DeliveryTracker
from protocols.errors import cause_text
from protocols.ids import new_id
from protocols.journal import Acknowledgement, Entry, MailboxJournal
from protocols.limits import MAX_COUNT
from protocols.node import Origin
from protocols.session import OWN

_log = logging.getLogger("understage.journal")


class KeptContext:
    """The texts of one node.

    Args:
        window: the deliveries of the node.
        journal: what keeps the texts.
    """

    def __init__(self, window: DeliveryWindow, journal: MailboxJournal) -> None:
        self.name = f"{window.name}#"
        """Its mailbox in the journal. No window reads it, and no connection has an empty name."""
        self._window = window
        self._node = window.node
        self._journal = journal

    def add(self, text: str, session: str | None, origin: Origin | None) -> None:
        """Keep a text. The next run reads it at once, or after the commit if it follows from a kept run.

        Raises:
            NotDurableError: it cannot be kept.
            JournalError: the disk is slow.
        """
        node, kept = self._node, None if origin is None else origin.kept
        id = new_id() if kept is None else kept.part(f"#{node.name}").run_id
        payload = encode_run(RunRequest(node, (text,), id, id, DeliveryTracker(), NO_OPTIONS.inherit(session or OWN)))
        entry = Entry(bytes.fromhex(id), self.name, "", CONTEXT_KIND, payload, self._window.now())

        def accepted(entry: Entry, place: int | None) -> None:
            if kept is not None and place is not None:
                self._give(entry)

        keep(self._journal, entry, origin, accepted, self._refused)
        if kept is None:
            self._give(entry)

    def _refused(self, error: BaseException) -> None:
        _log.warning("node %r: a text of add_context is not in its journal: %s", self._node.name, error)

    def _give(self, entry: Entry) -> None:
        """Have the next run read a text, when it is due. Raises UndecodableError."""
        run, window = decode_run(entry.payload, self._node), self._window
        text = KeptText(run.prompts[0])
        text.id, text.end = entry.id, partial(self._end, Acknowledgement(entry.id, "handled"))
        give = partial(self._node.keep_context, text, run.options.session)
        left = 0.0 if entry.due is None else entry.due - window.now()
        if left > 0:
            window.clock.call_later(left, give)
        else:
            give()

    def _end(self, one: Acknowledgement) -> None:
        self._journal.settle(one).then(lambda done: done.exception())  # one that stays is read once more

    async def restore(self) -> None:
        """Take up the texts that no acknowledged run has read. Raises JournalError."""
        for entry in await self._journal.waiting(self.name, 0, MAX_COUNT):
            try:
                self._give(entry)
            except UndecodableError as error:
                self._end(Acknowledgement(entry.id, "undecodable", error=cause_text(error), is_dead=True))
