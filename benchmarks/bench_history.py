"""What does history add to a run, until the answer is there?"""

from __future__ import annotations

from functools import partial

from benchmarks.question import Contestant, Question, Target, Unit
from benchmarks.side.kept import callable_agent, perf_counter, process_time, timed

ours = partial(timed, callable_agent, is_kept=True, clock=perf_counter)
without = partial(timed, callable_agent, is_kept=False, clock=perf_counter)

QUESTION = Question(
    title="One run of a callable whose question and answer are kept",
    unit=Unit.MICROSECONDS,
    count=2_000,
    rounds=7,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="without history", run=without, requires="actors"),
        Contestant(name="ours, CPU", run=partial(ours, clock=process_time), requires="actors"),
        Contestant(name="without history, CPU", run=partial(without, clock=process_time), requires="actors"),
        Contestant(
            name="ours, CPU, until it is written",
            run=partial(ours, clock=process_time, is_written=True),
            requires="actors",
        ),
    ),
    targets=(
        Target(against="without history", at_most=1.05),
        Target(subject="ours, CPU", against="without history, CPU", at_most=1.05),
    ),
    note="Both pools take turns in one process, 80 runs each. Writing is timed in the last line only.",
)
