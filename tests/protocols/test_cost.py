from decimal import Decimal

import pytest

from protocols.cost import TokenCost, TokenUsage


def test_usage_can_be_read_under_both_spellings() -> None:
    usage = TokenUsage(input_tokens=3, output_tokens=4)
    assert (usage.input_tokens, usage.prompt, usage["prompt"], usage["input_tokens"]) == (3, 3, 3, 3)
    assert (usage.output_tokens, usage.completion, usage["completion"], usage["output_tokens"]) == (4, 4, 4, 4)
    assert (usage.total_tokens, usage.total, usage["total"], usage["total_tokens"]) == (7, 7, 7, 7)


def test_usage_refuses_an_unknown_entry() -> None:
    with pytest.raises(KeyError, match="no entry 'cached'"):
        TokenUsage()["cached"]


def test_costs_add_up_exactly() -> None:
    dime = TokenCost(TokenUsage(1, 2), Decimal("0.1"))
    total = dime + dime + dime
    assert total == TokenCost(TokenUsage(3, 6), Decimal("0.3"))
    assert f"{total.total_cost:.4f}" == "0.3000"


def test_a_sum_with_an_unknown_price_is_unknown() -> None:
    assert not (TokenCost() + TokenCost(cost_known=False)).cost_known
