"""`RunStats`: the live view of one run: connections, answers, failures, totals, end."""

import asyncio
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from typing import Any

from actors.stats.message_totals import MessageNumbers, MessageTotals, MessageTotalsSnapshot
from actors.stats.run_snapshot import RunError, RunSnapshot, text_table
from actors.talk.team_talk import TeamTalk
from protocols.cost import TokenCost
from protocols.errors import NotRunningError
from protocols.messages import ChatMessage, MessageStyle
from protocols.ring import DEFAULT_CAPACITY, MessageRing
from protocols.tool_call import ToolCallInfo


class RunStats(TeamTalk, MessageNumbers):
    """The live stats of one run. Any task or thread can read them, and the totals only grow.

    The object is the list of the connections of the run, and holds the latest 1,000 answers and the failures. Awaiting
    it gives the final message. It stays readable after the end of the run, the node and the pool.

    Example:
        ```python
        stats = await chain.run_in_background("task")
        while chain.is_running:
            print(len(stats), stats.message_count, len(stats.errors))
            await asyncio.sleep(0.5)
        message = await stats
        ```
    """

    def __init__(self, talks: Iterable[Any] = (), *, name: str = "", capacity: int = DEFAULT_CAPACITY) -> None:
        """Make the stats of a run.

        Args:
            talks: connections of the run.
            name: name of the node.
            capacity: number of answers that are kept.
        """
        super().__init__(talks)
        self.name = name
        self.start_time = datetime.now(UTC)
        """Start of the run (UTC)."""
        self.messages: MessageRing[ChatMessage[Any]] = MessageRing(capacity=capacity)
        """The latest `capacity` answers, oldest first; fewer when they hold more than 32 MiB."""
        self.errors: list[RunError] = []
        """The latest `capacity` failures as (name, text, time), oldest first."""
        self._tool_calls: MessageRing[ToolCallInfo] = MessageRing(capacity=capacity)
        self._total = MessageTotals()
        self._nodes: dict[str, MessageTotals] = {}
        self._targets: dict[str, None] = {}
        self._lock = threading.Lock()
        self._outcome: Future[ChatMessage[Any] | None] = Future()
        self._outcome.set_running_or_notify_cancel()  # so that an awaiting caller cannot cancel it for the others

    @property
    def stats(self) -> "RunStats":  # type: ignore[override] # one object has the connections and the totals
        """This object."""
        return self

    def totals(self) -> MessageTotalsSnapshot:
        """Return the totals of the answers."""
        return self._total.snapshot()

    @property
    def tool_calls(self) -> list[ToolCallInfo]:
        """The latest `capacity` tool calls, oldest first."""
        return list(self._tool_calls)

    @property
    def error_log(self) -> list[RunError]:
        """The same list as `errors`."""
        return self.errors

    @property
    def num_connections(self) -> int:
        """Number of connections of the current or last execution."""
        return len(self)

    @property
    def source_names(self) -> set[str]:
        """Names of the nodes that have answered."""
        return {name for name, totals in self._nodes.copy().items() if totals.message_count}

    @property
    def target_names(self) -> set[str]:
        """Names of the nodes that got a message of another node of the run."""
        return set(self._targets.copy())

    def snapshot(self) -> RunSnapshot:
        """Return the current stats as a value."""
        with self._lock:
            return RunSnapshot(
                self.name,
                self._total.snapshot(),
                {name: totals.snapshot() for name, totals in self._nodes.items()},
                tuple(self._targets),
                len(self),
                tuple(self.errors),
                self.messages.dropped,
                self.start_time,
                self.done,
            )

    def begin(self, talks: Iterable[Any] = ()) -> None:
        """Begin an execution over these connections. The totals of earlier executions of the run stay."""
        self[:] = talks

    def add(self, message: ChatMessage[Any]) -> None:
        """Count the answer of a node."""
        name = message.name or ""
        with self._lock:
            if message.forwarded_from and message.forwarded_from[-1] in self._nodes:
                self._targets.setdefault(name)
            self._totals_of(name).add(message)
            self.messages.append(message)
            self._tool_calls.extend(message.tool_calls)
            self._total.add(message)

    def add_cost(self, agent: str, cost: TokenCost | None) -> None:
        """Count what a node has cost without an answer."""
        with self._lock:
            self._totals_of(agent).add_cost(cost)
            self._total.add_cost(cost)

    def add_error(self, agent: str, error: str, cost: TokenCost | None = None) -> None:
        """Count the failure of a node, and what its run has cost."""
        with self._lock:
            self._totals_of(agent).add_failure(cost)
            self._total.add_failure(cost)
            self.errors.append((agent, error, datetime.now(UTC)))
            del self.errors[: -self.messages.capacity]

    def clear(self) -> None:
        """Remove connections, answers, failures and totals."""
        with self._lock:
            super().clear()
            self.errors.clear()
            self.messages.clear()
            self._tool_calls.clear()
            self._total.clear()
            self._nodes.clear()
            self._targets.clear()

    def _totals_of(self, name: str) -> MessageTotals:
        totals = self._nodes.get(name)
        if totals is None:
            totals = self._nodes[name] = MessageTotals()
        return totals

    def finish(self, result: ChatMessage[Any] | None = None, error: Exception | None = None) -> None:
        """Note the end of the run. Only the first call counts."""
        with self._lock:
            if self._outcome.done():
                return
            if error is None:
                self._outcome.set_result(result)
            else:
                self._outcome.set_exception(error)

    @property
    def done(self) -> bool:
        """True after the end of the run."""
        return self._outcome.done()

    def result(self) -> ChatMessage[Any] | None:
        """Return the final message of a finished run. None if the run was stopped before its first answer.

        Raises:
            NotRunningError: the run is still open; await the stats instead.
            Exception: the error of the run.
        """
        if not self._outcome.done():
            raise NotRunningError(f"run of {self.name!r}: it has not ended yet; await it", node=self.name)
        return self._outcome.result()

    def __await__(self) -> Generator[Any, None, ChatMessage[Any] | None]:
        return asyncio.wrap_future(self._outcome).__await__()

    def format(
        self, style: MessageStyle = "simple", *, template: str | None = None,
        variables: Mapping[str, object] | None = None, show_metadata: bool = False, show_costs: bool = False,
    ) -> str:  # fmt: skip
        """Return the answers, one formatted message per line; see `ChatMessage.format`."""
        shown = partial(
            ChatMessage[Any].format, style=style, template=template, variables=variables, show_metadata=show_metadata,
            show_costs=show_costs,
        )  # fmt: skip
        return "\n".join(shown(message) for message in self.messages)

    def table(self) -> str:
        """Return the stats by node as a text table."""
        return text_table(self.snapshot())

    def __rich__(self) -> str:
        return self.table().replace("[", "\\[")

    def __iter__(self) -> Iterator[Any]:
        return iter(self.copy())

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:  # a list has its own
        return self is not other

    def __hash__(self) -> int:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride] # runs differ by identity
        return id(self)

    def __repr__(self) -> str:
        numbers = self._total
        state = "done" if self.done else "running"
        return f"<RunStats {self.name!r} {state}: {numbers.message_count} messages, {numbers.error_count} errors>"


ExtendedTeamTalk = RunStats
"""Name of `RunStats` in the contract."""
