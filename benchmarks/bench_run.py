"""What does an agent add to the bare pydantic-ai run that it wraps?"""

from __future__ import annotations

from time import process_time

from benchmarks.question import Contestant, Question, Target, Unit


async def ours(count: int) -> float:
    from pydantic_ai.models.test import TestModel

    from actors import Agent

    async with Agent(name="stub", model=TestModel(custom_output_text="done")) as agent:
        started = process_time()
        for _ in range(count):
            await agent.run("say something", store_history=False)
        return process_time() - started


async def bare(count: int) -> float:
    from pydantic_ai import Agent
    from pydantic_ai.models.test import TestModel

    agent = Agent(TestModel(custom_output_text="done"), name="stub")
    started = process_time()
    for _ in range(count):
        await agent.run("say something")
    return process_time() - started


QUESTION = Question(
    title="One agent run over a model that answers at once",
    unit=Unit.MICROSECONDS,
    count=200,
    batches=7,
    rounds=3,
    is_interleaved=True,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare pydantic-ai", run=bare, requires="pydantic_ai"),
    ),
    targets=(Target(against="bare pydantic-ai", at_most=1.03),),
    note=(
        "CPU time of the process. `TestModel` on both sides, history not kept: what is left is the mailbox, the actor "
        "and the events."
    ),
)
