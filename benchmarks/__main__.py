"""``python -m benchmarks [question ...]``: run the questions (all for none) and print one table of ratios."""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks import page
from benchmarks.harness import Harness, find
from benchmarks.machine import facts
from benchmarks.question import OURS
from benchmarks.table import as_text


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    found.add_argument("question", nargs="*", help="ask, tell, chain, ...; all if none is named")
    found.add_argument(
        "--quick", action="store_true", help="fewer operations and two rounds: a look, not a measurement"
    )
    found.add_argument("--rounds", type=int, help="fresh processes per contestant")
    found.add_argument(
        "--python",
        default=os.environ.get("UNDERSTAGE_BENCH_PYTHON", sys.executable),
        help="interpreter with the competitors' libraries (default: UNDERSTAGE_BENCH_PYTHON, else this one)",
    )
    found.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run; 1 if a contestant of ours failed, 2 for an unknown question, else 0 (a missed target is no failure)."""
    options = parser().parse_args(arguments)
    try:
        modules = find(options.question)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    harness = Harness(
        quick=options.quick,
        rounds=options.rounds,
        rival_python=options.python,
        report=lambda line: print(line, file=sys.stderr),
    )
    answers = [harness.answer(module) for module in modules]
    where = facts(options.python)
    sys.stdout.write(f"{as_text(answers)}\n")
    sys.stderr.write(f"stored in {page.store(answers, where)}\n")
    if options.write_docs:
        sys.stderr.write(f"written to {page.write(answers, where)}\n")
    failed = [o for answer in answers for name, o in answer.outcomes.items() if name.startswith(OURS) and o.failed]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
