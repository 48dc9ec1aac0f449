"""What a run under way knows of the journal that keeps it: its parts, its steps, and its delivery."""

from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from hashlib import blake2b
from typing import Any, Final, Self

from pydantic_ai import ApprovalRequired, CallDeferred, ModelRetry

from actors.durable.outbox import Outbox
from actors.durable.record import UndecodableError, decode_answer, encode_answer, returns_equal
from actors.durable.step_journal import StepJournal
from actors.prompts.pending_context import KeptText, end_kept
from actors.runs.correlation import run_here
from actors.runs.errors import ENGINE_ERRORS
from actors.runtime.envelope import current
from protocols.delivery import Delivery, Kept, tool_call_id
from protocols.errors import (
    MemberError,
    NodeStoppedError,
    RunCancelledError,
    RunError,
    RunTimeoutError,
    error_text,
    of_kind,
    type_name,
)
from protocols.journal import Commit, JournalError, MailboxJournal
from protocols.messages import ChatMessage, is_message

_PASSING: Final = (
    *ENGINE_ERRORS, NodeStoppedError, RunCancelledError, RunTimeoutError, JournalError,
    ModelRetry, ApprovalRequired, CallDeferred,
)  # fmt: skip


class KeptRun(Kept):
    """A kept run that is under way, or a part of one.

    The parts of a run are no messages of their own. Their run ids are derived from that of the run, so that a run which
    is delivered again has the same parts, and their answers are steps of the outermost run.

    Args:
        journal: what keeps the run.
        id: the message in the journal.
        attempt: 0 for the first delivery.
        steps: digest and payload of what earlier deliveries have finished, by key.
        keeps_steps: True to keep the steps of models and tools.
    """

    is_part = False
    outbox: Outbox | None = None
    """Takes what the connections pass on, until the acknowledgement; None before and after."""
    context: Context | None = None
    """That of its handler, whose trace the connections continue; None but between its answer and its end."""
    turn = ""
    """What a retry and a replay change, and a death does not: after them what has failed may go well."""
    _outermost: "KeptRun | None" = None  # no reference to itself: a run is freed with its last user
    _step_journal: StepJournal | None = None

    def __init__(
        self,
        journal: MailboxJournal,
        id: bytes,
        attempt: int,
        steps: dict[str, tuple[bytes, bytes]],
        *,
        keeps_steps: bool = True,
    ) -> None:
        self.run_id = id.hex()
        self.id = id
        self.attempt = attempt
        self.has_steps = bool(steps)
        """True if the journal has steps of the run."""
        self.texts: list[str] = []
        """What it has read of `add_context`."""
        self.also: list[bytes] = []
        """What ends with it in the journal: all texts that it and its parts have read."""
        self.pass_turn: Callable[[], None] = lambda: None
        """Lets a message be delivered that this one waits for, if both of them have to be delivered alone."""
        self.journal = journal
        self._steps = steps
        self._keeps_steps = keeps_steps
        self._places: dict[tuple[str, str], int] = {}

    @property
    def _root(self) -> "KeptRun":
        return self._outermost or self

    def part(self, name: str) -> Self:
        """Return that of the next run inside this one, by a node of this name."""
        call = tool_call_id.get()
        self._places[call, name] = number = self._places.get((call, name), 0) + 1
        place = f"{self.run_id}\0{call}\0{name}\0{number}"
        part = type(self)(
            self.journal,
            blake2b(place.encode(), digest_size=16).digest(),
            self.attempt,
            self._steps,
            keeps_steps=self._keeps_steps,
        )
        part.is_part, part.also, part._outermost = True, self.also, self._root  # noqa: SLF001 - its own class
        return part

    def known(self, prompts: Sequence[object]) -> ChatMessage[Any] | None:
        """Return the recorded answer of this part, if it was asked the same. Raises RunError if it has failed then."""
        failure = self.recorded("failure", _digest((self._root.turn, *prompts)))
        if failure is not None:
            raise RunError(failure.decode())
        payload = self.recorded("answer", _digest(prompts))
        try:
            return None if payload is None else decode_answer(payload)
        except UndecodableError:  # of a version before
            return None

    async def note(self, prompts: Sequence[object], answer: ChatMessage[Any]) -> None:
        """Keep the answer of a part; does nothing for the outermost run.

        An answer that would come back as another value is not kept: the part runs again, on its own recorded steps.
        """
        if not self.is_part:
            self.context = copy_context()
        elif returns_equal(answer):
            kept = self._keep("answer", _digest(prompts), encode_answer(answer))
            end_kept(self.texts)  # a run that is delivered again reads none of them
            await kept

    def failed(self, prompts: Sequence[object], error: Exception) -> None:
        """Keep class and text of the failure of a part, before all that follows from it."""
        if self.is_part and not _may_pass(error):
            text, digest = f"{type_name(error)}: {error_text(error)}", _digest((self._root.turn, *prompts))
            kept = self._keep("failure", digest, text.encode("utf-8", "replace"))
            kept.then(lambda done: done.exception())  # what keeps it from being written is told to the next write
            end_kept(self.texts)

    def read(self, texts: list[str]) -> list[str]:
        """Note texts that end with the run. Return all that it has to read, in each attempt."""
        self.texts += texts
        self.also += [one.id for one in texts if isinstance(one, KeptText)]
        return self.texts

    def recorded(self, key: str, digest: bytes) -> bytes | None:
        """Return the payload of a step of this run that was finished in an earlier delivery."""
        found = self._steps.get(self._key(key))
        return None if found is None or found[0] != digest else found[1]

    async def keep(self, key: str, digest: bytes, payload: bytes) -> None:
        """Keep a finished step; returns after the commit."""
        await self._keep(key, digest, payload)

    def _keep(self, key: str, digest: bytes, payload: bytes) -> Commit[None]:
        self._root.has_steps = True
        return self.journal.keep_step(self._root.id, self._key(key), digest, payload)

    def _key(self, key: str) -> str:
        return f"{self.run_id}/{key}" if self.is_part else key

    def capabilities(self) -> Sequence[Any]:
        """Return the capability that keeps the steps of a model's run. All attempts of the run share it."""
        if self._keeps_steps and self._step_journal is None:
            self._step_journal = StepJournal(self)
        return () if self._step_journal is None else (self._step_journal,)


