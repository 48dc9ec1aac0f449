"""What waits in a queued connection for a durable node: runs in a mailbox from which only a trigger takes."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any

from msgspec.structs import replace

from actors.durable.delivery_window import DeliveryWindow
from actors.durable.kept_run import KeptRun
from actors.durable.outbox import Outbox, keep
from actors.durable.record import RUN_KIND, UndecodableError, decode_run, encode_run
from actors.runs.errors import stopped
from actors.runs.request import NO_OPTIONS, RunRequest
from actors.runtime.background_loop import current_system
from actors.talk.context import TalkView
from actors.talk.pending import RoutedMessage
from actors.talk.talk_events import failed, queue_full
from protocols.delivery_tracker import DeliveryTracker
from protocols.errors import NodeStoppedError, cause_text
from protocols.ids import new_id
from protocols.journal import Acknowledgement, Commit, EndOutcome, Entry, JournalError, MailboxJournal
from protocols.limits import MAX_COUNT
from protocols.mailbox import Overflow
from protocols.node import Origin

Reply = asyncio.Future[Any] | None


class TalkQueue:
    """The messages of one connection that wait for one durable node.

    They are in the journal only, so a trigger that is cancelled, or ends with its process, has nothing to give back.

    Args:
        name: its mailbox in the journal. No window reads it.
        window: returns the deliveries of the node.
        journal: what keeps the messages.
        open: how many messages it has.
    """

    def __init__(self, name: str, window: Callable[[], DeliveryWindow], journal: MailboxJournal, open: int = 0) -> None:
        self.name = name
        self.open = open
        """Messages that wait, or are being accepted or released."""
        self._window = window
        self._node = window().node
        self._journal = journal
        self._taken: set[bytes] = set()
        """Messages that a trigger has taken, until it gives them back."""
        self._ended: set[bytes] = set()
        """Those of them that were settled since the last read began, which may have seen them open."""
        self._reading = asyncio.Lock()
        self._last: Commit[Any] | None = None

    def put(self, talk: TalkView, routed: RoutedMessage) -> None:
        """Keep a message: with the acknowledgement of the run that sent it, or, if that is not kept, by itself.

        Raises:
            NotDurableError: it cannot be kept.
            JournalError: the disk is slow, and it waits for no run's acknowledgement.
        """
        origin, node = routed.origin, self._node
        if self._surplus(talk) >= 0 and not _makes_room(talk):
            queue_full(talk, routed, node)
            return
        id = new_id() if origin.kept is None else origin.kept.part(f">{talk.name}>{node.name}").run_id
        tracker, options = DeliveryTracker(), NO_OPTIONS.inherit(origin.session)
        run = RunRequest(node, (routed.message,), id, origin.conversation_id, tracker, options, hops=origin.hops)
        if node.tracing is not None:
            run = replace(run, traceparent=node.tracing.accepted(run))
        kind, now = (RUN_KIND, encode_run(run)), self._window().now()
        entry = Entry(bytes.fromhex(id), self.name, origin.run_id, *kind, now)
        refused, accepted = partial(self._refused, talk, routed), partial(self._accepted, talk)
        self._last = keep(self._journal, entry, origin, accepted, refused) or self._last
        self.open += 1

    def _accepted(self, talk: TalkView, _: Entry, place: int | None) -> None:
        self.open -= place is None
        if self._surplus(talk) > 0 and _makes_room(talk):
            self._window().run(self._make_room(talk))

    def _refused(self, talk: TalkView, routed: RoutedMessage, error: BaseException) -> None:
        self.open -= 1
        failed(talk, routed, "queue", error, (self._node,))

    # -- capacity ---------------------------------------------------------------------------------------------------

    def _surplus(self, talk: TalkView) -> int:
        """Return how many messages more than allowed wait; negative while there is room."""
        return self.open - len(self._taken - self._ended) - (1 if talk.keeps_newest else talk.capacity)

    async def _make_room(self, talk: TalkView) -> None:
        """End the oldest messages, as those do that a newer one drops."""
        with suppress(JournalError):  # the next message makes room
            oldest = await self._read(len(self._taken) + max(0, self._surplus(talk)))
            for entry in oldest[: max(0, self._surplus(talk))]:
                if (routed := self._take(entry)) is not None:
                    if not talk.keeps_newest:
                        queue_full(talk, routed, self._node)
                    self.end((routed,), routed.failure)

    # -- trigger ----------------------------------------------------------------------------------------------------

    async def take(self) -> list[RoutedMessage]:
        """Return what waits, oldest first, for the caller alone: `give_back` what is neither ended nor released.

        Raises:
            JournalError: the journal cannot be read.
        """
        if self._last is not None and not self._last.done():
            await asyncio.wait([self._last])
        found = [self._take(entry) for entry in await self._read(MAX_COUNT)]
        self.open = max(self.open, len(self._taken - self._ended))  # the command line may have replayed some
        return [routed for routed in found if routed is not None]

    async def _read(self, limit: int) -> list[Entry]:
        """Return the oldest messages, without those that are taken."""
        async with self._reading:
            self._taken -= self._ended
            self._ended.clear()
            entries = await self._journal.waiting(self.name, 0, limit)
        return [entry for entry in entries if entry.id not in self._taken]

    def _take(self, entry: Entry) -> RoutedMessage | None:
        self._taken.add(entry.id)
        try:
            run = decode_run(entry.payload, self._node)
        except UndecodableError as error:
            self._end((entry.id,), "undecodable", error)
            return None
        return RoutedMessage(
            run.prompts[0], replace(run, run_id=entry.sender), current_system(), queue=self, row=entry.id
        )

    def give_back(self, messages: Sequence[RoutedMessage]) -> None:
        """Let messages wait again."""
        self._taken -= {one.row for one in messages if one.row not in self._ended}

    def end(self, messages: Sequence[RoutedMessage], error: BaseException | None = None) -> Commit[Any]:
        """End messages without a run; with an error they are dead letters of the journal."""
        return self._end([one.row for one in messages], "handled" if error is None else "failed", error)

    def _end(self, ids: Sequence[bytes], outcome: EndOutcome, error: BaseException | None) -> Commit[Any]:
        text = None if error is None else cause_text(error)
        one = Acknowledgement(ids[-1], outcome, error=text, is_dead=error is not None, also=tuple(ids[:-1]))
        return self._settle(one)

    async def release(self, messages: Sequence[RoutedMessage], post: Callable[[Origin], Reply]) -> Reply:
        """End messages in the commit that keeps what the last one of them becomes.

        Args:
            messages: what was taken and is put together.
            post: gives it to the node; the future is the answer, None for one that does not run.

        Raises:
            Exception: it was refused, or not kept. The messages wait as before.
        """
        *others, newest = (one.row for one in messages if one.queue is self)
        try:
            outbox = self._outbox(messages[-1])
            reply = await outbox.collect(partial(copy_context().run, partial(_posted, post, outbox.origin)))
            if reply is not None and reply.done():
                reply.result()
        except BaseException:
            self.give_back(messages)
            raise
        one = Acknowledgement(newest, "handled", outbox=tuple(outbox.entries), also=tuple(others))
        await self._settle(one, outbox)
        return reply

    def _outbox(self, routed: RoutedMessage) -> Outbox:
        """Return what takes the run that a message becomes. Raises NodeStoppedError if the node gets no runs here."""
        if not self._window().is_here:
            text = f"node {self._node.name!r} lives at another host of the cluster: trigger its connections there"
            raise NodeStoppedError(text, node=self._node.name)
        if not self._window().is_running:
            raise stopped(self._node.name)
        run: Any = routed.origin
        return Outbox(replace(run, kept=KeptRun(self._window().journal, routed.row, 0, {})), self._window().clock)

    def _settle(self, one: Acknowledgement, outbox: Outbox | None = None) -> Commit[Any]:
        """Settle messages in one commit. If it fails they wait as before."""
        ids = {one.id, *one.also}

        def committed(done: Commit[list[int | None]]) -> None:
            error = done.exception()
            if error is None:
                self.open -= len(ids)
                self._ended |= ids
            else:
                self._taken -= ids
            if outbox is not None and error is None:
                outbox.release(done.result())
            elif outbox is not None and error is not None:
                outbox.fail(error)

        write = self._window().journal.settle(one)
        write.then(committed)
        return write


def _posted(post: Callable[[Origin], Reply], origin: RunRequest) -> Reply:
    origin.continue_trace()
    return post(origin)


def _makes_room(talk: TalkView) -> bool:
    """Return True if old messages go when there are too many."""
    return talk.keeps_newest or talk.overflow is Overflow.DROP_OLDEST
