"""How much later does the first piece of a streamed answer come when a model is the last stage of a chain?"""

from __future__ import annotations

from statistics import median
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STAGES = 3


async def ours(count: int) -> float:
    from actors import Agent

    stages = [Agent.from_callback(str.strip, name=f"stage {number}") for number in range(STAGES - 1)]
    chain = stages[0] | stages[1] | Agent(name="last", model=_model(), session=False)
    times: list[float] = []
    async with chain:
        for _ in range(count):
            started = process_time()
            async with chain.run_stream("go") as stream:
                async for piece in stream.stream():
                    times.append(_checked(piece, process_time() - started))
                    break
    return median(times) * count


async def bare(count: int) -> float:
    from pydantic_ai import Agent

    agent = Agent(_model(), name="last")
    times: list[float] = []
    for _ in range(count):
        started = process_time()
        async with agent.run_stream("go") as stream:
            async for piece in stream.stream_text(delta=True, debounce_by=None):
                times.append(_checked(piece, process_time() - started))
                break
    return median(times) * count


def _model() -> Any:
    from pydantic_ai.models.function import FunctionModel

    async def words(*_: object) -> AsyncIterator[str]:
        for number in range(10):
            yield f"{number} "

    return FunctionModel(stream_function=words)


def _checked(piece: str, seconds: float) -> float:
    if piece != "0 ":
        msg = f"the first piece is {piece!r}, not '0 '"
        raise RuntimeError(msg)
    return seconds


QUESTION = Question(
    title="From the start of a streamed run to its first piece of text",
    unit=Unit.MICROSECONDS,
    count=50,
    is_interleaved=True,
    contestants=(
        Contestant(name="ours", run=ours, requires="actors"),
        Contestant(name="bare pydantic-ai", run=bare, requires="pydantic_ai"),
    ),
    targets=(Target(against="bare pydantic-ai", more=1_000.0),),
    note=(
        f"CPU time of the process: neither side sleeps. Ours is a chain of {STAGES}: callables, and last the model. "
        "The stream is left after the piece; the median of each batch counts."
    ),
)
