"""Durable plain actors: their refs put the messages that their classes name into the journal, before the mailbox."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from hashlib import blake2b
from typing import Any, Literal, TypeVar

import msgspec

from actors.durable.delivery_window import DeliveryWindow
from actors.durable.durable_mailbox import DurableMailbox
from actors.durable.kept_run import kept_here
from actors.durable.outbox import Outbox
from actors.durable.record import MAX_MESSAGE, UndecodableError, decode_answer, encode_answer, opened, sealed
from actors.runs.errors import stopped
from actors.runs.request import RunRequest
from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.errors import ActorStoppingError, AskTimeoutError
from actors.runtime.future import AsyncioFuture
from actors.runtime.ref import ActorRef
from actors.talk.signal import Signal
from protocols.delivery_tracker import DeliveryTracker
from protocols.durable import Durable
from protocols.errors import NodeStoppedError, RunTimeoutError, cause_text, error_text
from protocols.ids import new_id
from protocols.journal import Commit, Entry, MailboxJournal, NotDurableError

T = TypeVar("T")


class DurableActor:
    """A plain actor as the deliveries of kept messages see it: a node whose runs are single messages.

    Args:
        cell: the actor.
        settings: which messages it keeps, and how.
    """

    is_serial = False
    timeout = tracing = None
    crash_on = outlets = ()

    def __init__(self, cell: Cell, settings: Durable) -> None:
        self.cell = cell
        self.name = cell.name
        self.home = self
        self.message_sent: Signal[Any] = Signal("message_sent")
        self._kinds = {kind.__name__: kind for kind in settings.messages}
        self._inner: ActorRef[Any] = ActorRef(cell)

    @property
    def most_runs(self) -> int:
        """Messages that the actor handles at the same time."""
        return self.cell.max_concurrency

    @property
    def system(self) -> Any:
        """The system of the actor."""
        return self.cell.system

    @property
    def actor_inbox(self) -> Any:
        """The mailbox in memory. Its capacity and policy hold for kept messages as well."""
        return self.cell.mailbox

    def find(self) -> "DurableActor | None":
        """Return itself while the actor takes messages, else None."""
        return self if self._inner.is_alive() else None

    def ref(self) -> "DurableActor":
        """Return what is asked to handle a message. Raises NodeStoppedError after the end of the actor."""
        if not self._inner.is_alive():
            raise stopped(self.name, self.cell.cause)
        return self

    def message_key(self, _request: RunRequest) -> None:
        """Return None: nothing but the concurrency of the actor keeps its messages in order."""

    def ask(
        self, request: RunRequest, *, block: Literal[False] = False, timeout: float | None = None
    ) -> AsyncioFuture[Any]:
        """Give the actor a kept message, with an outbox for what its handler tells."""
        kept: Any = request.kept
        kept.outbox = Outbox(request, self.system.clock)
        reply: AsyncioFuture[Any] = self._inner.ask(request.prompts[0], block=block, timeout=timeout)
        if reply.envelope is not None:
            reply.envelope.kept = kept
        return reply

    def request(self, message: object, run_id: str = "") -> RunRequest:
        """Return a message as the request that is kept under an id."""
        return RunRequest(self, (message,), run_id, "", DeliveryTracker())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    def encode(self, message: object) -> bytes:
        """Return a message as bytes. Raises NotDurableError if it cannot be read again, or is too large."""
        kind = type(message).__name__
        try:
            payload = sealed(msgspec.msgpack.encode(message))
            self._read(kind, payload)
            problem = f"it has {len(payload):,} bytes, and a journal keeps at most {MAX_MESSAGE:,}"
        except Exception as error:  # of msgspec, or the user's type
            payload, problem = b"", f"{error_text(error)}; use fields that msgpack has"
        if not 0 < len(payload) <= MAX_MESSAGE:
            raise NotDurableError(f"actor {self.name!r}: {kind} cannot be kept: {problem}")
        return payload

    def decode(self, entry: Entry, _node: object = None) -> RunRequest:
        """Return the request of an entry. Raises UndecodableError."""
        try:
            return self.request(self._read(entry.kind, entry.payload), entry.id.hex())
        except KeyError:
            problem = "Durable(...) names no such class (any more)"
        except (msgspec.MsgspecError, UndecodableError) as error:
            problem = str(error)
        raise UndecodableError(f"actor {self.name!r}: a kept {entry.kind} cannot be read: {problem}")

    def _read(self, kind: str, payload: bytes) -> Any:
        return msgspec.msgpack.decode(opened(payload), type=self._kinds[kind])


class _AlreadyEnded(Exception):  # noqa: N818 - no error
    """A repeated handler sends a message that ended without an answer."""


class ActorMailbox(DurableMailbox):
    """Accepts the messages of one durable actor.

    Args:
        actor: the actor.
        window: what delivers them.
        journal: what keeps them.
    """

    def __init__(self, actor: DurableActor, window: DeliveryWindow, journal: MailboxJournal) -> None:
        super().__init__(window, journal, {})
        self.actor = actor
        window.queue.decode = actor.decode

    def keeps(self, message: object) -> bool:
        """Return True for a message of a class that is kept. Raises NotDurableError for one of a subclass of those."""
        kind, named = type(message), self.window.settings.messages
        if kind not in named and isinstance(message, named):
            text = f"actor {self.actor.name!r}: {kind.__name__} would come back as the class that it extends"
            raise NotDurableError(f"{text}; name it as well: Durable(..., {kind.__name__})")
        return kind in named

    def tell(self, message: object) -> None:
        """Keep a message with the acknowledgement of the one whose handler tells it; see `DurableRef.tell`."""
        run = kept_here()
        if run is None or run.outbox is None or run.journal is not self._journal:
            text = f"actor {self.actor.name!r}: tell cannot wait for the commit, and no handler of a kept message of "
            raise NotDurableError(f"{text}this journal is at work here; use `await ref.send(message)`")
        entry, request = self._entry(self.actor.request(message))
        accepted, context = partial(self._accepted, request, None), copy_context()
        run.outbox.put(entry, lambda entry, place: context.run(accepted, entry, place), lambda _: None)

    async def send(self, message: object) -> None:
        """Keep a message, and return after the commit."""
        with suppress(_AlreadyEnded):
            await self._told(self.submit(self.actor.request(message)))

    async def ask_kept(self, message: object, timeout: float | None) -> Any:
        """Keep a message and wait for its answer, which a repeated handler has to get from the journal."""
        run = kept_here()
        if run is not None:
            run.pass_turn()
        try:
            while True:  # what has failed before is asked anew
                with suppress(_AlreadyEnded):
                    answer = await self._told(self.ask(self.actor.request(message), timeout))
                    return answer if run is None else decode_answer(encode_answer(answer))
        except UndecodableError as error:
            text = f"actor {self.actor.name!r}: a repeated handler would not get this answer again, so none gets it"
            raise NotDurableError(f"{text}: {error}; answer what JSON has, or use send") from error

    async def _told(self, work: Awaitable[T]) -> T:
        """Wait with the errors of actors in place of those of nodes. Those of the handler have a note."""
        name = self.actor.name
        try:
            return await work
        except (RunTimeoutError, NodeStoppedError) as error:
            if getattr(error, "__notes__", None):
                raise
            if isinstance(error, RunTimeoutError):
                raise AskTimeoutError(f"actor {name} did not answer the kept message in time") from error
            why = "" if error.__cause__ is None else f": {cause_text(error.__cause__)}"
            text = f"actor {name} has stopped; what it had accepted is kept until an actor of this name starts{why}"
            raise ActorStoppingError(text) from (error.__cause__ or error)

    async def _is_new(self, entry: Entry, kept: Commit[list[int | None]]) -> bool:
        is_new = await super()._is_new(entry, kept)
        known = None if is_new else await self._journal.find(entry.id)
        if known is not None and known.outcome not in (None, "handled"):
            raise _AlreadyEnded
        return is_new

    def _entry(
        self, request: RunRequest, timeout: float | None = None, *, sender: str = ""
    ) -> tuple[Entry, RunRequest]:
        """Return what is kept of a message, and its request: a copy. A repeated handler sends it under the same id."""
        (message,), now, run, scope = request.prompts, self.window.now(), kept_here(), current.get()
        kind, payload = type(message).__name__, self.actor.encode(message)
        content = "" if run is None else blake2b(payload, digest_size=8).hexdigest()
        run_id = new_id() if run is None else run.part(f">{self.window.name}/{kind}/{content}").run_id
        limit = self.window.settings.expires if timeout is None else timeout
        entry = Entry(
            bytes.fromhex(run_id), self.window.name, sender if scope is None else scope.cell.name, kind, payload, now,
            expires=None if limit is None else now + limit,
        )  # fmt: skip
        return entry, self.actor.decode(entry)


class DurableRef(ActorRef[Any]):
    """The ref of a durable actor. Messages of other classes than those that it keeps go the usual way, in memory."""

    __slots__ = ("_mailbox",)

    def __init__(self, cell: Cell, mailbox: ActorMailbox) -> None:
        super().__init__(cell)
        self._mailbox = mailbox

    def _keeps(self, message: object) -> bool:
        scope = current.get()
        is_fenced = scope is not None and scope.fenced
        return self._mailbox.keeps(message) and self.is_alive() and not is_fenced  # else it is a dead letter, as always

    def tell(self, message: Any) -> None:
        """Keep a message with the acknowledgement of the kept message whose handler makes this call, in one commit.

        A handler that fails, or whose process dies, has told nothing.

        Raises:
            NotDurableError: no such handler makes this call, use `send`; or the message cannot be kept.
        """
        if self._keeps(message):
            self._mailbox.tell(message)
        else:
            super().tell(message)

    async def send(self, message: Any) -> None:
        """Keep a message, and return when it is in the journal. A handler that is repeated sends the same one once.

        Raises:
            NotDurableError: the message cannot be kept.
            MailboxFullError: as many messages are open as the mailbox has room for.
            JournalError: the journal could not keep it.
        """
        if self._keeps(message):
            self._cell.system.check_loop()
            await self._mailbox.send(message)
        else:
            await super().send(message)

    def forward(self, message: Any, reply: AsyncioFuture[Any]) -> None:
        """Keep a message that answers an earlier ask."""
        if running_loop() is self._cell.loop and not reply.done() and self._keeps(message):
            reply.follow(self._ask(self._cell, message, None))
        else:
            super().forward(message, reply)

    def _ask(self, cell: Cell, message: Any, seconds: float | None, given: Any = None) -> AsyncioFuture[Any]:
        if not self._keeps(message):
            return super()._ask(cell, message, seconds, given)
        scope = current.get()
        if scope is not None and scope.deadline is not None:
            left = max(0.0, scope.deadline - cell.now())
            seconds = left if seconds is None else min(seconds, left)
        reply: AsyncioFuture[Any] = AsyncioFuture(loop=cell.loop) if given is None else given
        reply.follow(asyncio.ensure_future(self._mailbox.ask_kept(message, seconds)))
        return reply
