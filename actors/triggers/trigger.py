"""`Trigger`: what sources hold of one trigger, and `TriggerQueue`, the actor behind it that owns the queue."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from actors.runtime.actor import AsyncioActor
from actors.runtime.clock import running_loop
from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorStoppingError, MailboxFullError, RuntimeClosedError
from actors.runtime.mailbox import MailboxConfig
from actors.triggers.prompt import PromptStyle, format_prompt
from protocols.control import DeadLetterReason
from protocols.errors import NodeStoppedError
from protocols.ids import RunId, new_id
from protocols.mailbox import Overflow
from protocols.triggers import TriggerEvent, TriggerFullError, TriggerStoppedError

if TYPE_CHECKING:
    from actors.runtime.lifecycle import Cell
    from protocols.triggers import RunStarter

_log: Final = logging.getLogger("understudy")

UNDELIVERED: Final = (ActorStoppingError, RuntimeClosedError, NodeStoppedError, MailboxFullError)
"""Errors after which a run has not begun."""


class QueueSettings(Protocol):
    """How many events may wait, as in `actors.config.queue.QueueSpec`."""

    @property
    def capacity(self) -> int:
        """Events that may wait."""
        ...

    @property
    def overflow(self) -> str:
        """What happens to one too many."""
        ...


class TriggerSettings(PromptStyle, Protocol):
    """What all triggers have; each trigger of a manifest fits."""

    @property
    def concurrency(self) -> int:
        """Runs that may go on at once."""
        ...

    @property
    def queue(self) -> QueueSettings:
        """The queue."""
        ...


class TriggerStatistics(msgspec.Struct, frozen=True):
    """Numbers of one trigger: ``accepted == completed + failed + dead_lettered + running + queued``, always."""

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
    """Runs that go on."""
    queued: int = 0
    """Events that wait."""
    refused: int = 0
    """Events that were not accepted, because the queue was full; their senders know."""
    restarts: int = 0
    """How often the source has failed."""
    last_error: str = ""
    """Why it failed last."""


class QueuedEvent(msgspec.Struct, frozen=True):
    """An event that waits for its run."""

    event: TriggerEvent
    run_id: RunId


class Trigger:
    """One trigger of one node: takes events, queues them, counts. It is a `TriggerSink`.

    It stays the same when its source or its queue restarts.
    """

    def __init__(self, settings: TriggerSettings, starter: RunStarter, *, node: str = "") -> None:
        """Take the settings and what starts the runs; nothing is started yet.

        Args:
            settings: A trigger of a manifest, or anything like it.
            starter: Starts a run of the node.
            node: Name of the node, for names and errors.
        """
        self.settings = settings
        self.starter = starter
        self.node = node
        self.completed = 0
        self.failed = 0
        self.running = 0
        self.refused = 0
        self.restarts = 0
        self.last_error = ""
        self._accepted = 0
        self._lost = 0
        self._cell: Cell | None = None

    @property
    def name(self) -> str:
        """Name within its node."""
        return self.settings.name

    @property
    def full_name(self) -> str:
        """Node and trigger, as in ``writer/notes``."""
        return f"{self.node}/{self.name}" if self.node else self.name

    def accept(self, event: TriggerEvent) -> RunId:
        """Queue one run for the event and return its id at once; also from other threads.

        Raises:
            TriggerFullError: The queue is full and refuses.
            TriggerStoppedError: The trigger does not run.
        """
        cell = self._running_cell()
        if running_loop() is not cell.loop:
            return cell.system.bridge.call(lambda: self.accept(event))
        queued = QueuedEvent(event, RunId(new_id()))
        try:
            cell.ref.tell(queued)
        except MailboxFullError as error:
            self.refused += 1
            msg = f"trigger {self.full_name!r}: the queue is full ({cell.mailbox.capacity} events); try again later"
            raise TriggerFullError(msg, node=self.node) from error
        except ActorStoppingError as error:
            raise self._stopped() from error
        self._accepted += 1
        return queued.run_id

    def report(self, event: TriggerEvent) -> None:
        """Queue one run for an event of somebody who wants no answer. From any thread; never waits and never raises.

        An event that cannot be queued is a dead letter; one for a trigger that has never run, or whose event loop has
        been closed, is not even that, and logged.
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
        try:
            cell.ref.tell(QueuedEvent(event, RunId(new_id())))
        except MailboxFullError:
            self.discard(event)
        except ActorStoppingError:
            return  # the engine has made it a dead letter
        else:
            self._accepted += 1

    async def offer(self, event: TriggerEvent) -> RunId | None:
        """Queue one run for an event whose sender cannot be told to come again.

        Waits for room if that is the policy of the queue. An event that a full queue refuses becomes a dead letter, and
        so does one for a trigger that has stopped.

        Returns:
            The id of the run; None for a dead letter.

        Raises:
            TriggerStoppedError: The trigger has never run.
        """
        cell = self._running_cell()
        queued = QueuedEvent(event, RunId(new_id()))
        try:
            if cell.mailbox.overflow is Overflow.WAIT:
                await cell.ref.send(queued)
            else:
                cell.ref.tell(queued)
        except MailboxFullError:
            self.discard(event)
            return None
        except ActorStoppingError:
            return None  # the engine has made it a dead letter
        self._accepted += 1
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
        cell = self._running_cell()
        self._accepted += 1
        self._lost += 1
        cell.system.dead_letters.add(Envelope(event, cell, at=cell.now()), reason, cause)

    def lose(self) -> None:
        """Count an accepted event whose run could not begin (called by the queue)."""
        self._lost += 1

    def bind(self, cell: Cell) -> None:
        """Use this actor as the queue (called by it when it is made)."""
        if self._cell is not None and self._cell is not cell:
            self._lost += self._cell.dead
        self._cell = cell

    def note_failure(self, error: BaseException) -> None:
        """Remember why the source failed (called by the source)."""
        self.restarts += 1
        self.last_error = f"{type(error).__name__}: {error}"[:500]

    def statistics(self) -> TriggerStatistics:
        """Return the numbers as they are now."""
        cell = self._cell
        return TriggerStatistics(
            name=self.full_name,
            accepted=self._accepted,
            completed=self.completed,
            failed=self.failed,
            dead_lettered=self._lost + (cell.dead if cell is not None else 0),
            running=self.running,
            queued=len(cell.mailbox) if cell is not None else 0,
            refused=self.refused,
            restarts=self.restarts,
            last_error=self.last_error,
        )

    def mailbox_config(self) -> MailboxConfig:
        """Return the queue of the settings as the mailbox that it becomes."""
        queue = self.settings.queue
        return MailboxConfig(capacity=queue.capacity, overflow=Overflow(queue.overflow))

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
    """Starts a run for each event; its mailbox is the queue, its concurrency the limit of runs at once.

    A run that fails is a dead letter and no crash. Make it with `queue_class`.
    """

    def __init__(self, trigger: Trigger) -> None:
        super().__init__()
        self._trigger = trigger
        trigger.bind(self.cell)

    async def on_receive(self, message: Any) -> None:
        """Run one event to its end."""
        if not isinstance(message, QueuedEvent):
            self.unhandled(message)
            return
        trigger = self._trigger
        trigger.running += 1
        try:
            prompt = format_prompt(message.event, trigger.settings)
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
    """Return the class of queues with so many runs at once."""
    return type("TriggerQueue", (TriggerQueue,), {"max_concurrency": concurrency, "__doc__": TriggerQueue.__doc__})
