"""The durable mailbox of a node: what it has accepted is in the journal until it is acknowledged.

It stands in front of the mailbox of the actor: the journal commits, and then the request is given to the actor.
"""

import asyncio
from collections.abc import Sequence
from contextvars import copy_context
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from msgspec.structs import replace

from actors.durable.delivery_window import DeliveryWindow
from actors.durable.kept_context import KeptContext
from actors.durable.outbox import check_disk
from actors.durable.record import RUN_KIND, by_value, encode_run, needs_reading, readable
from actors.durable.talk_queue import TalkQueue
from actors.runs.durable import KeepsRuns, Ticket
from actors.runs.errors import run_failure, stopped
from actors.runs.request import RunRequest
from actors.runtime.clock import running_loop
from actors.runtime.errors import AskTimeoutError, MailboxFullError, WrongLoopError
from actors.runtime.future import AsyncioFuture
from actors.talk.context import TalkView
from actors.talk.detached_ask import Settled, failed_reply, when_settled
from protocols.journal import Commit, Entry, JournalFullError, MailboxJournal
from protocols.mailbox import Overflow
from protocols.messages import ChatMessage
from protocols.node import Origin

PATIENCE: Final = 5.0
"""Seconds that a mailbox which is closed waits for its last acknowledgements."""


def id_of(request_id: str) -> bytes:
    """Return the id of the message that has a name of its caller."""
    return blake2b(request_id.encode(), digest_size=16).digest()


