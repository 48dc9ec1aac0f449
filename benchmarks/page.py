"""Where answers go: a JSON file for comparison, and the page of the documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.harness import ROOT
from benchmarks.table import as_markdown, bare_ratios

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.outcome import Answer

PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results"

_INTRODUCTION = """# Benchmarks

Made by `make bench`; do not edit by hand.

Each contestant runs in a fresh process, several rounds, interleaved, so that a slow minute of the
machine hits all alike. Where ours is compared with the bare loop, both take turns in one process, and
CPU time counts; threads and other libraries are compared by the clock, as they wait as well as work.
The median over the rounds is shown; the range is the fastest and the slowest round. A ratio compares
two medians of the same run, which is what to look at: the plain numbers depend on the machine.
After an unmeasured batch the garbage collector leaves out what the imports have left, on all sides.
everything-is-an-actor needs Python 3.12: "ours, same Python" runs on the one that it runs on.
"""


def as_json(answers: Sequence[Answer], facts: dict[str, str]) -> dict[str, Any]:
    """All that was measured, round by round."""
    return {"facts": facts, "questions": {answer.name: _question(answer) for answer in answers}}


def _question(answer: Answer) -> dict[str, Any]:
    return {
        "title": answer.question.title,
        "contestants": {
            name: {
                "median": outcome.median,
                "rounds": outcome.values,
                "peak_rss": outcome.peak_rss,
                "count": outcome.count,
                "skipped": outcome.skipped,
                "failed": outcome.failed,
            }
            for name, outcome in answer.outcomes.items()
        },
    }


def store(answers: Sequence[Answer], facts: dict[str, str], folder: Path = RESULTS) -> Path:
    """Write the JSON file, named by date and commit; a later run of the same commit and day replaces it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{facts['date']}-{facts['commit'].partition(',')[0]}.json"
    path.write_text(json.dumps(as_json(answers, facts), indent=1) + "\n")
    return path


def as_page(answers: Sequence[Answer], facts: dict[str, str]) -> str:
    """The page for the documentation."""
    where = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    asked = "\n".join(f"- **{a.name}**: {a.question.title}. {a.question.note}".rstrip() for a in answers)
    bare = f"## What the bare loop, or a library alone, would take\n\n{bare_ratios(answers)}"
    every = f"## Every contestant\n\n{as_markdown(answers)}"
    return f"{_INTRODUCTION}\n{where}\n\n{bare}\n\n{every}\n\n## What one operation is\n\n{asked}\n"


def write(answers: Sequence[Answer], facts: dict[str, str], path: Path = PAGE) -> Path:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_page(answers, facts))
    return path
