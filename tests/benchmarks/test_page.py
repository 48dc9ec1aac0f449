"""The JSON file and the page of the documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks.machine import facts
from benchmarks.outcome import Answer, Outcome
from benchmarks.page import as_page, store, write
from benchmarks.question import Contestant, Question, Unit

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"date": "2030-01-02", "commit": "abc1234, with changes", "python": "CPython 3.11.7"}


def stub() -> Answer:
    question = Question(
        title="One thing",
        unit=Unit.SECONDS,
        count=4,
        contestants=(Contestant(name="ours", run=float), Contestant(name="rival", run=float)),
        note="Mind the gap.",
    )
    return Answer("thing", question, {"ours": Outcome(values=[1.0, 2.0]), "rival": Outcome(skipped="not installed")})


def test_json_file_is_named_by_date_and_commit_and_keeps_every_round(tmp_path: Path) -> None:
    path = store([stub()], FACTS, tmp_path / "results")
    assert path.name == "2030-01-02-abc1234.json"
    stored = json.loads(path.read_text())
    assert stored["facts"] == FACTS
    assert stored["questions"]["thing"]["contestants"]["ours"]["rounds"] == [1.0, 2.0]
    assert stored["questions"]["thing"]["contestants"]["rival"]["skipped"] == "not installed"


def test_page_has_facts_table_and_what_is_measured(tmp_path: Path) -> None:
    path = write([stub()], FACTS, tmp_path / "docs" / "benchmarks.md")
    page = path.read_text()
    assert page == as_page([stub()], FACTS)
    assert "- python: CPython 3.11.7" in page
    assert "| thing | ours | 1.5 s | 1 .. 2 |" in page
    assert "- **thing**: One thing. Mind the gap." in page


def test_facts_survive_an_interpreter_that_is_not_there() -> None:
    found = facts("/no/such/python")
    assert set(found) == {"date", "commit", "cpu", "load", "system", "python", "libraries"}
    assert "pykka" in found["libraries"]
