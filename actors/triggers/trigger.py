"""`Trigger`, the handle that takes events, and `TriggerQueue`, the actor that starts a run for each event."""

import asyncio
import logging
from hashlib import blake2b
from typing import Any, Final

import msgspec

from actors.config.trigger import FileTrigger, TriggerSpec
from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorStoppingError, MailboxFullError, RuntimeClosedError
from actors.runtime.log import error_line
from actors.runtime.mailbox import MailboxConfig
from actors.triggers.files.text import text_of_files
from actors.triggers.prompt import format_prompt
from protocols.control import DeadLetterReason
from protocols.errors import NodeStoppedError
from protocols.ids import RunId, new_id
from protocols.journal import JournalError
from protocols.mailbox import Overflow
from protocols.triggers import (
    FileChanged,
    NotKeptError,
    RunKeeper,
    RunStarter,
    TriggerError,
    TriggerEvent,
    TriggerFullError,
    TriggerStoppedError,
)

_log: Final = logging.getLogger("understage")

_STOPPED: Final = (ActorStoppingError, RuntimeClosedError, NodeStoppedError)
UNDELIVERED: Final = (*_STOPPED, MailboxFullError, TriggerError)
"""Errors before a run has begun."""


class TriggerStatistics(msgspec.Struct, frozen=True):
    """Numbers of one trigger: ``accepted == completed + failed + dead_lettered + running + queued + kept``, always.

    Of a durable node they count the events of this process; those beyond the concurrency of the trigger are ``queued``.
    """

    name: str
    """Node and trigger, as in ``writer/notes``."""
    accepted: int = 0
    """Events taken."""
    completed: int = 0
    """Runs that ended with a result."""
    failed: int = 0
    """Runs that raised or were cancelled."""
    dead_lettered: int = 0
    """Events without a run: the queue overflowed, the trigger stopped, or the node was gone."""
    running: int = 0
    """Runs that have not ended yet."""
    queued: int = 0
    """Events that wait."""
    kept: int = 0
    """Events of a durable node that has stopped; they are in its journal, for when it runs again."""
    refused: int = 0
    """Events that a full queue or journal has refused; their senders know."""
    restarts: int = 0
    """Failures of the source."""
    last_error: str = ""
    """The last failure."""


class QueuedEvent(msgspec.Struct, frozen=True):
    """An event that waits for its run."""

    event: TriggerEvent
    run_id: RunId


class EventTicket(msgspec.Struct, frozen=True):
    """An event that has been accepted."""

    run_id: RunId
    is_new: bool = True
    """False for an event that a durable node had accepted before; this is its run."""


