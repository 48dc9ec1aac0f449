"""The fresh process: run one contestant of one question and print one line of JSON.

Called by the harness as ``python -m benchmarks.child bench_ask ours COUNT BATCHES``.
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

from benchmarks.measure import peak_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

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


async def batches(run: Run, count: int, number: int, warmed: Callable[[], object] = gc.collect) -> list[float]:
    """Run ``number`` batches on one loop, after one unmeasured if there are several; value per operation each."""
    if number > 1:
        await _batch(run, count)
        warmed()
    return [await _batch(run, count) / count for _ in range(number)]


async def _batch(run: Run, count: int) -> float:
    value = run(count)
    return await value if inspect.isawaitable(value) else value


def _leave_out() -> None:
    """Have the garbage collector leave out what there is now, that is what the imports have left.

    Else each full collection looks through all of that, and falls upon whichever batch it pleases.
    """
    gc.collect()
    gc.freeze()


def report(module: str, name: str, count: int, number: int) -> dict[str, object]:
    """Run the contestant here and return what the harness reads."""
    contestant = load(module).contestant(name)
    if reason := reason_to_skip(contestant):
        return {"skipped": reason}
    values = asyncio.run(batches(contestant.run, count, number, _leave_out))
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
