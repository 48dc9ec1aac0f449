"""What a node knows about its runs: the current or last one, and all of them together."""

from typing import Any, ClassVar

from actors.runs.handle import Deps, NodeHandle, Out
from actors.runs.request import RunRequest
from actors.runs.run_stats import FRAME, RunStats
from actors.stats.message_totals import MessageTotals, MessageTotalsSnapshot
from actors.stats.run_watch import Screen
from protocols.messages import ChatMessage
from protocols.streaming import StreamCompleteEvent


class NodeStats(NodeHandle[Deps, Out]):
    """The statistics of a node."""

    is_group: ClassVar[bool] = False
    """Whether it is a team or a chain: it counts the answers of its members in `RunRequest.stats` itself."""

    _stats: RunStats | None = None
    _last: ChatMessage[Any] | None = None

    @property
    def stats(self) -> RunStats:
        """The live numbers of the current or last run; those of a background run hold all its repetitions."""
        last, self._last = self._last, None
        if last is not None:
            self._stats = RunStats(name=self.name)
            self._stats.add(last)
            self._stats.finish(last)
        if self._stats is None:
            self._stats = RunStats(name=self.name)
            self._stats.finish()  # there is no run to wait for
        return self._stats

    async def get_stats(self) -> RunStats:
        """Return the same as `stats`."""
        return self.stats

    async def watch(self, screen: Screen | None = None, *, interval: float = FRAME) -> RunStats:
        """Show the numbers of the current run until it has ended; see `RunStats.watch`."""
        return await self.stats.watch(screen, interval=interval)

    @property
    def total_stats(self) -> MessageTotalsSnapshot:
        """The numbers of all answers that the node has ever given."""
        return self._tally.snapshot()

    @property
    def _tally(self) -> MessageTotals:
        tally: MessageTotals = self.__dict__.get("_answers") or self.__dict__.setdefault("_answers", MessageTotals())
        return tally

    def keep_stats(self, stats: RunStats) -> None:
        """Show these as the current run's."""
        self._stats, self._last = stats, None

    def send(self, answer: ChatMessage[Any], request: RunRequest) -> None:
        """Count an answer, give it to the subscribers and to the connections, then to whoever streams the run."""
        tally: MessageTotals = self.__dict__.get("_answers") or self._tally
        tally.add(answer)
        if request.stats is None and self._is_own(request):
            self._last = answer
        super().send(answer, request)
        if request.sink is not None and not self.is_group:
            request.sink.put_now(StreamCompleteEvent(answer))

    def fail(self, error: Exception, request: RunRequest) -> None:
        """Count a failure."""
        self._tally.add_failure()
        if self._is_own(request):
            stats = RunStats(name=self.name)
            stats.add_error(self.name, str(error) or type(error).__name__)
            stats.finish(error=error)
            self.keep_stats(stats)
        super().fail(error, request)

    def _is_own(self, request: RunRequest) -> bool:
        """Whether a run is one of an agent by itself, whose numbers nobody else keeps."""
        return not self.is_group and request.stats is None and (self._stats is None or self._stats.done)
