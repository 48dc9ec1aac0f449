"""`RunCost`: what a run costs, whether it answers or not."""

from collections.abc import Callable
from contextvars import ContextVar

from protocols.cost import TokenCost

Read = Callable[[], TokenCost | None]
"""Returns the cost up to now; None without a model."""


class RunCost:
    """Sums up the runs inside a run of a team: answered ones, and what the others have cost up to now."""

    __slots__ = ("_open", "_settled")

    def __init__(self) -> None:
        self._settled: TokenCost | None = None
        self._open: dict[str, list[Read]] = {}

    def add(self, cost: TokenCost | None) -> None:
        """Count the cost of an answer."""
        self._settled = joined(self._settled, cost)

    def open(self, name: str, read: Read) -> None:
        """Count a run of the node `name` while it works."""
        self._open.setdefault(name, []).append(read)

    def close(self, name: str, read: Read) -> None:
        """Stop counting a run; its answer is counted instead."""
        reads = self._open.get(name, [])
        if read in reads:  # else it was given up, and has answered after all
            reads.remove(read)

    def lose(self, name: str | None = None) -> dict[str, TokenCost]:
        """Settle the open runs of one node, or of all, and return their costs by node."""
        lost: dict[str, TokenCost] = {}
        for one in tuple(self._open) if name is None else (name,):
            for read in self._open.pop(one, ()):
                cost = joined(lost.get(one), read())
                if cost is not None:
                    lost[one] = cost
        for cost in lost.values():
            self.add(cost)
        return lost

    def total(self) -> TokenCost | None:
        """Return the sum; None without a model."""
        total = self._settled
        for reads in self._open.values():
            for read in reads:
                total = joined(total, read())
        return total


def joined(one: TokenCost | None, other: TokenCost | None) -> TokenCost | None:
    """Return the sum of two costs; None stands for nothing."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


def attempts_joined(before: Read, read: Read, cost: RunCost | None, name: str) -> Read:
    """Return what reads the cost of two attempts of a run; that of the first one alone is not counted any more."""
    if cost is not None:
        cost.close(name, before)
    return lambda: joined(before(), read())


cost_of_team: ContextVar[RunCost | None] = ContextVar("understage_team_cost", default=None)
"""Costs of the runs inside the team run of the current handler; None but for a team with a picker."""
