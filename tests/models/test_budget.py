"""Budgets: reserved before a request, settled after, never overrun by more than the last admitted request."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.exceptions import ModelConnectionError, ModelHTTPError
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from actors.models.budget import Charge, Ledger, Usage, charged, reserve
from actors.testing import settle
from protocols.budget import Budget
from protocols.errors import ConfigError
from protocols.model_errors import BudgetExceededError

_ASKED = [ModelRequest(parts=[UserPromptPart("x" * 400)])]  # 100 tokens


def _answer(tokens: int) -> ModelSettings:
    return ModelSettings(max_tokens=tokens)


@given(st.integers(1, 300), st.lists(st.tuples(st.integers(1, 100), st.integers(0, 3), st.booleans()), max_size=40))
def test_no_more_is_admitted_than_the_budget_has_but_for_one_request(
    limit: int, steps: list[tuple[int, int, bool]]
) -> None:
    ledger = Ledger(Budget(tokens=limit), "run 1")
    is_open: list[Usage] = []
    for tokens, place, is_exact in steps:
        wanted = Usage(tokens, requests=1)
        if ledger.lack(wanted, 0.0) is None:
            ledger.hold(wanted, 0.0)
            is_open.append(wanted)
            held = sum(one.tokens for one in is_open)
            assert ledger.spent.tokens < limit
            assert len(is_open) == 1 or ledger.spent.tokens + held <= limit
        elif is_open:
            one = is_open.pop(place % len(is_open))
            ledger.settle(one, one if is_exact else Usage(one.tokens // 2, requests=1), is_estimate=False)
    assert ledger.spent.tokens <= limit + 100


@given(
    st.lists(st.integers(1, 2_000), min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 3), st.booleans()), max_size=40),
)
def test_a_chain_of_budgets_is_drawn_from_as_a_whole_or_not_at_all(
    limits: list[int], steps: list[tuple[int, int, bool]]
) -> None:
    async def draw() -> None:
        chain = [Ledger(Budget(tokens=limit), f"budget {place}") for place, limit in enumerate(limits)]
        is_open: list[tuple[Charge, list[Ledger]]] = []
        taken, last = [0] * len(chain), [0] * len(chain)
        for tokens, place, begins in steps:
            if begins or not is_open:
                ledgers = chain[place:]  # a run inside others: all have the last one in common
                asking = asyncio.create_task(reserve(ledgers, _ASKED, _answer(tokens)))
                await asyncio.sleep(0)
                if asking.done() and asking.exception() is None:
                    is_open.append((asking.result(), ledgers))
                    last[place:] = [tokens + 100] * len(ledgers)
                asking.cancel()  # what waits holds nothing
                await asyncio.sleep(0)
            else:
                charge, ledgers = is_open.pop(place % len(is_open))
                charge.settle(RequestUsage(input_tokens=tokens % 50 + 1))
                for ledger in ledgers:
                    taken[chain.index(ledger)] += tokens % 50 + 1
            assert [ledger.spent.tokens for ledger in chain] == taken
        for charge, _ in is_open:
            charge.settle(None)
        for ledger, most in zip(chain, last, strict=True):
            assert ledger.spent.tokens <= ledger.budget.tokens + max(most, 600)  # type: ignore[operator]

    asyncio.run(draw())


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the wall, in days."""
    days = [1.5]
    monkeypatch.setattr(time, "time", lambda: days[0] * 86_400)
    return days


async def test_a_budget_per_day_begins_anew_at_midnight(day: list[float]) -> None:
    ledger, whole = Ledger(Budget(requests=2, per="day"), "run 1"), Ledger(Budget(requests=3), "run 1")
    for _ in range(2):
        (await reserve([ledger, whole], _ASKED, None)).settle(RequestUsage(input_tokens=1))
    day[0] = 1.999
    with pytest.raises(BudgetExceededError):
        await reserve([ledger, whole], _ASKED, None)
    day[0] = 2.0
    charge = await reserve([ledger, whole], _ASKED, None)
    day[0] = 3.0
    charge.settle(RequestUsage(input_tokens=5))  # counts for the day on which it ended

    assert (ledger.spent.requests, ledger.spent.tokens, whole.spent.requests) == (1, 5, 3)


def test_what_was_spent_before_is_counted_once(day: list[float]) -> None:
    ledger = Ledger(Budget(tokens=100, per="day"), "run 1")
    for spent in (Usage(60, requests=2), Usage(50, requests=3)):
        ledger.restore(spent)
    assert (ledger.spent.tokens, ledger.spent.requests) == (60, 3)

    day[0] += 1
    assert ledger.lack(Usage(70, requests=1), 0.0) is None


async def test_a_cost_that_is_not_known_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(Budget(cost=1), "a run without prices")
    for _ in range(2):
        (await reserve([ledger], _ASKED, None)).settle(RequestUsage(input_tokens=10))
        (await reserve([ledger], _ASKED, None)).settle(RequestUsage(input_tokens=10, cost=Decimal(0)))

    assert caplog.messages == [
        "the budget of a run without prices limits the cost, but a model without a known price is asked"
    ]