class Trigger:
    """One trigger of one node: takes events, queues and counts them. It is a `TriggerSink`.

    `starter` starts the runs of the node. While it is durable, `keeper` keeps them at once in place of the queue. The
    handle stays the same when its source or its queue restarts.
    """

    def __init__(
        self, settings: TriggerSpec, starter: RunStarter, *, node: str = "", keeper: RunKeeper | None = None
    ) -> None:
        self.settings = settings
        self.starter = starter
        self.keeper = keeper
        self.node = node
        self.completed = 0
        self.failed = 0
        self.running = 0
        self.kept = 0
        self.refused = 0
        self.restarts = 0
        self.last_error = ""
        self.is_failing = False
        """True from a failure of the source until it watches again."""
        self.last_event: TriggerEvent | None = None
        """The event that came last, whether it could be accepted or not."""
        self._accepted = 0
        self._lost = 0
        self._open = 0
        """Events in the journal that this process has accepted and not handled yet."""
        self._cell: Cell | None = None

    @property
    def name(self) -> str:
        """Name within its node."""
        return self.settings.name

    @property
    def full_name(self) -> str:
        """Node and trigger, as in ``writer/notes``."""
        return f"{self.node}/{self.name}" if self.node else self.name

    @property
    def is_durable(self) -> bool:
        """True if the node keeps its runs in a journal."""
        return self.keeper is not None and self.keeper.is_durable

    def kept_id(self, key: str) -> RunId:
        """Return the id of the run of an event of a durable node: the same for the same key, new without one."""
        text = f"{self.full_name}\0{key}".encode("utf-8", "surrogatepass")
        return RunId(blake2b(text, digest_size=16, person=b"trigger").hexdigest() if key else new_id())

    async def accept(self, event: TriggerEvent, key: str = "") -> EventTicket:
        """Queue one run for the event, at once; for a durable node, return when the journal has kept it.

        It belongs on the event loop of the trigger; any thread may `report`.

        Args:
            event: the event.
            key: tells it from all other events of the trigger; a durable node accepts it once, however often it comes.

        Raises:
            TriggerFullError: The queue is full and refuses, or a durable node cannot keep the event now.
            TriggerStoppedError: The trigger does not run.
            TriggerError: A durable node can never keep the event; it is too large, for example.
        """
        cell = self._noted(event)
        if self.is_durable:
            return await self.keep(event, self.kept_id(key), waits=False)
        queued = QueuedEvent(event, RunId(new_id()))
        try:
            cell.ref.tell(queued)
        except MailboxFullError as error:
            self.refused += 1
            message = f"trigger {self.full_name!r}: the queue is full ({cell.mailbox.capacity} events); try again later"
            raise TriggerFullError(message, node=self.node) from error
        except ActorStoppingError as error:
            raise self._stopped() from error
        return EventTicket(queued.run_id)

    async def keep(self, event: TriggerEvent, run_id: RunId, *, waits: bool = True) -> EventTicket:
        """Have a durable node keep the run of an event; see `accept` for the errors."""
        if not self._running_cell().ref.is_alive():
            raise self._stopped()
        assert self.keeper is not None
        try:
            prompt = await self.prompt(event)
            is_new = await self.keeper.keep(prompt, run_id, event, self._accept, waits=waits)
        except _STOPPED as error:
            raise self._stopped() from error
        except (MailboxFullError, JournalError) as error:
            self.refused += 1
            message = f"trigger {self.full_name!r}: the event is not kept now; try again later: {error}"
            raise NotKeptError(message, node=self.node) from error
        except Exception as error:
            message = f"trigger {self.full_name!r}: the event can never be kept: {error}"
            raise TriggerError(message, node=self.node) from error
        return EventTicket(run_id, is_new)

    async def prompt(self, event: TriggerEvent) -> str:
        """Return the prompt of a run, and read what it needs to.

        Raises:
            PromptFileError: the prompt is to hold the text of a file that is none.
        """
        text = ""
        if isinstance(self.settings, FileTrigger) and self.settings.has_text and isinstance(event, FileChanged):
            text = await self._running_cell().system.in_thread(text_of_files)(event, self.settings.max_text)
        return format_prompt(event, self.settings, text)

    def _accept(self, reply: "asyncio.Future[Any]") -> None:
        self._accepted += 1
        self._open += 1
        reply.add_done_callback(self._settled)

    def _settled(self, reply: "asyncio.Future[Any]") -> None:
        error = asyncio.CancelledError() if reply.cancelled() else reply.exception()
        self._open -= 1
        if isinstance(error, NodeStoppedError):
            self.kept += 1
        elif error is not None:
            self.failed += 1
        else:
            self.completed += 1

    def report(self, event: TriggerEvent) -> None:
        """Queue one run for an event whose sender wants no answer. Works in any thread; never waits and never raises.

        An event that cannot be queued becomes a dead letter. If the trigger has never run, or its event loop is closed,
        the event is only logged.
        """
        cell = self._cell
        if cell is not None and running_loop() is cell.loop:
            self._take(cell, event)
            return
        try:
            if cell is None:
                raise self._stopped()
            cell.loop.call_soon_threadsafe(self._take, cell, event)
        except (RuntimeError, TriggerStoppedError) as error:
            _log.warning("trigger %r: an event is lost: %s", self.full_name, error)

    def _take(self, cell: Cell, event: TriggerEvent) -> None:
        self.last_event = event
        try:
            cell.ref.tell(QueuedEvent(event, RunId(new_id())))
        except MailboxFullError:
            self.discard(event)
        except ActorStoppingError:
            return  # the engine has made it a dead letter

    async def offer(self, event: TriggerEvent, key: str = "") -> RunId | None:
        """Queue one run for an event whose sender cannot send it again; a durable node keeps it before this returns.

        Waits for space if that is the policy of the queue, or of the durable node. An event becomes a dead letter if a
        full queue refuses it, a durable node cannot keep it, or the trigger has stopped.

        Returns:
            The id of the run; None for a dead letter.

        Raises:
            TriggerStoppedError: The trigger has never run.
            NotKeptError: A durable node cannot keep an event with a key (see `accept`) now; offer it again.
        """
        cell = self._noted(event)
        if self.is_durable:
            try:
                return (await self.keep(event, self.kept_id(key))).run_id
            except TriggerError as error:
                if key and isinstance(error, NotKeptError):
                    raise
                self.discard(event, DeadLetterReason.REJECTED, error)
                return None
        queued = QueuedEvent(event, RunId(new_id()))
        try:
            if cell.mailbox.overflow is Overflow.WAIT and len(cell.mailbox) >= cell.mailbox.capacity:
                await cell.ref.send(queued)
            else:
                cell.ref.tell(queued)  # at once, so a source that is cancelled knows whether the event was accepted
        except MailboxFullError:
            self.discard(event)
            return None
        except ActorStoppingError:
            return None  # the engine has made it a dead letter
        return queued.run_id

    def discard(
        self,
        event: TriggerEvent,
        reason: DeadLetterReason = DeadLetterReason.OVERFLOW,
        cause: BaseException | None = None,
    ) -> None:
        """Make an event a dead letter and count it as accepted and dead-lettered.

        Raises:
            TriggerStoppedError: The trigger has never run.
        """
        cell = self._noted(event)
        self._accepted += 1
        self._lost += 1
        cell.system.dead_letters.add(Envelope(event, cell, at=cell.now()), reason, cause)

    def lose(self) -> None:
        """Count an accepted event whose run could not begin. The queue calls this."""
        self._lost += 1

    def pass_on(self) -> None:
        """Count a queued event once that the journal has taken over. The queue calls this."""
        self._accepted -= 1

    def bind(self, cell: Cell) -> None:
        """Use this actor as the queue. The actor calls this when it is made."""
        if self._cell is not None and self._cell is not cell:
            self._lost += self._cell.dead
            self._accepted += self._cell.accepted
        self._cell = cell

    def note_failure(self, error: BaseException) -> None:
        """Remember why the source failed. The source calls this."""
        self.restarts += 1
        self.last_error, self.is_failing = error_line(error), True

    def statistics(self) -> TriggerStatistics:
        """Return the numbers as they are now."""
        cell = self._cell
        begun = min(self._open, self.settings.concurrency)
        return TriggerStatistics(
            name=self.full_name,
            accepted=self._accepted + (cell.accepted if cell is not None else 0),
            completed=self.completed,
            failed=self.failed,
            dead_lettered=self._lost + (cell.dead if cell is not None else 0),
            running=self.running + begun,
            queued=(len(cell.mailbox) if cell is not None else 0) + self._open - begun,
            kept=self.kept,
            refused=self.refused,
            restarts=self.restarts,
            last_error=self.last_error,
        )

    def mailbox_config(self) -> MailboxConfig:
        """Return the mailbox that the queue of the settings becomes."""
        queue = self.settings.queue
        return MailboxConfig(capacity=queue.capacity, overflow=Overflow(queue.overflow))

    def _noted(self, event: TriggerEvent) -> Cell:
        self.last_event = event
        return self._running_cell()

    def _running_cell(self) -> Cell:
        if self._cell is None:
            raise self._stopped()
        return self._cell

    def _stopped(self) -> TriggerStoppedError:
        state = "has not started yet" if self._cell is None else "has stopped or is stopping"
        return TriggerStoppedError(f"trigger {self.full_name!r} {state} and takes no events", node=self.node)

    def __repr__(self) -> str:
        return f"<Trigger {self.full_name!r}>"


