"""`NodeStats`: the stats of the current or last run of a node, and of all its runs together."""

from typing import Any, ClassVar

from actors.runs.handle import Deps, NodeHandle, Out
from actors.runs.request import RunRequest
from actors.runs.run_stats import RunStats
from actors.stats.message_totals import MessageTotals, MessageTotalsSnapshot
from protocols.cost import TokenCost
from protocols.errors import error_text
from protocols.messages import ChatMessage
from protocols.streaming import StreamCompleteEvent


class NodeStats(NodeHandle[Deps, Out]):
    """A node that counts its runs."""

    runs_until_stopped: ClassVar[bool] = True
    """True if a background run has no limit by default, survives failures, and makes way for a second one."""

    _stats: RunStats | None = None
    _last: ChatMessage[Any] | None = None

    @property
    def stats(self) -> RunStats:
        """The live stats of the current or last run. A background run counts all its rounds together."""
        last, self._last = self._last, None
        if last is not None:
            self._stats = RunStats(name=self.name)
            self._stats.add(last)
            self._stats.finish(last)
        if self._stats is None:
            self._stats = RunStats(name=self.name)
            self._stats.finish()  # so that nothing waits for it
        return self._stats

    async def get_stats(self) -> RunStats:
        """Return the same as `stats`."""
        return self.stats

    @property
    def total_stats(self) -> MessageTotalsSnapshot:
        """The totals of all runs of the node: answered, failed and cancelled ones, and those that work now."""
        totals = self._totals.snapshot()
        if not self._costs:
            return totals
        open_runs = MessageTotals()
        for read in tuple(self._costs.values()):
            open_runs.add_cost(read())
        return totals + open_runs.snapshot()

    @property
    def _totals(self) -> MessageTotals:
        totals: MessageTotals = self.__dict__.get("_answers") or self.__dict__.setdefault("_answers", MessageTotals())
        return totals

    def _keep_stats(self, stats: RunStats) -> None:
        """Show these stats as those of the current run."""
        self._stats, self._last = stats, None

    def send(self, answer: ChatMessage[Any], request: RunRequest) -> None:
        """Count an answer, then give it to the subscribers, the connections and the stream."""
        totals: MessageTotals = self.__dict__.get("_answers") or self._totals
        totals.add(answer)
        if self._costs:
            read = self._costs.pop(request.run_id, None)
            if read is not None and request.cost is not None:
                request.cost.close(self.name, read)
        if request.cost is not None and answer.cost_info is not None:
            request.cost.add(answer.cost_info)
        if request.stats is None and self._counts_alone(request):
            self._last = answer
        if self.outlets or self.message_sent.subscribers:  # most nodes have none, and the call is 1 % of a run
            super().send(answer, request)
        if request.sink is not None and not self.counts_members:
            request.sink.put_now(StreamCompleteEvent(answer))

    def fail(self, error: Exception, request: RunRequest) -> None:
        """Count a failure, and what the run has cost."""
        cost = self._spent(request)
        self._totals.add_failure(cost)
        if self._counts_alone(request):
            stats = RunStats(name=self.name)
            stats.add_error(self.name, error_text(error), cost)
            stats.finish(error=error)
            self._keep_stats(stats)
        elif request.stats is not None and not self.counts_members:
            request.stats.add_cost(self.name, cost)
        super().fail(error, request)

    def cancelled(self, request: RunRequest) -> None:
        """Count a cancelled run, and what it has cost."""
        cost = self._spent(request)
        self._totals.add_cost(cost, cancelled=1)
        if request.stats is not None and not self.counts_members:
            request.stats.add_cost(self.name, cost)

    def _spent(self, request: RunRequest) -> TokenCost | None:
        cost = self.cost_of(request)
        self._costs.pop(request.run_id, None)
        return cost

    def _counts_alone(self, request: RunRequest) -> bool:
        """Return True if `stats` shows this run, and no other one."""
        return request.stats is None and not self.counts_members and (self._stats is None or self._stats.done)