async def test_a_request_waits_while_the_open_ones_hold_what_is_left() -> None:
    ledger = Ledger(Budget(tokens=1_000), "run 1")
    first = await reserve([ledger], _ASKED, _answer(800))
    second = asyncio.create_task(reserve([ledger], _ASKED, _answer(100)))
    await settle()
    assert not second.done()

    first.settle(RequestUsage(input_tokens=100, output_tokens=200))
    (await second).settle(RequestUsage(input_tokens=100, output_tokens=100))

    assert ledger.spent == Usage(500, ledger.spent.cost, 2)


async def test_one_that_gives_up_waiting_holds_nothing() -> None:
    ledger = Ledger(Budget(requests=1), "run 1")
    first = await reserve([ledger], _ASKED, _answer(10))
    second, third = (asyncio.create_task(reserve([ledger], _ASKED, _answer(10))) for _ in range(2))
    await settle()
    second.cancel()
    await settle()
    first.settle(RequestUsage(input_tokens=1))

    with pytest.raises(BudgetExceededError, match="the budget of run 1 is used up: 1 requests, spent 1"):
        await third
    assert second.cancelled()


async def test_all_budgets_of_a_request_hold_it_or_none() -> None:
    wide, narrow = Ledger(Budget(tokens=10_000), "team t"), Ledger(Budget(requests=1), "agent a")
    (await reserve([wide, narrow], _ASKED, _answer(10))).settle(RequestUsage(input_tokens=50))

    with pytest.raises(BudgetExceededError, match="agent a"):
        await reserve([wide, narrow], _ASKED, _answer(10))
    charge = await reserve([wide], _ASKED, _answer(9_850))
    charge.settle(None)

    assert (wide.spent.tokens, wide.spent.requests, wide.estimated) == (10_000, 2, 1)


@pytest.mark.parametrize("usage", [None, RequestUsage()])
async def test_a_request_without_usage_counts_as_estimated(usage: RequestUsage | None) -> None:
    ledger = Ledger(Budget(tokens=1_000), "run 1")
    (await reserve([ledger], _ASKED, _answer(50))).settle(usage)

    assert (ledger.spent.tokens, ledger.estimated) == (150, 1)


def test_a_limit_is_near_once() -> None:
    ledger = Ledger(Budget(tokens=100, requests=100), "run 1")
    wanted = Usage(40, requests=1)
    near: list[Any] = []
    for _ in range(3):
        ledger.hold(wanted, 0.0)
        near.append(ledger.settle(wanted, wanted, is_estimate=False))

    assert near == [[], ["tokens"], []]


def test_time_begins_with_the_first_request() -> None:
    ledger = Ledger(Budget(seconds=10), "run 1")
    wanted = Usage(1, requests=1)
    assert ledger.lack(wanted, 100.0) is None
    ledger.hold(wanted, 100.0)

    assert [ledger.lack(wanted, at) for at in (109.0, 110.0)] == [None, ("seconds", False)]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "a budget needs one limit of tokens, cost, requests, seconds"),
        ({"tokens": -1}, "budget tokens must be a whole number >= 1, not -1"),
        ({"cost": 0}, "budget cost must be dollars > 0, not 0"),
        ({"seconds": float("nan")}, "budget seconds must be a finite number > 0, not nan"),
        ({"tokens": 1, "per": "week"}, "budget per must be one of 'day', not 'week'"),
        ({"tokens": 1, "warn_at": 2}, "budget warn_at must be a share above 0, up to 1, not 2"),
    ],
)
def test_an_impossible_budget_is_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Budget(**given)


async def test_money_is_estimated_at_the_price_of_the_requests_before() -> None:
    ledger = Ledger(Budget(cost=1.0), "run 1")
    first = await reserve([ledger], _ASKED, _answer(100))
    first.settle(RequestUsage(input_tokens=200, cost=Decimal("0.4")))
    second = await reserve([ledger], _ASKED, _answer(100))  # 200 tokens: 0.4 dollars, held
    third = asyncio.create_task(reserve([ledger], _ASKED, _answer(100)))
    await settle()
    assert not third.done()

    second.settle(RequestUsage(input_tokens=300, cost=Decimal("0.6")))

    with pytest.raises(BudgetExceededError, match=r"used up: 1\.0 cost, spent 1\.0"):
        await third


async def test_a_request_waits_for_one_of_another_event_loop() -> None:
    ledger = Ledger(Budget(requests=2, tokens=1_000), "node 'a'")
    other = await asyncio.to_thread(lambda: asyncio.run(reserve([ledger], _ASKED, _answer(900))))
    here = asyncio.create_task(reserve([ledger], _ASKED, _answer(900)))
    await settle()
    assert not here.done()

    await asyncio.to_thread(other.settle, RequestUsage(input_tokens=10))
    (await here).settle(RequestUsage(input_tokens=10))

    assert (ledger.spent.tokens, ledger.spent.requests) == (20, 2)


@pytest.mark.parametrize(
    ("error", "tokens"),
    [
        (ModelHTTPError(503, "m"), 0),
        (ModelConnectionError("m", "refused", phase="connect"), 0),
        (ModelConnectionError("m", "cut", phase="read"), 150),
        (asyncio.CancelledError(), 150),
    ],
)
async def test_what_a_failed_request_counts(error: BaseException, tokens: int) -> None:
    ledger = Ledger(Budget(tokens=1_000), "run 1")
    charge = await reserve([ledger], _ASKED, _answer(50))
    with pytest.raises(type(error)), charged(charge):
        raise error

    assert (ledger.spent.tokens, ledger.spent.requests) == (tokens, 1)
