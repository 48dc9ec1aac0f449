"""A pytest plugin: after the tests of the behaviour contract, the table of what holds (`make acceptance`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.contract import SECTIONS, STATEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator


class Acceptance:
    """Outcomes of the tests marked with statements of the contract."""

    def __init__(self) -> None:
        self.statements: dict[str, list[int]] = {}
        """Node id to the statements it is marked with."""
        self.outcomes: defaultdict[int, Counter[str]] = defaultdict(Counter)

    def mark(self, item: pytest.Item) -> None:
        names = [str(each) for marker in item.iter_markers("seed") for each in marker.args]
        unknown = [name for name in names if name[1:] not in map(str, STATEMENTS) or name[:1] != "S"]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: no such statement: {', '.join(unknown)}")
        if names:
            self.statements[item.nodeid] = [int(name[1:]) for name in names]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            for number in self.statements.get(report.nodeid, ()):
                self.outcomes[number][report.outcome] += 1

    def verdict(self, number: int) -> str:
        seen = self.outcomes[number]
        for outcome in ("failed", "passed", "skipped"):
            if seen[outcome]:
                return f"{outcome} ({seen[outcome]})"
        return "missing"

    def totals(self) -> str:
        words = Counter(self.verdict(number).partition(" (")[0] for number in STATEMENTS)
        return ", ".join(f"{count} {word}" for word, count in words.most_common())

    def lines(self) -> Iterator[str]:
        for section, (first, last) in SECTIONS.items():
            yield section
            for number in range(first, last + 1):
                is_implied, text = STATEMENTS[number]
                yield f"  S{number:<4} {self.verdict(number):<12} {text}{' (+)' if is_implied else ''}"
        yield self.totals()


_results = pytest.StashKey[Acceptance]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("acceptance")
    group.addoption("--acceptance-table", action="store_true", help="print the table of the behaviour contract")


def pytest_configure(config: pytest.Config) -> None:
    results = config.stash[_results] = Acceptance()
    config.pluginmanager.register(results, "acceptance-results")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        config.stash[_results].mark(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--acceptance-table"):
        return
    terminalreporter.section("behaviour contract")
    for line in config.stash[_results].lines():
        terminalreporter.line(line, red=" failed " in line or " missing " in line)
