"""`BackgroundActor`: repeats the runs of a node. Rounds, pauses and the end are messages to itself."""

from collections.abc import Sequence
from enum import Enum
from typing import Any

import msgspec

from actors.runs.job import called
from actors.runs.node_stats import NodeStats
from actors.runs.request import RunOptions
from actors.runs.run_stats import RunStats
from actors.runtime.actor import AsyncioActor
from actors.runtime.envelope import Carried
from actors.runtime.owned_tasks import PendingTask
from protocols.context import enter
from protocols.control import Terminated
from protocols.errors import NodeStoppedError, error_text
from protocols.messages import ChatMessage

SHUTDOWN = 5.0
"""Seconds that the current round has to end after a stop."""


class Plan(msgspec.Struct, frozen=True, eq=False):
    """What a background run repeats."""

    node: NodeStats[Any, Any]
    prompts: Sequence[object]
    """Functions among the prompts are called for every round."""
    options: RunOptions
    max_count: int | None
    """Number of rounds; None for no limit."""
    interval: float
    """Seconds between the end of a round and the start of the next."""
    carried: Carried | None = None
    """Context variables of the caller."""


class Step(Enum):
    """A message to the actor."""

    NEXT = "next"
    """Start a round."""
    STOP = "stop"
    """Start no more rounds. The current round may end within the shutdown time."""
    ABORT = "abort"
    """Cancel the current round and stop."""


class _Ended(msgspec.Struct, frozen=True, eq=False):
    answer: ChatMessage[Any] | None
    error: BaseException | None


class BackgroundActor(AsyncioActor):
    """Repeats the runs of one node until the last round, a failure of a team, a stop, or the end of the node."""

    def __init__(self, work: list[tuple[Plan, RunStats]]) -> None:
        super().__init__()
        self._plan, self._stats = work.pop()  # the engine keeps the arguments, and must not keep the node
        self._rounds = 0
        self._answer: ChatMessage[Any] | None = None
        self._error: Exception | None = None
        self._known_errors = 0
        self._round: PendingTask[None] | None = None
        self._is_stopping = False

    def on_start(self) -> None:
        """Start the first round."""
        self.actor_ref.tell(Step.NEXT)

    def on_receive(self, message: Any) -> None:
        """Handle one step."""
        if type(message) is _Ended:
            self._ended(message)
        elif message is Step.NEXT:
            if self._round is None and not self._is_stopping:
                self._round = self.pipe_to_self(self._run(), _Ended)
        elif message is Step.STOP:
            self._stop_soon()
        elif message is Step.ABORT:
            self._finish()
        else:
            self.unhandled(message)

    def on_terminated(self, terminated: Terminated) -> None:
        """Stop if the node has stopped for good."""
        try:
            self._plan.node.ref()  # starts an actor without an owner again
        except Exception:  # the node is closed or given up, or the system is closing
            self._finish()

    def on_stop(self) -> None:
        """Report the end to the stats."""
        self._stats.finish(self._answer, self._error if self._answer is None else None)

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        """Report the crash to the stats."""
        self._stats.finish(None, exception_value if isinstance(exception_value, Exception) else None)

    async def _run(self) -> ChatMessage[Any]:
        plan = self._plan
        enter(plan.carried)
        self.watch(plan.node.ref())
        self._known_errors = self._stats.error_count
        self._stats.begin()
        request = plan.node.request([await called(one) for one in plan.prompts], plan.options)
        return await plan.node.ask(msgspec.structs.replace(request, stats=self._stats))

    def _ended(self, ended: _Ended) -> None:
        self._round = None
        self._rounds += 1
        if ended.answer is not None:
            self._answer, self._error = ended.answer, None
            if not self._plan.node.counts_members:
                self._stats.add(ended.answer)
        elif isinstance(ended.error, NodeStoppedError):
            self._is_stopping = True
        elif isinstance(ended.error, Exception):
            self._failed(ended.error)
        if self._is_stopping or self._rounds == self._plan.max_count:
            self._finish()
        elif self._plan.interval:
            self.schedule(self._plan.interval, Step.NEXT)
        else:
            self.actor_ref.tell(Step.NEXT)

    def _failed(self, error: Exception) -> None:
        node, stats = self._plan.node, self._stats
        self._error = error
        if not node.runs_until_stopped:
            self._is_stopping, self._answer = True, None
        if stats.error_count == self._known_errors:  # a team has already noted the failed member
            stats.add_error(node.name, error_text(error))

    def _stop_soon(self) -> None:
        self._is_stopping = True
        if self._round is None:
            self._finish()
        else:
            self.schedule(SHUTDOWN, Step.ABORT)

    def _finish(self) -> None:
        self._is_stopping = True
        if self._round is not None:
            self._round.cancel()
        self.stop()
