"""What `add_context` gave to a durable node: it is in the journal until a run that has read it is acknowledged."""

import logging
from collections.abc import Callable
from functools import partial

from actors.agents.agent import Agent
from actors.durable.delivery_window import DeliveryWindow
from actors.durable.outbox import keep
from actors.durable.record import CONTEXT_KIND, FORGET_KIND, UndecodableError, decode_run, encode_run
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
        mailbox: name of its mailbox in the journal.
        window: returns the deliveries of the node.
        journal: what keeps the texts.
    """

    def __init__(self, mailbox: str, window: Callable[[], DeliveryWindow], journal: MailboxJournal) -> None:
        self.name = f"{mailbox}#"
        """Its mailbox in the journal. No window reads it, and no connection has an empty name."""
        self.given: set[bytes] | None = None
        """Ids of texts that were given to the node; None in a journal of one process, which reads only once."""
        self._stale: set[bytes] = set()
        self._window = window
        self._node = window().node
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
        entry = Entry(bytes.fromhex(id), self.name, "", CONTEXT_KIND, payload, self._window().now())

        def accepted(entry: Entry, place: int | None) -> None:
            if kept is not None and place is not None and self._window().is_here:
                self._give(entry)

        keep(self._journal, entry, origin, accepted, self._refused)
        if kept is None and self._window().is_here:
            self._give(entry)

    def _refused(self, error: BaseException) -> None:
        _log.warning("node %r: a text of add_context is not in its journal: %s", self._node.name, error)

    def _give(self, entry: Entry) -> None:
        """Have the next run read a text, when it is due. Raises UndecodableError."""
        run, window = decode_run(entry.payload, self._node), self._window()
        if self.given is not None:
            self.given.add(entry.id)
        text = KeptText(run.prompts[0])
        text.id, text.end = entry.id, partial(self._end, Acknowledgement(entry.id, "handled"))
        give = partial(self._node.keep_context, text, run.options.session)
        left = 0.0 if entry.due is None else entry.due - window.now()
        if left > 0:
            window.clock.call_later(left, give)
        else:
            give()

    def _forget(self, entry: Entry) -> None:
        session, node = entry.payload.decode(), self._node
        node.notes.pop(session, ())
        if isinstance(node, Agent):
            node.execution.forget(session)
        self._end(Acknowledgement(entry.id, "handled"))

    def _end(self, one: Acknowledgement) -> None:
        self._window().journal.settle(one).then(lambda done: done.exception())  # one that stays is read once more

    async def restore(self) -> None:
        """Take up the texts that no acknowledged run has read. Raises JournalError."""
        entries = await self._journal.waiting(self.name, 0, MAX_COUNT)
        given = self.given or set()
        seen = {entry.id for entry in entries}
        given -= self._stale - seen  # a text that was given before its commit is seen by the next look
        self._stale = given - seen
        for entry in entries:
            if entry.id in given:
                continue
            try:
                if entry.kind == FORGET_KIND:
                    self._forget(entry)
                else:
                    self._give(entry)
            except UndecodableError as error:
                self._end(Acknowledgement(entry.id, "undecodable", error=cause_text(error), is_dead=True))
