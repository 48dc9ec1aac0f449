"""Ledgers: what is left of the budgets that a request to a model draws from.

A request draws from several at once: the budgets of its run, its session, its agent, each team around it, and the pool.
It reserves an estimate before, in all of them or in none, and settles what it really took after. So requests that work
at the same time cannot spend the same tokens. A budget is overrun at most by what open requests take beyond their
estimates, and by the last request alone, which is admitted while anything is left.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import msgspec
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage, RunUsage

from actors.runtime.envelope import current
from actors.runtime.log import warn_once
from protocols.budget import Budget, drawn
from protocols.cost import ZERO_COST
from protocols.model_errors import BudgetExceededError
from protocols.model_events import BudgetWarning

_COUNTED: Final = ("tokens", "cost", "requests")
_BYTES_PER_TOKEN: Final = 4
_OTHER_BYTES: Final = 4_000
"""What a part without text counts, such as a picture."""
_ANSWER: Final = 1_000
"""Tokens of an answer whose largest size is not set."""
_DAY: Final = 86_400
_MOST_SESSIONS: Final = 10_000
"""Sessions of a node whose ledgers are kept; that of the one that was not used for the longest time goes first."""
_PRICE: Final = "price"
lost: ContextVar[RunUsage | None] = ContextVar("understage_lost_usage", default=None)
"""Counts the requests of the current attempt of a run that have failed with a usage that is not known."""
_lock: Final = threading.Lock()
"""Held for a moment: a node may run on several event loops, whose requests draw from its one ledger."""


class Usage(msgspec.Struct):
    """What a request takes, or several have taken."""

    tokens: int = 0
    cost: Decimal = ZERO_COST
    requests: int = 0

    def add(self, other: "Usage", sign: int = 1) -> None:
        """Add another one, or take it away."""
        self.tokens += sign * other.tokens
        self.cost += sign * other.cost
        self.requests += sign * other.requests


class Ledger:
    """One budget, what was spent of it, and what the open requests hold."""

    def __init__(self, budget: Budget, name: str, *, is_of_run: bool = False) -> None:
        self.budget = budget
        self.is_of_run = is_of_run
        """True if nothing but one run draws from it, so that its seconds may stand still with the run."""
        self.name = name
        """Whose budget this is, for errors and events."""
        self.spent = Usage()
        self._day = day_begins()
        self.estimated = 0
        """Requests whose usage is not known: the estimate was counted."""
        self._waiting: set[asyncio.Future[None]] = set()
        self._held = Usage()
        self._open = 0
        self._since: float | None = None
        self._pauses = 0
        self._paused = 0.0
        self._warned: set[str] = set()

    def priced(self, tokens: int) -> Usage:
        """Return the estimate of a request, at the price of those before."""
        price = self.spent.cost / self.spent.tokens if self.spent.tokens else ZERO_COST
        return Usage(tokens, price * tokens, 1)

    def lack(self, wanted: Usage, now: float) -> tuple[str, bool] | None:
        """Return the limit that a request does not fit into, and whether it may fit once the open ones are settled.

        The only open request may overrun a limit that is not reached: else an estimate that is too high would waste
        what is left.
        """
        self._begin_day()
        budget, spent, held = self.budget, self.spent, self._held
        now = self._paused if self._pauses else now
        if budget.seconds is not None and self._since is not None and now - self._since >= budget.seconds:
            return "seconds", False
        for name in _COUNTED:
            limit, used = getattr(budget, name), getattr(spent, name)
            if limit is None or (not self._open and used < limit):
                continue
            if used + getattr(held, name) + getattr(wanted, name) > limit or used >= limit:
                return name, used < limit
        return None

    def hold(self, wanted: Usage, now: float) -> None:
        """Reserve what a request will take."""
        self._since = now if self._since is None else self._since
        self._open += 1
        self._held.add(wanted)

    def pause(self, now: float) -> None:
        """Count no seconds until `resume` was called as often."""
        with _lock:
            self._paused = self._paused if self._pauses else now
            self._pauses += 1

    def resume(self, now: float) -> None:
        """Count the seconds again."""
        with _lock:
            self._pauses -= 1
            if not self._pauses and self._since is not None:
                self._since += now - self._paused

    async def settled(self) -> None:
        """Wait until an open request is settled."""
        settled = asyncio.get_running_loop().create_future()
        self._waiting.add(settled)
        try:
            if self._open:
                await settled
        finally:
            self._waiting.discard(settled)

    def _begin_day(self) -> None:
        if self.budget.per == "day" and self._day != (day := day_begins()):
            self._day, self._since, self.spent, self.estimated, self._warned = day, None, Usage(), 0, set()

    def left(self, now: float) -> dict[str, float]:
        """Return what is not spent yet, by limit; what open requests hold counts as not spent."""
        with _lock:
            self._begin_day()
            since = now if self._since is None else self._since
            used = {name: float(getattr(self.spent, name)) for name in _COUNTED}
            used["seconds"] = (self._paused if self._pauses else now) - since
            limits = {name: getattr(self.budget, name) for name in used}
        return {name: max(0.0, float(limit) - used[name]) for name, limit in limits.items() if limit is not None}

    def restore(self, spent: Usage) -> None:
        """Count what was spent of this day before, as far as it is more than what is known."""
        with _lock:
            self._begin_day()
            known = self.spent
            self.spent = Usage(*(max(getattr(known, name), getattr(spent, name)) for name in _COUNTED))

    def settle(self, wanted: Usage, taken: Usage, *, is_estimate: bool, is_priced: bool = True) -> list[str]:
        """Count what a request has taken in place of what was reserved.

        Returns the limits of which the share `Budget.warn_at` is spent now, and "price" if the cost is not known; each
        once.
        """
        self._begin_day()
        self._open -= 1
        self._held.add(wanted, -1)
        self.spent.add(taken)
        self.estimated += is_estimate
        for settled in tuple(self._waiting):
            with suppress(RuntimeError):  # its loop is closed
                settled.get_loop().call_soon_threadsafe(_set, settled)
        found = [_PRICE] if self.budget.cost is not None and not is_priced else []
        for name in _COUNTED:
            limit = getattr(self.budget, name)
            if limit is not None and float(getattr(self.spent, name)) >= float(limit) * self.budget.warn_at:
                found.append(name)
        new = [name for name in found if name not in self._warned]
        self._warned.update(new)
        return new


class Charge:
    """What one request has reserved. It is settled once, whatever becomes of the request; settling again is nothing."""

    __slots__ = ("_ledgers", "_wanted", "leave", "tokens")

    def __init__(self, ledgers: Sequence[Ledger], wanted: Usage) -> None:
        self._ledgers = ledgers
        self._wanted = wanted
        self.tokens = wanted.tokens
        self.leave: Callable[[int | None], None] | None = None
        """Frees what it holds of the limits of its endpoint; takes the tokens, or None if they are not known."""

    def settle(self, usage: RequestUsage | None) -> None:
        """Count the usage of the request; one without any usage (None, or no tokens) counts as estimated."""
        tokens = 0 if usage is None else usage.input_tokens + usage.output_tokens
        taken = self._wanted
        if usage is not None and tokens > 0:
            taken = Usage(tokens, usage.cost or ZERO_COST, 1)
        self.take(taken, is_priced=usage is None or tokens == 0 or usage.cost is not None)

    def take(self, taken: Usage, *, is_priced: bool = True) -> None:
        """Count what the request has taken."""
        if self.leave is not None:
            self.leave(None if taken is self._wanted else taken.tokens)
        ledgers, self._ledgers = self._ledgers, ()
        for ledger in ledgers:
            with _lock:
                near = ledger.settle(self._wanted, taken, is_estimate=taken is self._wanted, is_priced=is_priced)
            for name in near:
                _warn(ledger, name)


def _set(settled: asyncio.Future[None]) -> None:
    if not settled.done():
        settled.set_result(None)


@contextmanager
def charged(charge: Charge | None) -> Generator[None]:
    """Settle the charge of a request that fails; one that was cancelled may have taken all that was reserved."""
    try:
        yield
    except BaseException as error:
        is_refused = isinstance(error, ModelHTTPError) or getattr(error, "phase", None) == "connect"
        if not is_refused and (usage := lost.get()) is not None:
            usage.unmeasured_requests += 1
        if charge is not None and is_refused:
            charge.take(Usage(requests=1))  # the endpoint did not work on it
        elif charge is not None:
            charge.settle(None)
        raise


async def reserve(
    ledgers: Sequence[Ledger], messages: Sequence[ModelMessage], settings: ModelSettings | None
) -> Charge:
    """Reserve what a request will take, in all ledgers; waits while open requests hold what is left.

    Args:
        ledgers: the budgets, that of the run first.
        messages: what the model will read.
        settings: may limit the tokens of the answer.

    Raises:
        BudgetExceededError: a budget is used up.
    """
    scope = current.get()
    clock = time.monotonic if scope is None else scope.cell.now
    tokens = sum(map(_size, messages)) // _BYTES_PER_TOKEN + _most_tokens(settings)
    while True:
        now = clock()
        with _lock:
            found = ((ledger, ledger.lack(ledger.priced(tokens), now)) for ledger in ledgers)
            full, lack = next(((ledger, lack) for ledger, lack in found if lack is not None), (None, None))
            if full is None or lack is None:
                wanted = max(
                    (one.priced(tokens) for one in ledgers), key=lambda one: one.cost, default=Usage(tokens, requests=1)
                )
                for ledger in ledgers:
                    ledger.hold(wanted, now)
                return Charge(ledgers, wanted)
        if not lack[1]:
            raise _exceeded(full, lack[0])
        await full.settled()


def _size(message: ModelMessage) -> int:
    total = 0
    for part in message.parts:
        given: Any = getattr(part, "content", None) or getattr(part, "args", None) or ""
        several = cast("Sequence[Any]", given) if isinstance(given, list | tuple) else (given,)
        total += sum(len(one) if isinstance(one, str) else _OTHER_BYTES for one in several)
    return total


def _most_tokens(settings: ModelSettings | None) -> int:
    given = None if settings is None else settings.get("max_tokens")  # pyright: ignore[reportUnknownMemberType] - theirs
    return given or _ANSWER


def _warn(ledger: Ledger, name: str) -> None:
    scope, is_measured = current.get(), name != _PRICE
    if not is_measured:
        name = "cost"
        warn_once(f"the budget of {ledger.name} limits the cost, but a model without a known price is asked")
    if scope is None or not scope.cell.system.events.wants(BudgetWarning):
        return
    scope.cell.system.events.publish(
        BudgetWarning, actor=scope.cell.name, budget=ledger.name, limit=name, is_measured=is_measured,
        spent=float(getattr(ledger.spent, name)), most=float(getattr(ledger.budget, name)),
    )  # fmt: skip


def _exceeded(ledger: Ledger, name: str) -> BudgetExceededError:
    """Return the error for a budget that is used up."""
    spent, limit = getattr(ledger.spent, name, None), getattr(ledger.budget, name)
    text = f"the budget of {ledger.name} is used up: {limit} {name}" + ("" if spent is None else f", spent {spent}")
    return BudgetExceededError(text)


def day_begins() -> float:
    """Return when this day began in UTC, in seconds since 1970."""
    return time.time() // _DAY * _DAY


_ledgers: WeakKeyDictionary[Any, OrderedDict[int | None, Ledger]] = WeakKeyDictionary()
"""What the nodes that live have spent of their own budgets, and of those of their sessions by the hash of the name."""


def ledger_of(node: Any, session: str | None = None) -> Ledger | None:
    """Return the ledger of a node, or of one of its sessions; None without a budget."""
    settings = node.definition.settings
    budget: Budget | None = settings.budget if session is None else getattr(settings, "session_budget", None)
    if budget is None:
        return None
    key, name = None, f"node {node.name!r}"
    if session is not None:
        key, name = hash(session), f"a session of {name}"
    with _lock:
        kept = _ledgers.setdefault(node, OrderedDict())
        ledger = kept.pop(key, None) or Ledger(budget, name)
        kept[key] = ledger
        if len(kept) > _MOST_SESSIONS:
            kept.popitem(last=False)
    ledger.budget = budget  # a reload may have changed it
    return ledger


def draw(request: Any) -> tuple[Ledger, ...]:
    """Return what the requests of a run, and of the runs that it makes, draw from; called inside its handler.

    That is its own budget, what the run around it draws from, and what its session, its node and its pool have for all
    their runs. Another attempt of the run draws from the same.
    """
    ledgers: tuple[Ledger, ...] = drawn.get()
    if ledgers:
        return ledgers
    node, options, given = request.node, request.options, request.options.budget
    several = cast("tuple[Budget | Ledger | None, ...]", given if isinstance(given, tuple) else (given,))
    name = f"run {request.run_id}"
    around = [Ledger(one, name, is_of_run=True) if isinstance(one, Budget) else one for one in several]
    own = (None if options.session is None else ledger_of(node, options.session), ledger_of(node), pool_ledger(node))
    ledgers = tuple(one for one in dict.fromkeys((*around, *own)) if one is not None)
    drawn.set(ledgers)
    return ledgers


def pool_ledger(node: Any) -> Ledger | None:
    """Return the ledger of the pool of a node; None without a budget."""
    return getattr(node.directory, "ledger", None)