class TriggerQueue(AsyncioActor):
    """Starts a run for each event. Its mailbox is the queue; its concurrency limits the runs at the same time.

    A run that fails is a dead letter and not a crash. `queue_class` makes the class.
    """

    def __init__(self, trigger: Trigger) -> None:
        super().__init__()
        self._trigger = trigger
        trigger.bind(self._actor_cell)

    async def on_receive(self, message: Any) -> None:
        """Run one event to its end."""
        if not isinstance(message, QueuedEvent):
            self.unhandled(message)
            return
        trigger = self._trigger
        trigger.running += 1
        try:
            if trigger.is_durable:  # a report, or of before the node was durable
                await trigger.keep(message.event, message.run_id)
                trigger.pass_on()
                return
            prompt = await trigger.prompt(message.event)
            await trigger.starter(prompt, run_id=message.run_id, event=message.event)
        except UNDELIVERED as error:
            trigger.lose()
            self.fail_reply(error)
        except Exception as error:  # a failed run is a value
            trigger.failed += 1
            self.fail_reply(error)
        except BaseException:  # cancelled, or a crash: the engine makes it a dead letter
            trigger.failed += 1
            raise
        else:
            trigger.completed += 1
        finally:
            trigger.running -= 1


def queue_class(concurrency: int) -> type[TriggerQueue]:
    """Return the class of queues with this limit of runs at the same time."""
    return type("TriggerQueue", (TriggerQueue,), {"max_concurrency": concurrency, "__doc__": TriggerQueue.__doc__})
