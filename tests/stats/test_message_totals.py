from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from actors.stats.message_totals import MessageTotals, MessageTotalsSnapshot
from protocols.cost import TokenCost, TokenUsage
from protocols.messages import ChatMessage

counts = st.integers(0, 10**6)
money = st.decimals(0, 10**6, places=8)
costs = st.none() | st.builds(TokenCost, st.builds(TokenUsage, counts, counts), money, st.booleans())
messages = st.lists(st.builds(ChatMessage, st.text(max_size=20), st.just("assistant"), cost_info=costs), max_size=30)


@given(messages)
def test_message_totals_are_the_exact_sum_of_its_messages(given_messages: list[ChatMessage[str]]) -> None:
    totals = MessageTotals()
    for message in given_messages:
        totals.add(message)
    known = [message.cost_info for message in given_messages if message.cost_info is not None]
    total = totals.snapshot()

    assert total.message_count == len(given_messages)
    assert total.byte_count == sum(len(message.content.encode()) for message in given_messages)
    assert total.token_count == sum(cost.token_usage.total_tokens for cost in known)
    assert msgspec.json.decode(msgspec.json.encode(total))["token_count"] == total.token_count
    assert total.cost == sum((cost.total_cost for cost in known if cost.cost_known), Decimal(0))
    assert total.cost_known == all(cost.cost_known for cost in known)


def test_money_that_is_no_number_makes_the_sum_unknown_instead_of_wrong() -> None:
    totals = MessageTotals()
    for cost in ("1.5", "NaN", "Infinity"):
        totals.add(ChatMessage("x", "assistant", cost_info=TokenCost(total_cost=Decimal(cost))))

    assert (totals.snapshot().total_cost, totals.snapshot().unpriced) == (1.5, 2)


def test_cleared_totals_are_new_ones() -> None:
    totals = MessageTotals()
    totals.add(ChatMessage("x", "assistant"))
    totals.add_failure()
    assert totals.snapshot().error_count == 1
    totals.clear()

    assert totals.snapshot() == MessageTotalsSnapshot()
