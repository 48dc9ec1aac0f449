"""What does history add to a run of an agent on the offline model, all work for it included?"""

from __future__ import annotations

from functools import partial

from benchmarks.question import Contestant, Question, Target, Unit
from benchmarks.side.kept import offline_agent, perf_counter, process_time, timed

ours = partial(timed, offline_agent, is_kept=True, clock=perf_counter, is_written=True)
without = partial(timed, offline_agent, is_kept=False, clock=perf_counter)

QUESTION = Question(
    title="One run of an agent on the offline model, its conversation kept and written",
    unit=Unit.MICROSECONDS,
    count=80,
    rounds=7,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="without history", run=without, requires="actors"),
        Contestant(name="ours, CPU", run=partial(ours, clock=process_time), requires="actors"),
        Contestant(name="without history, CPU", run=partial(without, clock=process_time), requires="actors"),
    ),
    targets=(
        Target(against="without history", at_most=1.05),
        Target(subject="ours, CPU", against="without history, CPU", at_most=1.05),
    ),
    note="Both take turns in one process. Making the messages, encoding and SQLite in its thread all count.",
)
