"""The deliveries of a durable node: which kept messages are in memory, which one its actor gets, and how each ends."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import Context
from functools import cached_property, partial
from typing import Any, ClassVar

from msgspec.structs import replace

from actors.durable.acknowledgement import failed, handled
from actors.durable.answers import Answers
from actors.durable.failure import REASONS, ending_of, left_open, poison
from actors.durable.kept_queue import ALONE, PAUSE, WINDOW, KeptMessage, KeptQueue, time_left
from actors.durable.kept_run import KeptRun
from actors.durable.outbox import Outbox
from actors.durable.record import ASK_KIND, UndecodableError
from actors.runs.errors import run_failure
from actors.runs.handle import NodeHandle
from actors.runs.request import RunRequest
from actors.runtime.errors import AskTimeoutError, MailboxFullError
from actors.talk.detached_ask import post_outside
from protocols.clock import TimerHandle
from protocols.durable import Durable
from protocols.errors import NodeStoppedError, cause_text
from protocols.journal import Acknowledgement, Commit, EndOutcome, Entry, JournalError, JournalFullError, MailboxJournal
from protocols.journal_events import MessageRedelivered
from protocols.messages import ChatMessage

_log = logging.getLogger("understage.journal")


class DeliveryWindow:
    """The open messages of one node. The next ones are in memory, the rest is in the journal only.

    The actor gets no more requests than it handles at the same time, and the next one when the one before is
    acknowledged. Those that may have been under way when a process died come first, one at a time, each marked before.

    Args:
        node: the node.
        name: name of the mailbox in the journal.
        journal: what keeps the messages.
        settings: how the node keeps them.
        deliveries: most deliveries that end with the process, before a message is a dead letter.
        turn: held by the one message of all nodes that is delivered alone.
        now: wall time.
        answers: who waits for the answers; None for new ones.
    """

    is_here: ClassVar[bool] = True
    """False for the window of a node that another host delivers to."""

    def __init__(  # noqa: PLR0913 - keywords
        self,
        node: NodeHandle[Any, Any],
        name: str,
        journal: MailboxJournal,
        settings: Durable,
        *,
        deliveries: int,
        turn: asyncio.Lock | None = None,
        now: Callable[[], float] = time.time,
        answers: Answers | None = None,
    ) -> None:
        self.node = node
        self.name = name
        self.settings = settings
        self.answers = answers or Answers(node, journal)
        """Who waits for the answers."""
        self.journal = journal
        """What ends the messages."""
        self.freed: Callable[[], object] = lambda: None
        """Called when there is room for another message."""
        self.now = now
        self.is_running = False
        self._is_closed = False
        self._deliveries = deliveries + settings.retries
        self._turn = turn or asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self.queue = KeptQueue(node, name, journal, is_strict=settings.order == "strict", now=now)
        """What waits."""
        self._under_way: dict[bytes, KeptMessage] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._writes: set[Commit[Any]] = set()
        """Acknowledgements that wait for their commits."""
        self._timer: TimerHandle | None = None

    @cached_property
    def clock(self) -> Any:
        """The clock of the system of the actor, also when the actor has stopped."""
        return self.node.ref().system.clock

    def most(self) -> int:
        """Return how many messages may be under way now."""
        return min(self.node.most_runs, WINDOW)

    def knows(self, id: bytes) -> bool:
        """Return True if a message is in memory, so that its end is told here."""
        return id in self._under_way or self.queue.holds(id)

    def start(self) -> None:
        """Begin to deliver, with what earlier processes have left."""
        self.is_running = True
        self.look()

    def look(self) -> None:
        """Look for messages that another process has put into the journal, such as replayed ones."""
        self.queue.look()
        self._give()

    def change(self, settings: Durable) -> None:
        """Keep messages by other settings from now on."""
        self._deliveries += settings.retries - self.settings.retries
        self.settings, self.queue.is_strict = settings, settings.order == "strict"
        self._give()

    def pause(self) -> None:
        """Give the actor nothing more."""
        self.is_running = False
        self.queue.tell_drained()
        if self._timer is not None:
            self._timer.cancel()

    async def close(self, patience: float) -> None:
        """Stop, wait so long for what is being acknowledged, and cancel what is under way. It stays open."""
        self.pause()
        if self._writes:
            await asyncio.wait(self._writes, timeout=patience)
        self._is_closed = True
        for message in self._under_way.values():
            if message.reply is not None:
                message.reply.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for message in tuple(self._under_way.values()):
            self._give_back(message)

    def add(self, entry: Entry, request: RunRequest, timeout: float | None, place: int) -> None:
        """Deliver a message that has just been accepted, when its turn has come."""
        self.queue.add(entry, request, timeout, place)
        self._give()

    def end(self, id: bytes, outcome: EndOutcome, error: BaseException) -> None:
        """End a message whose caller waits no more, wherever it is."""
        self.answers.fail(id, error)
        if (message := self._under_way.get(id)) is None:
            self._failed(self.queue.take(id), outcome)
            return
        message.ended = message.ended or outcome
        if message.reply is not None:
            message.reply.cancel()

    def run(self, work: Any, context: Context | None = None) -> None:
        """Do asynchronous work until the window is closed. A fault in it ends the deliveries."""
        task = self._loop.create_task(work, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:  # a fault of ours: what is open stays kept
            self.broke(error)

    async def _load(self) -> None:
        try:
            await self.queue.load()
        except JournalError as error:
            self._failed_to_read(error)
        else:
            self._give()

    def _failed_to_read(self, error: JournalError) -> None:
        """Try again later, unless the journal works no more."""
        if error.is_final:
            self.broke(error)
        elif self.is_running:
            _log.warning("node %r: what waits for it cannot be read now: %s", self.node.name, error)
            self._give_after(PAUSE)

    def _give(self) -> None:
        """Give the actor the next messages, as many as it handles at the same time."""
        if self.queue.is_empty:  # what most acknowledgements find
            return
        most, under_way = self.most(), self._under_way
        while self.is_running and len(under_way) < most and (message := self.queue.next(under_way.values())):
            self._under_way[message.entry.id] = message
            if message.is_suspect or message.attempt:
                self.run(self._deliver_again(message))
            else:
                self._deliver(message, {})
        if self.is_running and self.queue.due_in is not None:
            self._give_after(self.queue.due_in)
        if self.is_running and self.queue.begin_load():
            self.run(self._load())

    def _give_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.clock.call_later(seconds, self._give)

    async def _deliver_again(self, message: KeptMessage) -> None:
        """Deliver a message that may have been handled in part: mark it, then find out what was finished."""
        id = message.entry.id
        try:
            if message.is_suspect:
                if message.attempt >= self._deliveries:
                    self._failed(message, "poison", poison(self.node.name, message.attempt))
                    return
                if message.attempt >= ALONE:  # whichever of them ended the process is found out alone
                    await self._turn.acquire()
                    message.turn = self._turn
                message.attempt = await self.journal.begin(id)
            steps = await self.journal.steps(id)
            if self.most() <= 0:
                raise JournalError("its lease is in doubt")  # noqa: TRY301 - tried again as what cannot be read
        except JournalError as error:
            self._release(message)
            self.queue.put_back(message)
            self._failed_to_read(error)
            return
        ref = self.node.home.find()
        if ref is not None and (events := ref.system.events).wants(MessageRedelivered):
            events.publish(MessageRedelivered, actor=self.node.name, run_id=id.hex(), attempt=message.attempt)
        self._deliver(message, steps)

    def _deliver(self, message: KeptMessage, steps: dict[str, tuple[bytes, bytes]]) -> None:
        try:
            if message.ended is not None:
                self._failed(message, message.ended)
                return
            request = message.request or self.queue.decode(message.entry, self.node)
            ref = self.node.ref()
        except UndecodableError as error:
            self._failed(message, "undecodable", error)
            return
        except NodeStoppedError as error:
            self._leave(message, left_open(self.node.name, error.__cause__))
            return
        run = KeptRun(self.journal, message.entry.id, message.attempt, steps, keeps_steps=self.settings.steps)
        message.begin(run, request, time_left(message, request, self.clock, self.now()))
        if message.timeout is not None and message.timeout <= 0:
            late = run_failure(AskTimeoutError("it is too late"), self.node.name, message.timeout)
            self._failed(message, "expired", late)
            return
        context = message.context or Context()
        if request.traceparent:
            context.run(request.continue_trace)
        message.reply = context.run(post_outside, ref, message.request, message.timeout, None, None)
        message.reply.add_done_callback(partial(self._replied, message, run))

    def _replied(self, message: KeptMessage, run: KeptRun, done: asyncio.Future[Any]) -> None:
        outbox, run.outbox = run.outbox, None
        if self._is_closed:
            return
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is None:
            self._handled(message, done.result(), outbox)
            return
        if isinstance(error, MailboxFullError) and not getattr(error, "__notes__", None):
            self._give_back(message)  # runs in memory have filled the mailbox of the actor
            self.queue.put_back(message)
            self._give_after(PAUSE)
            return
        if message.ended is not None:
            self._failed(message, message.ended)
            return
        outcome, failure = ending_of(error, self.node.name, message.timeout, self.node.crash_on)
        if outcome is None:
            self._leave(message, failure)
        elif outcome in ("failed", "crashed") and message.attempt < self.settings.retries:
            self._postpone(message, failure)
        else:
            self._failed(message, outcome, failure)

    def _leave(self, message: KeptMessage, error: BaseException) -> None:
        """Leave a message open that a stop cut off. Its mark is taken back: a stop buries nothing."""
        self._give_back(message)
        if self.is_running and self.node.home.find() is not None:
            message.is_suspect, message.reply = True, None
            self.queue.put_back(message)
            self._give()
            return
        self.is_running = False
        self.answers.fail(message.entry.id, error)

    def _release(self, message: KeptMessage) -> None:
        """Take note that the actor has a message no more."""
        self._under_way.pop(message.entry.id, None)
        message.pass_turn()

    def _give_back(self, message: KeptMessage) -> None:
        """Take note that the actor has not handled a message, and take its mark back."""
        self._release(message)
        if message.is_suspect and message.attempt:
            message.attempt -= 1
            self.journal.begin(message.entry.id, -1).then(lambda done: done.exception())

    def _postpone(self, message: KeptMessage, error: BaseException) -> None:
        """Deliver a message again later."""
        due = self.now() + self.settings.backoff

        def kept(done: Commit[int]) -> None:
            problem = done.exception()
            if problem is not None:
                self.broke(problem)
                return
            self._release(message)
            message.attempt, message.is_suspect, message.reply = done.result(), False, None
            message.entry = replace(message.entry, due=due)
            self.queue.put_back(message)
            self._give()

        self.journal.postpone(message.entry.id, due, cause_text(error)).then(kept)

    def _handled(self, message: KeptMessage, answer: ChatMessage[Any], told: Outbox | None) -> None:
        """Acknowledge a message with its answer, and with what its handler has told or the connections pass on."""
        request: Any = message.request
        context, request.kept.context = request.kept.context, None  # else a circle of references would keep each run
        if not self.node.outlets:
            self._settle_answer(message, answer, told)
            return
        outbox = told or Outbox(request, self.clock)

        async def collect() -> None:
            await outbox.collect(partial(self.node.offer, answer, outbox.origin))
            self._settle_answer(message, answer, outbox)

        self.run(collect(), context)

    def _settle_answer(self, message: KeptMessage, answer: ChatMessage[Any], outbox: Outbox | None) -> None:
        request: Any = message.request
        try:
            one = handled(message.entry.id, self.name, request, answer, outbox, message.run)
        except Exception as error:  # what the agent would remember cannot be written
            if outbox is not None:
                outbox.fail(error)
            self._failed(message, "failed", error)
            return

        def told(places: list[int | None]) -> None:
            if self.node.message_sent.subscribers:
                self.node.message_sent.emit(answer)
            if outbox is not None:
                outbox.release(places)
            self.answers.tell(one.id, answer)

        self._settle(message, one, told, outbox)

    def _failed(self, message: KeptMessage, outcome: EndOutcome, error: BaseException | None = None) -> None:
        """Acknowledge a message without an answer: a dead letter if its failure reaches no caller, or it never ran."""
        id, reason = message.entry.id, REASONS.get(outcome)
        is_awaited = message.entry.kind == ASK_KIND or self.answers.is_awaited(id)
        is_dead = reason is not None and (outcome in ("poison", "undecodable") or not is_awaited)
        one = failed(id, outcome, error, message.run, is_dead=is_dead)

        def told(_: list[int | None]) -> None:
            ref = self.node.home.find()
            if is_dead and reason is not None and ref is not None:
                what, sender = message.request or message.entry, message.entry.sender
                ref.system.dead_letters.record(what, self.node, reason, sender=sender, cause=error)
            self.answers.fail(id, error or NodeStoppedError(f"node {self.node.name!r}: the run was {outcome}"))

        self._settle(message, one, told)

    def _settle(
        self,
        message: KeptMessage,
        one: Acknowledgement,
        told: Callable[[list[int | None]], None],
        outbox: Outbox | None = None,
    ) -> None:
        def committed(done: Commit[list[int | None]]) -> None:
            self._writes.discard(done)
            problem = done.exception()
            if isinstance(problem, JournalFullError):  # room comes back, and the run is done
                self.clock.call_later(PAUSE, self._settle, message, one, told, outbox)
            elif problem is not None:
                if outbox is not None:
                    outbox.fail(left_open(self.node.name, problem))
                self.broke(problem)
            else:
                self._release(message)
                self.queue.count_end(message.entry.id)
                told(done.result())
                self.freed()
                self._give()

        write = self.journal.settle(one)
        self._writes.add(write)
        write.then(committed)

    def broke(self, error: BaseException) -> None:
        """Stop, because the journal does not work any more. What is open stays on disk."""
        if self.is_running:
            _log.error("node %r: its journal does not work, so it takes and handles nothing: %s", self.node.name, error)
        self.pause()
        self.answers.fail_all(error)
