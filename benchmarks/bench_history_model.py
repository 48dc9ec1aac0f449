"""What does history add to a run of an agent on the offline model, all work for it included?"""

from __future__ import annotations

from functools import partial

from benchmarks.question import Contestant, Question, Target, Unit
from benchmarks.side.kept import offline_agent, perf_counter, process_time, ratio

kept = partial(ratio, offline_agent, is_written=True)

QUESTION = Question(
    title="A run of an agent on the offline model, kept and written, over one that is not",
    unit=Unit.TIMES,
    count=160,
    contestants=(
        Contestant(name="ours", run=partial(kept, clock=process_time), requires="actors"),
        Contestant(name="ours, by the clock", run=partial(kept, clock=perf_counter), requires="actors"),
    ),
    targets=(Target(at_most=1.05), Target(subject="ours, by the clock", at_most=1.05)),
    note="CPU time; making the messages, encoding what the model said, and SQLite in its thread all count.",
)
