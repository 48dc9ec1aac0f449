"""What does history add to a run, until the answer is there?"""

from __future__ import annotations

from functools import partial

from benchmarks.question import Contestant, Question, Target, Unit
from benchmarks.side.kept import callable_agent, perf_counter, process_time, ratio

QUESTION = Question(
    title="A run of a callable whose question and answer are kept, over one that is not",
    unit=Unit.TIMES,
    count=4_000,
    contestants=(
        Contestant(name="ours", run=partial(ratio, callable_agent, clock=process_time), requires="actors"),
        Contestant(
            name="ours, by the clock", run=partial(ratio, callable_agent, clock=perf_counter), requires="actors"
        ),
        Contestant(
            name="ours, until it is written",
            run=partial(ratio, callable_agent, clock=process_time, is_written=True),
            requires="actors",
        ),
    ),
    targets=(Target(at_most=1.05), Target(subject="ours, by the clock", at_most=1.05)),
    note="CPU time; pools with and without history take turns in one process. Writing counts in the last line only.",
)
