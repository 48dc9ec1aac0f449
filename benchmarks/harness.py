"""Run questions: a fresh process per contestant and round, the rounds interleaved.

Round one of every contestant comes before round two of any, so that a slow minute of the machine
hits all alike. A competitor that is not installed, or fails, is a line in the table; the run goes on.
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

    from benchmarks.question import Contestant

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
    timeout: float = 180.0
    """Seconds that one process may take."""
    report: Callable[[str], None] = lambda _: None
    """Told what is being run."""

    def answer(self, module: str) -> Answer:
        """Run all rounds of the question in the file ``module``."""
        question = load(module)
        answer = Answer(module.removeprefix("bench_"), question, {c.name: Outcome() for c in question.contestants})
        rounds = self.rounds or (2 if self.quick else question.rounds)
        for number in range(rounds):
            for contestant in question.contestants:
                if not answer.outcomes[contestant.name].is_over:
                    self.report(f"{answer.name} {number + 1}/{rounds}: {contestant.name}")
                    self._round(module, contestant, answer)
        return answer

    def _round(self, module: str, contestant: Contestant, answer: Answer) -> None:
        question, outcome = answer.question, answer.outcomes[contestant.name]
        outcome.count = question.operations(contestant, quick=self.quick)
        command = self.command(module, contestant, outcome.count, question.batches)
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=self.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            outcome.failed = f"no result within {self.timeout:g} s"
            return
        record(outcome, done.returncode, done.stdout, done.stderr)

    def command(self, module: str, contestant: Contestant, count: int, batches: int) -> list[str]:
        """Command line of one fresh process."""
        python = sys.executable if contestant.requires in OWN_LIBRARIES else self.rival_python
        return [python, "-m", "benchmarks.child", module, contestant.name, str(count), str(batches)]


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
