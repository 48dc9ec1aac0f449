"""A pytest plugin: after the tests of the reliability catalogue, the table of what holds (`make conformance`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.catalogue import NOT_APPLICABLE, RULES, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
BEGIN = "<!-- conformance: begin (written by `make conformance`) -->"
END = "<!-- conformance: end -->"


class Results:
    """Outcomes of the marked tests, by rule."""

    def __init__(self) -> None:
        self.rules: dict[str, list[int]] = {}
        """Node id to the rules it is marked with."""
        self.outcomes: defaultdict[int, Counter[str]] = defaultdict(Counter)

    def mark(self, item: pytest.Item) -> None:
        numbers = [str(each) for marker in item.iter_markers("conformance") for each in marker.args]
        unknown = [each for each in numbers if int(each.removeprefix("R")) not in RULES]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: no such rule: {', '.join(unknown)}")
        if numbers:
            self.rules[item.nodeid] = [int(each.removeprefix("R")) for each in numbers]

    def note(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            for number in self.rules.get(report.nodeid, ()):
                self.outcomes[number][report.outcome] += 1

    def verdict(self, number: int) -> str:
        seen = self.outcomes[number]
        if seen["failed"]:
            return f"failed ({seen['failed']} of {seen.total()})"
        if seen["passed"]:
            return f"passed ({seen['passed']})"
        if number in NOT_APPLICABLE:
            return f"not applicable: {NOT_APPLICABLE[number]}"
        return "skipped" if seen["skipped"] else "no test"

    def totals(self) -> str:
        words = Counter(self.verdict(number).partition(" (")[0].partition(":")[0] for number in RULES)
        return ", ".join(f"{count} {word}" for word, count in words.most_common())

    def lines(self) -> Iterator[str]:
        for section, (first, last) in SECTIONS.items():
            yield section
            for number in range(first, last + 1):
                level, text = RULES[number]
                yield f"  R{number:<4} [{level}] {self.verdict(number):<16} {text}"
        yield self.totals()

    def page(self) -> str:
        parts: list[str] = []
        for section, (first, last) in SECTIONS.items():
            rows = [f"| R{number} | {RULES[number][1]} | {self.verdict(number)} |" for number in range(first, last + 1)]
            parts += [f"### {section}", "", "| Rule | What holds | Tests |", "|---|---|---|", *rows, ""]
        return "\n".join([BEGIN, "", f"{self.totals()}.", "", *parts, END])


_results = pytest.StashKey[Results]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--conformance-table", action="store_true", help="print the table of the reliability catalogue")
    group.addoption("--conformance-page", action="store_true", help="print it and write it into docs/reliability.md")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_results] = Results()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        config.stash[_results].mark(item)


class _Listener:
    def __init__(self, results: Results) -> None:
        self._results = results

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._results.note(report)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(_Listener(session.config.stash[_results]), "conformance-listener")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    writes = config.getoption("--conformance-page")
    if not writes and not config.getoption("--conformance-table"):
        return
    results = config.stash[_results]
    terminalreporter.section("reliability catalogue")
    for line in results.lines():
        terminalreporter.line(line, red=" failed " in line or " no test " in line)
    if writes:
        PAGE.write_text(placed(PAGE.read_text(encoding="utf-8"), results.page()), encoding="utf-8")
        terminalreporter.line(f"wrote {PAGE}")


def placed(page: str, table: str) -> str:
    """Return the page with the table between the two markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{table}{after}"
