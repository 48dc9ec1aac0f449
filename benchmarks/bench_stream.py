"""What does a chunk of a streamed answer cost on its way through the agent?"""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def ours(count: int) -> float:
    from actors import Agent

    async with Agent(name="stub", model=_model(count)) as agent:
        started = process_time()
        async with agent.run_stream("go", store_history=False) as stream:
            found = [chunk async for chunk in stream.stream_text(delta=True)]
        return _checked(found, count, process_time() - started)


async def bare(count: int) -> float:
    from pydantic_ai import Agent

    agent = Agent(_model(count), name="stub")
    started = process_time()
    async with agent.run_stream("go") as stream:
        found = [chunk async for chunk in stream.stream_text(delta=True, debounce_by=None)]
    return _checked(found, count, process_time() - started)


def _model(count: int) -> Any:
    from pydantic_ai.models.function import FunctionModel

    async def words(*_: object) -> AsyncIterator[str]:
        for number in range(count):
            yield f"{number} "

    return FunctionModel(stream_function=words)


def _checked(chunks: list[str], count: int, seconds: float) -> float:
    if "".join(chunks) != "".join(f"{number} " for number in range(count)):
        msg = f"{len(chunks)} chunks do not make the text of {count} words"
        raise RuntimeError(msg)
    return seconds


QUESTION = Question(
    title="One chunk of a streamed text, from the model to the user",
    unit=Unit.MICROSECONDS,
    count=2_000,
    is_interleaved=True,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare pydantic-ai", run=bare, requires="pydantic_ai"),
    ),
    targets=(Target(against="bare pydantic-ai", more=30.0),),
    note="CPU time of the process: each side does nothing but compute.",
)
