"""The table of ratios."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.outcome import Answer, Outcome
from benchmarks.question import CLOCK, Contestant, Question, Target, Unit
from benchmarks.table import as_markdown, as_text, bare_ratios, number, rows

TARGETS = (
    Target(against="bare", at_most=2.0),
    Target(against="threads", faster=8.0),
    Target(against="absent", faster=20.0),
)


def stub(unit: Unit = Unit.MICROSECONDS) -> Answer:
    names = ("ours", "bare", "threads", "absent", "broken")
    question = Question(
        title="t",
        unit=unit,
        count=1,
        contestants=tuple(Contestant(name=name, run=float) for name in names),
        targets=TARGETS,
    )
    scale = unit.scale
    outcomes = {
        "ours": Outcome(values=[5 * scale, 6 * scale, 9 * scale]),
        "bare": Outcome(values=[4 * scale]),
        "threads": Outcome(values=[36 * scale]),
        "absent": Outcome(skipped="not installed"),
        "broken": Outcome(failed="exit code 1: Boom"),
    }
    return Answer("ask", question, outcomes)


def test_row_shows_median_and_range_in_the_unit() -> None:
    assert rows([stub()])[0][:4] == ("ask", "ours", "6 us", "5 .. 9")


def test_row_of_a_baseline_shows_how_much_longer_we_take_beside_the_target() -> None:
    assert rows([stub()])[1][1:] == ("bare", "4 us", "4 .. 4", "1.5x the time", "<= 2x the time", "met")


def test_row_of_a_slower_competitor_shows_the_missed_target() -> None:
    assert rows([stub()])[2][4:] == ("6x faster", ">= 8x faster", "MISSED")


def test_row_of_a_missing_competitor_says_so_and_judges_nothing() -> None:
    assert rows([stub()])[3][2:] == ("not installed", "", "-", ">= 20x faster", "unknown")


def test_failure_is_one_word_in_the_table_and_a_line_below_it() -> None:
    assert rows([stub()])[4].median == "failed"
    assert as_text([stub()]).endswith("\nask, broken: exit code 1: Boom")


def test_row_of_a_faster_competitor_does_not_call_us_faster() -> None:
    answer = stub()
    answer.question = replace(answer.question, targets=(Target(against="bare", faster=1.0),))
    assert rows([answer])[1][4:] == ("1.5x the time", ">= 1x faster", "MISSED")


def test_what_is_ours_beside_a_competitor_is_not_compared_with_ours() -> None:
    answer = stub()
    beside = Contestant(name="bare", run=float, is_beside=True)
    ours, _, *others = answer.question.contestants
    answer.question = replace(answer.question, targets=(), contestants=(ours, beside, *others))
    assert rows([answer])[1][1:5] == ("bare", "4 us", "4 .. 4", "")


def test_another_library_is_compared_by_the_clock_where_that_was_taken() -> None:
    answer = stub()
    answer.question = replace(answer.question, targets=())
    answer.outcomes |= {CLOCK: Outcome(values=[12e-6]), "bare loop": Outcome(values=[3e-6])}
    extra = tuple(Contestant(name=name, run=float) for name in (CLOCK, "bare loop"))
    answer.question = replace(answer.question, contestants=(*answer.question.contestants, *extra))
    found = {row.contestant: row.ratio for row in rows([answer])}
    assert (found["threads"], found["bare loop"]) == ("3x faster", "2x the time")


def test_ratios_to_the_bare_loop_are_a_table_of_their_own() -> None:
    answer = stub()
    names = ("ours", "bare loop")
    answer.question = replace(
        answer.question,
        contestants=tuple(Contestant(name=name, run=float) for name in names),
        targets=(Target(against="bare loop", at_most=2.0),),
    )
    answer.outcomes = {"ours": Outcome(values=[6e-6]), "bare loop": Outcome(values=[4e-6])}
    assert bare_ratios([answer]).splitlines()[2:] == [
        "| ask | ours | 1.5x the time | bare loop | <= 2x the time | met |"
    ]


def test_sizes_are_smaller_not_faster() -> None:
    assert rows([stub(Unit.KIBIBYTES)])[2].ratio == "6x smaller"


def test_more_target_shows_the_difference() -> None:
    answer = stub()
    answer.question = replace(answer.question, targets=(Target(against="bare", more=30.0),))
    assert rows([answer])[1][4:] == ("2 us more", "<= 30 us more", "met")


def test_second_target_of_a_contestant_gets_a_row_without_repetition() -> None:
    question = Question(
        title="t",
        unit=Unit.SECONDS,
        count=1,
        contestants=(Contestant(name="ours", run=float), Contestant(name="ours, many", run=float)),
        targets=(Target(at_most=1.0), Target(subject="ours, many", against="ours", at_most=1.5)),
    )
    found = rows([Answer("spawn", question, {"ours": Outcome(values=[1.0]), "ours, many": Outcome(values=[2.0])})])
    assert [row[:3] for row in found] == [("spawn", "ours", "1 s"), ("", "", ""), ("", "ours, many", "2 s")]
    assert found[1][4:] == ("2x the time", "ours, many: <= 1.5x the time", "MISSED")


def test_text_columns_line_up() -> None:
    header, first, *_ = as_text([stub()]).splitlines()
    assert header.index("contestant") == first.index("ours")


def test_markdown_escapes_a_pipe_in_a_name() -> None:
    question = Question(
        title="t", unit=Unit.SECONDS, count=1, contestants=(Contestant(name="a | b", run=float),), targets=()
    )
    assert "a \\| b" in as_markdown([Answer("q", question, {"a | b": Outcome(values=[1.0])})])


def test_numbers_have_three_digits_and_no_exponent() -> None:
    assert [number(value) for value in (0.0123, 1.234, 98.76, 4_321.0)] == ["0.0123", "1.23", "98.8", "4,321"]
