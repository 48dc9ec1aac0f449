"""The table of the reliability catalogue says what the tests say."""

import pytest

from tests.catalogue import NOT_APPLICABLE, RULES, SECTIONS
from tests.conformance_table import BEGIN, END, Results, placed


def results(**outcomes: list[str]) -> Results:
    made = Results()
    for number, seen in outcomes.items():
        made.outcomes[int(number[1:])].update(seen)
    return made


def test_every_rule_is_in_exactly_one_section() -> None:
    numbers = [number for first, last in SECTIONS.values() for number in range(first, last + 1)]

    assert numbers == list(RULES) == list(range(1, 121))


def test_a_reason_is_given_for_what_does_not_apply() -> None:
    assert {number for number, reason in NOT_APPLICABLE.items() if number in RULES and reason} == set(NOT_APPLICABLE)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (["passed", "passed"], "passed (2)"),
        (["passed", "failed"], "failed (1 of 2)"),
        (["skipped"], "skipped"),
        ([], "no test"),
    ],
)
def test_a_rule_holds_only_if_all_its_tests_pass(seen: list[str], verdict: str) -> None:
    assert results(R1=seen).verdict(1) == verdict


def test_a_rule_that_does_not_apply_says_why() -> None:
    number = next(iter(NOT_APPLICABLE))

    assert Results().verdict(number) == f"not applicable: {NOT_APPLICABLE[number]}"


def test_the_table_takes_the_place_of_the_old_one() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter"
    table = results(R1=["passed"]).page()

    assert placed(placed(page, table), table) == f"before\n{table}\nafter"
    assert "| R1 | " in table