def _may_pass(error: BaseException | None, depth: int = 8) -> bool:
    """Return True if a run was stopped, was not kept, or asks a model to try again: it may go another way next time."""
    if error is None or not depth:
        return False
    inner = error.errors.values() if isinstance(error, MemberError) else ()
    return of_kind(error, *_PASSING) or any(_may_pass(one, depth - 1) for one in (error.__cause__, *inner))


def _digest(prompts: Sequence[object]) -> bytes:
    """Return what tells the prompts of a part from others. Ids and times differ between deliveries."""
    texts = (one.text if is_message(one) else repr(one) for one in prompts)
    return blake2b("\0".join(texts).encode(), digest_size=16).digest()


def kept_here() -> KeptRun | None:
    """Return the delivery of the kept message whose handler, of a plain actor, makes this call; None elsewhere."""
    scope = current.get()
    kept: KeptRun | None = None if scope is None else scope.kept
    return kept


def delivery() -> Delivery:
    """Return the delivery of the run, or of the kept message of an actor, in whose code this call is made.

    Example:
        ```python
        @agent.tools.tool_plain
        def pay(amount: int) -> str:
            return bank.pay(amount, idempotency_key=delivery().tool_key)
        ```

    For a run in memory the key is its run id, and the attempt is 0.

    Raises:
        RuntimeError: called outside of any run and of any handler of a kept message.
    """
    if (kept := kept_here()) is not None:
        return Delivery(kept.run_id, kept.attempt)
    run = run_here()
    if run is None:
        text = "tools and callbacks of a run, and for handlers of kept messages; this call comes from outside"
        raise RuntimeError(f"delivery() is for {text}")
    return Delivery(run.run_id, 0 if run.kept is None else run.kept.attempt, tool_call_id.get())