class DurableMailbox(KeepsRuns):
    """Accepts the runs of one durable node. It lives on the event loop of its pool.

    Its window may be replaced by another one, as a tenure of its host begins or ends; its callers wait all the same.

    Args:
        window: what delivers them.
        journal: what keeps them.
        counts: open messages of mailboxes; taken out when they are known here.
    """

    def __init__(self, window: DeliveryWindow, journal: MailboxJournal, counts: dict[str, int]) -> None:
        self.window = window
        """What delivers them now."""
        self.answers = window.answers
        """Who waits for the answers."""
        self.node = window.node
        self.name = window.name
        """Its name in the journal."""
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._coming = 0
        """Runs whose acceptance is being committed."""
        self._entrance = asyncio.Lock()
        """Held by the first of the callers that wait for room or for the disk."""
        self._room: asyncio.Future[None] = self._loop.create_future()
        """Done when that one has to look again."""
        self._is_closed = False
        self._counts = counts
        self.queues: dict[str, TalkQueue] = {}
        """What waits for triggers, by connection."""
        self.context = KeptContext(self.name, lambda: self.window, journal)
        window.queue.open = counts.pop(window.name, 0)
        window.freed = self._freed

    @property
    def parts(self) -> "Sequence[DurableMailbox]":
        """The mailboxes of the node: this one."""
        return (self,)

    @property
    def is_here(self) -> bool:
        """True while the window of this process delivers to the node."""
        return self.window.is_here

    async def close(self, patience: float = PATIENCE) -> None:
        """Accept nothing more, and tell all who wait that their runs are kept.

        Args:
            patience: seconds to wait for what is being acknowledged.
        """
        self._is_closed = True
        await self.window.close(patience)
        self.answers.close()
        self._freed()

    @property
    def open(self) -> int:
        """Number of messages that are accepted and not acknowledged."""
        return self._waiting + sum(queue.open for queue in self.queues.values())

    @property
    def _waiting(self) -> int:
        return self.window.queue.open

    async def find(self, id: bytes) -> None:
        """Tell those who wait for a message that is not in memory how it ended, if the journal knows."""
        await self.answers.find(id)

    async def answer(self, id: bytes) -> ChatMessage[Any]:
        """Return the answer of a message, as soon as it is there; see `Answers.wait`."""
        with self.answers.awaited(id) as reply:
            if not self.window.knows(id):
                await self.find(id)
            return await reply

    def add_context(self, text: str, session: str | None, origin: Origin | None = None) -> None:
        """Keep a text for the next run, without waiting; see `NodeHandle.add_context`."""
        self._check()
        self.context.add(text, session, origin)

    def queue(self, talk: TalkView) -> TalkQueue:
        """Return what keeps the messages that wait for a trigger of a connection.

        Raises:
            NodeStoppedError: the node has left its pool.
            WrongLoopError: it lives on another event loop.
        """
        self._check(needs_actor=False)
        if talk.name not in self.queues:
            name = f"{self.name}#{talk.name}"
            self.queues[talk.name] = TalkQueue(name, lambda: self.window, self._journal, self._counts.pop(name, 0))
        return self.queues[talk.name]

    async def drained(self) -> None:
        """Wait until all accepted runs are acknowledged, or the node stops."""
        if self.window.is_running:
            await self.window.queue.drained()

    def takes(self, request: RunRequest, *, is_own: bool = False) -> bool:
        """Return True if it keeps a run. A stream, a part of another run and `durable=False` are run in memory.

        Args:
            request: the run.
            is_own: False for a run that is a part of the one whose handler makes it.
        """
        is_read = request.sink is not None or request.follower is not None or request.stats is not None
        return request.options.durable is not False and not is_read and (is_own or not request.parent_run_id)

    async def submit(self, request: RunRequest, accepted: Settled | None = None, *, waits: bool = True) -> Ticket[Any]:
        """Keep a run, and return its ticket after the commit; see `KeepsRuns`."""
        request = self._at_once(request, waits=waits) or await self._prepared(request, waits=waits)
        entry, request = self._entry(request)
        reply, is_new = self.answers.reply(entry.id), False
        try:
            is_new = await self._is_new(entry, self._keep(entry, request, None, accepted))
        finally:
            if not is_new:
                self.answers.drop(entry.id, reply)
        if not is_new:
            return self.ticket(entry.id)
        return Ticket(request.run_id, partial(self.answers.wait, entry.id, reply))

    def ticket(self, id: bytes) -> Ticket[Any]:
        """Return the ticket of a message that was known already."""
        return Ticket(id.hex(), partial(self.answer, id), is_new=False)

    async def ask(self, request: RunRequest, timeout: float | None) -> ChatMessage[Any]:
        """Keep a run and wait for its answer. A caller that is cancelled, or whose time is over, ends the run.

        A second caller of the same `request_id` only waits.
        """
        request, timeout = await self._prepared_within(request, timeout)
        entry, request = self._entry(request, timeout)
        entry = self._asked(entry)
        with self.answers.awaited(entry.id) as reply:
            kept = self._keep(entry, request, timeout)
            try:
                is_new = await self._is_new(entry, kept)
            except asyncio.CancelledError:  # it may be on disk in this moment
                kept.add_done_callback(partial(self._give_up, entry.id))
                raise
            if not is_new:
                return await self.ticket(entry.id).answer(timeout=timeout)
            timer = None
            if timeout is not None:
                timer = self.window.clock.call_later(timeout, self._expire, entry.id, timeout)
            try:
                return await reply
            except asyncio.CancelledError:
                if self.answers.has(entry.id) and self.answers.is_last(entry.id):
                    self._cancel(entry.id)
                raise
            finally:
                if timer is not None:
                    timer.cancel()

    def _give_up(self, id: bytes, kept: "asyncio.Future[list[int | None]]") -> None:
        """End a run whose caller was cancelled before it was accepted."""
        if kept.exception() is None and kept.result()[0] is not None:
            self._cancel(id)

    def _cancel(self, id: bytes) -> None:
        """End a run whose last caller in this process waits no more."""
        self.window.end(id, "cancelled", asyncio.CancelledError())

    def _expire(self, id: bytes, timeout: float) -> None:
        self.window.end(id, "expired", self._too_late(timeout))

    def _too_late(self, timeout: float | None) -> Exception:
        late = AskTimeoutError(f"no reply within {timeout} seconds")
        return run_failure(late, self.node.name, timeout)

    def post(self, request: RunRequest, origin: Origin | None, settled: Settled | None) -> AsyncioFuture[Any]:
        """Keep a run without waiting; see `protocols.node.Target.post`.

        What a kept run passes on has an id that is derived from it, so that it is the same when that run is repeated.
        """
        kept = None if origin is None else origin.kept
        outbox = None if kept is None else kept.outbox
        try:
            self._check()
            if kept is not None:
                request = replace(request, run_id=kept.part(f">{self.node.name}").run_id)
            if outbox is None:
                self._obstacles(request, waits=False)
            entry, request = self._entry(request, sender="" if origin is None else origin.run_id)
        except Exception as error:  # whoever posts is told by the future
            return failed_reply(error, settled)
        reply = when_settled(self.answers.reply(entry.id), origin, settled)
        if outbox is not None:
            accepted = partial(copy_context().run, partial(self._accepted, request, None))
            outbox.put(entry, accepted, partial(self.answers.fail, entry.id))
        else:
            self._keep(entry, request, None)
        return reply

    # -- accept -------------------------------------------------------------------------------------------------

    def _at_once(self, request: RunRequest, *, waits: bool = True) -> RunRequest | None:
        """Return a request that can be kept now as it is; None for one that has to wait for something."""
        self._check(needs_actor=False)  # the look for obstacles needs it
        is_first = not (waits and self._entrance.locked()) and not needs_reading(request)
        return self._named(request) if is_first and not self._obstacles(request, waits=waits) else None

    async def _prepared(self, request: RunRequest, *, waits: bool = True) -> RunRequest:
        """Return a request that can be kept as it is, when there is room for it."""
        self._check()
        if needs_reading(request):
            request = await readable(request)
        if self._obstacles(request, waits=waits) or (waits and self._entrance.locked()):
            async with self._entrance:  # first come, first served
                self._check()
                while obstacles := self._obstacles(request, waits=waits):
                    await asyncio.wait(obstacles, return_when=asyncio.FIRST_COMPLETED)
                    self._check()
        return self._named(request)

    def _named(self, request: RunRequest) -> RunRequest:
        """Return a run under the id of its name."""
        options = request.options
        if options.request_id is None and options.durable is None:
            return request
        run_id = request.run_id if options.request_id is None else id_of(options.request_id).hex()
        return replace(request, run_id=run_id, options=replace(options, request_id=None, durable=None))

    async def _prepared_within(self, request: RunRequest, timeout: float | None) -> tuple[RunRequest, float | None]:
        """Return a request that can be kept, and the time that is left then. Raises RunTimeoutError."""
        if (prepared := self._at_once(request)) is not None:
            return prepared, timeout  # without a timer: it waits for nothing
        began, limit = self.window.clock.now(), asyncio.timeout(timeout)
        try:
            async with limit:
                request = await self._prepared(request)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise self._too_late(timeout) from error
        return request, None if timeout is None else max(0.0, timeout - (self.window.clock.now() - began))

    def _obstacles(self, request: RunRequest, *, waits: bool) -> Sequence[asyncio.Future[Any]]:
        """Return what a run has to wait for, the first of which ends; nothing if it can be kept now.

        Raises:
            MailboxFullError: the mailbox is full, and it may not wait for room.
            JournalError: the disk is slow, and it may not wait.
        """
        mailbox, stalled = self.node.ref().actor_inbox, self._journal.stalled()
        if self._waiting + self._coming >= mailbox.capacity:
            if not waits or mailbox.overflow is not Overflow.WAIT:
                error = MailboxFullError(f"{self.node.name} (durable)", mailbox.capacity, request)
                request.refused(error)
                raise error
        elif stalled is None:
            return ()
        elif not waits:
            check_disk(self._journal)
        if self._room.done():
            self._room = self._loop.create_future()
        return (self._room,) if stalled is None else (self._room, stalled)

    def _freed(self) -> None:
        if not self._room.done():
            self._room.set_result(None)

    def _check(self, *, needs_actor: bool = True) -> None:
        if running_loop() is not self._loop:
            raise WrongLoopError(f"node {self.node.name!r} is durable, so it lives on one event loop: that of its pool")
        if self._is_closed:
            raise stopped(self.node.name)
        if needs_actor:
            self.node.ref()

    def _entry(
        self, request: RunRequest, timeout: float | None = None, *, sender: str = ""
    ) -> tuple[Entry, RunRequest]:
        """Return what is kept of a run, and the run as each of its deliveries finds it."""
        if self.node.tracing is not None:
            request = replace(request, traceparent=self.node.tracing.accepted(request))
        now, payload = self.window.now(), encode_run(request)
        limit = self.window.settings.expires if timeout is None else timeout
        expires = None if limit is None else now + limit
        entry = Entry(bytes.fromhex(request.run_id), self.name, sender, RUN_KIND, payload, now, expires=expires)
        return entry, by_value(request, payload)

    def _asked(self, entry: Entry) -> Entry:
        """Return what is kept of a run whose caller waits."""
        return entry

    async def _is_new(self, entry: Entry, kept: Commit[list[int | None]]) -> bool:
        """Wait for the commit. Return False if the id was known already."""
        (place,) = await kept.wait()
        if place is not None:
            return True
        known = await self._journal.find(entry.id)
        if known is not None and known.mailbox != entry.mailbox:
            raise ValueError(f"node {self.node.name!r}: this request_id is that of a run of {known.mailbox!r}")
        return False

    def _keep(
        self, entry: Entry, request: RunRequest, timeout: float | None, accepted: Settled | None = None
    ) -> Commit[list[int | None]]:
        """Keep a run, and deliver it after the commit, whether or not the caller still waits."""

        def committed(done: Commit[list[int | None]]) -> None:
            self._coming -= 1
            error = done.exception()
            if error is not None:
                self._freed()
                if isinstance(error, JournalFullError):
                    error.node, error.message = self.node.name, request
                    request.refused(error)
                self.answers.fail(entry.id, error)
                return
            (place,) = done.result()
            if accepted is not None and place is not None:
                accepted(self.answers.reply(entry.id))
            self._accepted(request, timeout, entry, place)

        kept = self._journal.accept((entry,))
        self._coming += 1
        run: Any = copy_context().run
        kept.then(partial(run, committed))  # not in that of another sender of the same commit
        return kept

    def _accepted(self, request: RunRequest, timeout: float | None, entry: Entry, place: int | None) -> None:
        if place is not None:
            self.window.add(entry, request, timeout, place)
            return
        self._freed()
        if self.answers.has(entry.id) and not self.window.knows(entry.id):
            self.window.run(self.find(entry.id))
