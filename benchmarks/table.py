"""The table of ratios, for a terminal and for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks.question import CLOCK, OURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.outcome import Answer, Outcome
    from benchmarks.question import Target, Unit

BARE = ("bare ", "import ")
"""How the names of those begin who do the work without us."""
HEADER = ("question", "contestant", "median", "range", "ours is", "target", "verdict")


class Row(NamedTuple):
    """One line of the table."""

    question: str
    contestant: str
    median: str
    spread: str
    ratio: str
    target: str
    verdict: str


def rows(answers: Sequence[Answer]) -> list[Row]:
    """One row per contestant, one more for each further target it is part of."""
    return [row for answer in answers for row in _rows(answer)]


def _rows(answer: Answer) -> list[Row]:
    found: list[Row] = []
    for name in answer.outcomes:
        targets = [t for t in answer.question.targets if _home(t) == name]
        for number, target in enumerate(targets or [None]):
            label = "" if found else answer.name
            found.append(_row(answer, label, name, target, is_first=number == 0))
    return found


def _home(target: Target) -> str:
    """The contestant beside whom the target is shown: the baseline, or the subject itself."""
    return target.against or target.subject


def _row(answer: Answer, label: str, name: str, target: Target | None, *, is_first: bool) -> Row:
    outcome, unit = answer.outcomes[name], answer.question.unit
    median = _value(outcome, unit) if is_first else ""
    spread = _spread(outcome, unit) if is_first else ""
    return Row(
        label,
        name if is_first else "",
        median,
        spread,
        _ratio(answer, name, target),
        _goal(answer, target) if target else "",
        _verdict(answer, target) if target else "",
    )


def number(value: float) -> str:
    """Write a number with three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _value(outcome: Outcome, unit: Unit) -> str:
    if outcome.median is None:
        return outcome.skipped or "failed"
    partly = " (then failed)" if outcome.failed else ""
    return f"{number(outcome.median / unit.scale)} {unit}{partly}"


def _spread(outcome: Outcome, unit: Unit) -> str:
    if not outcome.values:
        return ""
    low, high = min(outcome.values) / unit.scale, max(outcome.values) / unit.scale
    return f"{number(low)} .. {number(high)}"


def _ratio(answer: Answer, name: str, target: Target | None) -> str:
    subject = target.subject if target else _fellow(answer, name)
    if name == subject or subject not in answer.outcomes or (not target and answer.question.contestant(name).is_beside):
        return ""
    ratio = answer.ratio(subject, name)
    if ratio is None:
        return "-"
    if target and target.more is not None:
        return f"{number(answer.excess(target) or 0.0)} {answer.question.unit} more"
    is_faster = ratio < 1 and (target is None or target.faster is not None)
    return _times(1 / ratio if is_faster else ratio, answer.question.unit, is_faster=is_faster)


def _fellow(answer: Answer, name: str) -> str:
    """Which of ours another one is compared with: by the clock, if it is not of ours, nor bare, and that was taken."""
    is_near = name.startswith((OURS, *BARE)) or CLOCK not in answer.outcomes
    return OURS if is_near else CLOCK


def _goal(answer: Answer, target: Target) -> str:
    who = "" if target.subject == OURS else f"{target.subject}: "
    unit = answer.question.unit
    if target.faster is not None:
        return f"{who}>= {_times(target.faster, unit, is_faster=True)}"
    if target.more is not None:
        return f"{who}<= {number(target.more)} {unit} more"
    if target.against:
        return f"{who}<= {_times(target.at_most or 0.0, unit, is_faster=False)}"
    return f"<= {number(target.at_most or 0.0)} {unit}"


def _times(factor: float, unit: Unit, *, is_faster: bool) -> str:
    if unit.is_size:
        return f"{number(factor)}x {'smaller' if is_faster else 'the size'}"
    return f"{number(factor)}x {'faster' if is_faster else 'the time'}"


def _verdict(answer: Answer, target: Target) -> str:
    return {True: "met", False: "MISSED", None: "unknown"}[answer.is_met(target)]


def bare_ratios(answers: Sequence[Answer]) -> str:
    """A Markdown table of what is judged by what it costs without us: on the bare loop, or with a library alone."""
    lines = ["| question | ours | is | the time of | target | verdict |", "| --- | --- | --- | --- | --- | --- |"]
    for answer in answers:
        for target in answer.question.targets:
            if target.against.startswith(BARE):
                ratio = _ratio(answer, target.against, target)
                goal = _goal(answer, target).removeprefix(f"{target.subject}: ")
                cells = (answer.name, target.subject, ratio, target.against, goal, _verdict(answer, target))
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_text(answers: Sequence[Answer]) -> str:
    """Columns for a terminal, then what failed and why."""
    lines = [HEADER, *rows(answers)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    table = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*table, *failures(answers)])


def as_markdown(answers: Sequence[Answer]) -> str:
    """A Markdown table, then what failed and why."""
    lines = [HEADER, ("---",) * len(HEADER), *rows(answers)]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*table, *(f"\n{line}" for line in failures(answers))])


def failures(answers: Sequence[Answer]) -> list[str]:
    """One line for each contestant that failed."""
    return [
        f"{answer.name}, {name}: {outcome.failed}"
        for answer in answers
        for name, outcome in answer.outcomes.items()
        if outcome.failed
    ]
