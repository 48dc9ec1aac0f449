"""The runs in flight: begun and ended by events, and looked up among the handlers of the actors."""

from collections.abc import Callable
from typing import Any, Final

from actors.agents.agent import Agent
from actors.dashboard.feed_table import SHORT, FeedTable, name_of, shown
from actors.nodes.base_team import BaseTeam
from actors.runs.request import RunRequest

MOST_RUNS: Final = 2_000
"""Runs in flight that are followed; further ones are not shown."""
FORGOTTEN: Final = 60.0
"""Seconds without a trace after which a run is taken for ended, such as one whose actor was killed."""


class OpenRun:
    """One run in flight."""

    __slots__ = (
        "conversation", "input_tokens", "kind", "model", "node", "output_tokens", "parent", "request", "seen",
        "started", "state", "step",
    )  # fmt: skip

    def __init__(self, node: str, parent: str, now: float) -> None:
        self.node = node
        self.parent = parent
        self.started = self.seen = now
        self.kind = ""
        self.state = "running"
        self.conversation = self.step = self.model = ""
        self.input_tokens = self.output_tokens = 0
        self.request: RunRequest | None = None


class OpenRuns:
    """The runs in flight.

    Args:
        find: returns the node of a name, or None.
    """

    def __init__(self, find: Callable[[str], Any]) -> None:
        self.table = FeedTable(MOST_RUNS)
        self._find = find
        self._runs: dict[str, OpenRun] = {}

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, run_id: str) -> OpenRun | None:
        """Return a run in flight, or None."""
        return self._runs.get(run_id)

    def begin(self, run_id: str, node: str, parent: str, now: float) -> None:
        """Note the begin of a run."""
        if run_id not in self._runs and len(self._runs) < MOST_RUNS:
            self._runs[run_id] = OpenRun(node, parent, now)

    def end(self, run_id: str) -> OpenRun | None:
        """Note the end of a run; return what was known of it."""
        return self._runs.pop(run_id, None)

    def see(self, request: RunRequest, began: float, now: float, *, waits_for_approval: bool) -> None:
        """Take note of a run whose handler was found; its begin may have come before the first viewer."""
        self.begin(request.run_id, request.node.name, request.parent_run_id, began)
        run = self._runs.get(request.run_id)
        if run is not None:
            run.request, run.conversation, run.seen = request, request.conversation_id, now
            run.state = "approval" if waits_for_approval else "running" if run.state == "approval" else run.state
            above = self._runs.get(run.parent)
            while above is not None and above.seen < now:
                above.seen = now
                above = self._runs.get(above.parent)

    def clear(self) -> None:
        """Forget all runs."""
        self._runs.clear()
        self.table.clear()

    def renew(self, now: float) -> None:
        """Bring the table up to date."""
        for run_id, run in tuple(self._runs.items()):
            if now - run.seen > FORGOTTEN:
                del self._runs[run_id]
            else:
                self.table.put(run_id, self._row(run))
        self.table.keep(self._runs)

    def _row(self, run: OpenRun) -> dict[str, Any]:
        run.kind = run.kind or self._kind(run)
        request = run.request
        cost = None if request is None or request.node.counts_members else request.node.cost_of(request)
        spent = None if cost is None else cost.token_usage
        return {
            "parent": run.parent, "node": name_of(run.node), "kind": run.kind, "state": run.state,
            "started": run.started, "conversation": name_of(run.conversation), "step": shown(run.step, SHORT),
            "input_tokens": max(run.input_tokens, 0 if spent is None else spent.input_tokens),
            "output_tokens": max(run.output_tokens, 0 if spent is None else spent.output_tokens),
            "cost": "0" if cost is None else str(cost.total_cost), "cost_known": cost is None or cost.cost_known,
        }  # fmt: skip

    def _kind(self, run: OpenRun) -> str:
        """Return what a run is for the run that contains it; empty while that is not known."""
        node: Any = run.request.node if run.request is not None else self._find(run.node)
        above = self._runs.get(run.parent)
        outer: Any = None if above is None else above.request.node if above.request is not None else None
        if isinstance(node, BaseTeam):
            return "chain" if node.is_chain else "team"
        if isinstance(outer, BaseTeam):
            if node is outer.definition.settings.picker:
                return "picker"
            return "validator" if node is getattr(outer.definition, "validator", None) else "agent"
        if isinstance(outer, Agent):
            return "worker"
        if not isinstance(node, Agent):
            return "other"
        return "agent" if above is None or above.request is not None else ""
