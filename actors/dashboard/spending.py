"""What runs have cost, by minute, node and model: minutes of the last two hours, hours of the last day."""

from decimal import Decimal
from typing import Final

from actors.dashboard.feed_table import FeedTable, name_of
from protocols.cost import ZERO_COST

MINUTE: Final = 60
HOUR: Final = 3_600
MINUTES_KEPT: Final = 2 * HOUR
"""Seconds after which minutes become hours."""
DAY: Final = 86_400
"""Seconds after which hours are forgotten."""
MOST_ROWS: Final = 5_000

_Key = tuple[int, str, str]


class _Usage:
    __slots__ = ("cost", "input_tokens", "output_tokens")

    def __init__(self) -> None:
        self.input_tokens = self.output_tokens = 0
        self.cost: Decimal = ZERO_COST

    def add(self, input_tokens: int, output_tokens: int, cost: Decimal) -> None:
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        if cost.is_finite():
            self.cost += cost


class Spending:
    """Tokens and money by time, node and model."""

    def __init__(self) -> None:
        self.table = FeedTable(MOST_ROWS, is_ring=True)
        self._spent: dict[_Key, _Usage] = {}
        self._changed: dict[_Key, None] = {}
        self._minute = 0

    def add(self, now: float, node: str, model: str, input_tokens: int, output_tokens: int, cost: Decimal) -> None:
        """Count what a run has cost."""
        if input_tokens or output_tokens or cost:
            key = (int(now) // MINUTE * MINUTE, name_of(node), name_of(model))
            self._spent.setdefault(key, _Usage()).add(input_tokens, output_tokens, cost)
            self._changed[key] = None

    def renew(self, now: float) -> None:
        """Bring the table up to date."""
        minute = int(now) // MINUTE
        if minute != self._minute or len(self._spent) > MOST_ROWS:
            self._minute = minute
            self._grow_old(now)
        changed, self._changed = self._changed, {}
        for key in changed:
            spent = self._spent.get(key)
            if spent is None:
                self.table.drop(_text(key))
                continue
            at, node, model = key
            row = {"at": float(at), "node": node, "model": model, "input_tokens": spent.input_tokens}
            self.table.put(_text(key), {**row, "output_tokens": spent.output_tokens, "cost": str(spent.cost)})

    def _grow_old(self, now: float) -> None:
        while len(self._spent) > MOST_ROWS:
            self._forget(next(iter(self._spent)))
        for key in tuple(self._spent):
            at, node, model = key
            if at < now - DAY - HOUR:
                self._forget(key)
            elif at < now - MINUTES_KEPT and at % HOUR:
                spent, hour = self._forget(key), (at // HOUR * HOUR, node, model)
                self._spent.setdefault(hour, _Usage()).add(spent.input_tokens, spent.output_tokens, spent.cost)
                self._changed[hour] = None

    def _forget(self, key: _Key) -> _Usage:
        self._changed[key] = None
        return self._spent.pop(key)


def _text(key: _Key) -> str:
    at, node, model = key
    return f"{at // MINUTE}/{node}/{model}"
