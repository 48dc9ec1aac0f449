"""The arithmetic of ratios and targets."""

from __future__ import annotations

import pytest

from benchmarks.outcome import Answer, Outcome
from benchmarks.question import Contestant, Question, Target, Unit


def answer(ours: list[float], theirs: list[float], *targets: Target) -> Answer:
    question = Question(
        title="t",
        unit=Unit.MICROSECONDS,
        count=1,
        contestants=(Contestant(name="ours", run=float), Contestant(name="theirs", run=float)),
        targets=targets,
    )
    return Answer("stub", question, {"ours": Outcome(values=ours), "theirs": Outcome(values=theirs)})


def test_median_ignores_one_slow_round() -> None:
    assert Outcome(values=[1.0, 2.0, 100.0]).median == 2.0


def test_median_is_none_when_nothing_ran() -> None:
    assert Outcome().median is None


def test_ratio_divides_the_medians() -> None:
    assert answer([1.0, 3.0, 2.0], [8.0, 7.0, 9.0]).ratio("ours", "theirs") == 0.25


@pytest.mark.parametrize("theirs", [[], [0.0]])
def test_ratio_is_unknown_without_a_value_to_divide_by(theirs: list[float]) -> None:
    assert answer([1.0], theirs).ratio("ours", "theirs") is None


@pytest.mark.parametrize(("theirs", "is_met"), [(8.0, True), (7.9, False)])
def test_faster_target_is_met_from_its_factor_on(theirs: float, is_met: bool) -> None:
    target = Target(against="theirs", faster=8.0)
    assert answer([1.0], [theirs], target).is_met(target) is is_met


@pytest.mark.parametrize(("ours", "is_met"), [(2.0, True), (2.01, False)])
def test_at_most_target_is_met_up_to_its_factor(ours: float, is_met: bool) -> None:
    target = Target(against="theirs", at_most=2.0)
    assert answer([ours], [1.0], target).is_met(target) is is_met


@pytest.mark.parametrize(("ours", "is_met"), [(59e-6, True), (61e-6, False)])
def test_plain_target_is_compared_in_the_unit_of_the_question(ours: float, is_met: bool) -> None:
    target = Target(at_most=60.0)
    assert answer([ours], [], target).is_met(target) is is_met


@pytest.mark.parametrize(("ours", "is_met"), [(129e-6, True), (131e-6, False)])
def test_more_target_is_a_difference_in_the_unit_of_the_question(ours: float, is_met: bool) -> None:
    target = Target(against="theirs", more=30.0)
    assert answer([ours], [100e-6], target).is_met(target) is is_met


def test_target_is_unknown_when_its_baseline_is_missing() -> None:
    target = Target(against="theirs", faster=8.0)
    assert answer([1.0], [], target).is_met(target) is None


@pytest.mark.parametrize(
    "wrong", [{}, {"against": "theirs", "faster": 2.0, "at_most": 2.0}, {"faster": 2.0}, {"more": 1.0}]
)
def test_target_refuses_what_says_nothing_or_too_much(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="target of 'ours'"):
        Target(**wrong)  # type: ignore[arg-type]


def test_question_names_the_contestants_it_has() -> None:
    with pytest.raises(ValueError, match="no contestant 'nobody'; there are 'ours', 'theirs'"):
        answer([], []).question.contestant("nobody")


def test_quick_run_divides_the_count_and_keeps_at_least_one_operation() -> None:
    question = answer([], []).question
    assert question.operations(Contestant(name="slow", run=float, count=200), quick=True) == 20
    assert question.operations(question.contestant("ours"), quick=True) == 1
