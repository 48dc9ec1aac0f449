from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.acceptance_table import Acceptance
from tests.contract import SECTIONS, STATEMENTS


def item(nodeid: str, *statements: str) -> Any:
    def iter_markers(_name: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(args=statements)]

    return SimpleNamespace(nodeid=nodeid, iter_markers=iter_markers)


def report(nodeid: str, outcome: str, when: str = "call") -> Any:
    return SimpleNamespace(nodeid=nodeid, outcome=outcome, when=when)


def test_the_checklist_has_every_statement_once_in_its_section() -> None:
    assert sorted(STATEMENTS) == list(range(1, 139))
    assert [number for first, last in SECTIONS.values() for number in range(first, last + 1)] == list(range(1, 139))


def test_a_statement_fails_with_one_of_its_tests_and_is_missing_without_any() -> None:
    results = Acceptance()
    results.mark(item("one", "S1", "S2"))
    results.mark(item("two", "S2"))
    for each in (report("one", "passed", "setup"), report("one", "passed"), report("two", "failed", "setup")):
        results.pytest_runtest_logreport(each)

    assert [results.verdict(number) for number in (1, 2, 3)] == ["passed (1)", "failed (1)", "missing"]
    assert results.totals() == "136 missing, 1 passed, 1 failed"


@pytest.mark.parametrize("name", ["S139", "S0", "R1", "S1x"])
def test_a_statement_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"no such statement: {name}"):
        Acceptance().mark(item("one", name))
