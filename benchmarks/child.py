"""The fresh process: run one contestant of one question, or several in turn, and print one line of JSON for each.

Called by the harness as ``python -m benchmarks.child bench_ask ours COUNT [another COUNT ...] BATCHES``.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import inspect
import json
import statistics
import sys
from typing import TYPE_CHECKING

from benchmarks.measure import leave_out, peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


async def batches(
    runs: Sequence[tuple[Run, int]], number: int, warmed: Callable[[], object] = gc.collect
) -> list[list[float]]:
    """Run ``number`` batches of each in turn on one loop, after one unmeasured if there are several.

    Returns:
        For each run the values per operation, one per batch.
    """
    if number > 1:
        for run, count in runs:
            await _batch(run, count)
        warmed()
    taken = [[await _batch(run, count) / count for run, count in runs] for _ in range(number)]
    return [list(values) for values in zip(*taken, strict=True)]


async def _batch(run: Run, count: int) -> float:
    value = run(count)
    return await value if inspect.isawaitable(value) else value


def report(module: str, counts: dict[str, int], number: int) -> list[dict[str, object]]:
    """Run the contestants here and return what the harness reads, for each in their order."""
    question = load(module)
    found: dict[str, dict[str, object]] = {}
    for name in counts:
        if reason := reason_to_skip(question.contestant(name)):
            found[name] = {"skipped": reason}
    left = [name for name in counts if name not in found]
    runs = [(question.contestant(name).run, counts[name]) for name in left]
    for name, values in zip(left, asyncio.run(batches(runs, number, leave_out)), strict=True):
        found[name] = {
            "per_operation": statistics.median(values),
            "batches": values,
            "count": counts[name],
            "peak_rss": peak_bytes(),
            "python": sys.version.split()[0],
        }
    return [found[name] for name in counts]


def main(arguments: list[str]) -> None:
    """Entry point of the fresh process."""
    module, *each, number = arguments
    counts = dict(zip(each[::2], map(int, each[1::2]), strict=True))
    for line in report(module, counts, int(number)):
        sys.stdout.write(f"\n{json.dumps(line)}")
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
