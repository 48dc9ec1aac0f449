"""The fresh process: run one contestant of one question and print one line of JSON.

Called by the harness as ``python -m benchmarks.child bench_ask ours COUNT BATCHES``.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import json
import statistics
import sys
from typing import TYPE_CHECKING

from benchmarks.measure import peak_bytes

if TYPE_CHECKING:
    from benchmarks.question import Contestant, Question, Run


def load(module: str) -> Question:
    """Import a benchmark file and return its question."""
    question: Question = importlib.import_module(f"benchmarks.{module}").QUESTION
    return question


def reason_to_skip(contestant: Contestant) -> str:
    """Say why ``contestant`` cannot run in this interpreter; empty if it can."""
    if sys.version_info < contestant.python:
        return f"needs Python >= {contestant.python[0]}.{contestant.python[1]}"
    if contestant.requires and importlib.util.find_spec(contestant.requires) is None:
        return "not installed"
    return ""


async def batches(run: Run, count: int, number: int) -> list[float]:
    """Run ``number`` batches on one loop, after one unmeasured if there are several; value per operation each."""
    if number > 1:
        await _batch(run, count)
    return [await _batch(run, count) / count for _ in range(number)]


async def _batch(run: Run, count: int) -> float:
    value = run(count)
    return await value if inspect.isawaitable(value) else value


def report(module: str, name: str, count: int, number: int) -> dict[str, object]:
    """Run the contestant here and return what the harness reads."""
    contestant = load(module).contestant(name)
    if reason := reason_to_skip(contestant):
        return {"skipped": reason}
    values = asyncio.run(batches(contestant.run, count, number))
    return {
        "per_operation": statistics.median(values),
        "batches": values,
        "count": count,
        "peak_rss": peak_bytes(),
        "python": sys.version.split()[0],
    }


def main(arguments: list[str]) -> None:
    """Entry point of the fresh process."""
    module, name, count, number = arguments
    line = json.dumps(report(module, name, int(count), int(number)))
    sys.stdout.write(f"\n{line}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
