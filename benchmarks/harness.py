"""Run questions: a fresh process per contestant and round, the rounds interleaved.

Round one of every contestant comes before round two of any, so that a slow minute of the machine
hits all alike. A question may have its contestants take turns in one process (`is_interleaved`), which
is twenty times as exact. A competitor that is not installed, or fails, is a line in the table; the run goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.child import load
from benchmarks.outcome import Answer, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.question import Contestant, Question

ROOT = Path(__file__).resolve().parent.parent

OWN_LIBRARIES = frozenset({"", "actors", "pykka", "pydantic_ai"})
"""Libraries taken from our own interpreter, so that both sides of a ratio use the same version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """Settings of one run of the benchmarks."""

    quick: bool = False
    """Fewer operations, two rounds: a look, not a measurement."""
    rounds: int | None = None
    """Fresh processes per contestant, if not what the question says."""
    rival_python: str = sys.executable
    """Interpreter that has the competitors' libraries."""
    timeout: float | None = None
    """Seconds that one process may take, if not what the question says."""
    report: Callable[[str], None] = lambda _: None
    """Told what is being run."""

    def answer(self, module: str) -> Answer:
        """Run all rounds of the question in the file ``module``."""
        question = load(module)
        answer = Answer(module.removeprefix("bench_"), question, {c.name: Outcome() for c in question.contestants})
        rounds = self.rounds or (2 if self.quick else question.rounds)
        for number in range(rounds):
            for group in groups(question):
                left = [contestant for contestant in group if not answer.outcomes[contestant.name].is_over]
                if left:
                    self.report(f"{answer.name} {number + 1}/{rounds}: {', '.join(each.name for each in left)}")
                    self._round(module, left, answer)
        return answer

    def _round(self, module: str, group: list[Contestant], answer: Answer) -> None:
        question, outcomes = answer.question, [answer.outcomes[contestant.name] for contestant in group]
        for contestant, outcome in zip(group, outcomes, strict=True):
            outcome.count = question.operations(contestant, quick=self.quick)
        command = self.command(module, group, [outcome.count for outcome in outcomes], question.batches)
        limit = self.timeout or question.timeout
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            for outcome in outcomes:
                outcome.failed = f"no result within {limit:g} s"
            return
        lines = done.stdout.strip().split("\n")[-len(group) :]
        for outcome, line in zip(outcomes, [*lines, *[""] * len(group)], strict=False):
            record(outcome, done.returncode, line, done.stderr)

    def command(self, module: str, group: list[Contestant], counts: list[int], batches: int) -> list[str]:
        """Command line of one fresh process, for one contestant or for those that take turns."""
        python = sys.executable if is_own(group[0]) else self.rival_python
        each = [text for contestant, count in zip(group, counts, strict=True) for text in (contestant.name, str(count))]
        return [python, "-m", "benchmarks.child", module, *each, str(batches)]


def is_own(contestant: Contestant) -> bool:
    """Whether it runs in our interpreter."""
    return contestant.requires in OWN_LIBRARIES and not contestant.is_beside


def groups(question: Question) -> list[list[Contestant]]:
    """The contestants by process: each its own, but those that take turns in our interpreter one together."""
    if not question.is_interleaved:
        return [[contestant] for contestant in question.contestants]
    together = [contestant for contestant in question.contestants if is_own(contestant)]
    return [together, *([contestant] for contestant in question.contestants if not is_own(contestant))]


def environment() -> dict[str, str]:
    """Environment of a fresh process: fixed hashing (less spread between processes), no banner, no tracing."""
    return os.environ | {"PYTHONHASHSEED": "0", "PYDANTIC_AI_NO_BANNER": "1", "LANGSMITH_TRACING": "false"}


def record(outcome: Outcome, code: int, output: str, errors: str) -> None:
    """Add what one process printed to ``outcome``."""
    last = output.strip().rpartition("\n")[2]
    result = _parsed(last) if code == 0 else None
    if result is None:
        reason = errors.strip().rpartition("\n")[2] or f"printed {last[:80]!r}"
        outcome.failed = f"exit code {code}: {reason[:200]}"
    elif "skipped" in result:
        outcome.skipped = str(result["skipped"])
    else:
        outcome.values.append(float(result["per_operation"]))
        outcome.peak_rss.append(int(result["peak_rss"]))


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] | int = json.loads(line)
    except ValueError:
        return None
    return result if isinstance(result, dict) else None


def questions() -> list[str]:
    """All benchmark files, by module name; a script of its own, which asks no ``QUESTION``, is left out."""
    files = Path(__file__).parent.glob("bench_*.py")
    return sorted(path.stem for path in files if "\nQUESTION = Question(" in path.read_text())


def find(names: Iterable[str]) -> list[str]:
    """Turn ``ask`` or ``bench_ask`` into module names (all for no name); ValueError for an unknown one."""
    known = questions()
    wanted = [name if name.startswith("bench_") else f"bench_{name}" for name in names]
    for name in wanted:
        if name not in known:
            short = ", ".join(k.removeprefix("bench_") for k in known)
            msg = f"no benchmark {name.removeprefix('bench_')!r}; there are: {short}"
            raise ValueError(msg)
    return wanted or known
