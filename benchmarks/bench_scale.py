"""Does one of many cost what one of few costs?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.measure import leave_out
from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors import Agent

TEXT = "a line of text"


def callables(count: int) -> list[Agent[Any, Any]]:
    from actors import Agent

    return [Agent.from_callback(str.upper, name=f"node{number}") for number in range(count)]


async def agents(count: int) -> float:
    """Make agents with a model, start them, and stop them."""
    from actors import Agent

    started = process_time()
    nodes = [Agent(f"agent{number}", model="offline", system_prompt="Be brief.") for number in range(count)]
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node)
    return process_time() - started


async def waiting_runs(count: int) -> float:
    """Begin runs, all of which wait for one model; then it answers."""
    from benchmarks.side.slow import slow_agent

    async with slow_agent() as (slow, agent):
        started = process_time()
        await slow.wait(agent, count)
        await slow.answer()
        return process_time() - started


async def team_members(count: int) -> float:
    """Make a team, start it, and stop it."""
    from actors import Team

    members = callables(count)
    started = process_time()
    async with Team(members):
        pass
    return process_time() - started


async def team_answers(count: int) -> float:
    """Ask a team once."""
    from actors import Team

    async with Team(callables(count)) as team:
        started = process_time()
        response = await team.run(TEXT)
        seconds = process_time() - started
    _check(len(response.content), count)
    return seconds


async def chain_stages(count: int) -> float:
    """Make a chain, start it, and stop it."""
    from actors import TeamRun

    stages = callables(count)
    started = process_time()
    async with TeamRun(stages):
        pass
    return process_time() - started


async def chain_steps(count: int) -> float:
    """Send one text through a chain."""
    from actors import TeamRun

    async with TeamRun(callables(count)) as chain:
        started = process_time()
        await chain.run(TEXT)
        return process_time() - started


async def chain_runs(count: int) -> float:
    """Run one chain so many times at once; nobody may get somebody else's answer."""
    from actors import TeamRun

    async with TeamRun(callables(3)) as chain:
        started = process_time()
        answers = await asyncio.gather(*(chain.run(f"run {number}") for number in range(count)))
        seconds = process_time() - started
    _check(sum(answer.content == f"RUN {number}" for number, answer in enumerate(answers)), count)
    return seconds


async def connections(count: int) -> float:
    """Connect one source, and disconnect it."""
    source, *targets = callables(count + 1)
    started = process_time()
    for target in targets:
        source.connect_to(target)
    _check(len(source.connections), count)
    talks: Any = source.talks
    for talk in talks:
        talk.disconnect()
    return process_time() - started


async def deliveries(count: int) -> float:
    """Send one message through all connections of a source."""
    source, *targets = callables(count + 1)
    async with source:
        for target in targets:
            source.connect_to(target)
        started = process_time()
        await source.run(TEXT)
        await asyncio.gather(*(target.complete_tasks() for target in targets))
        seconds = process_time() - started
        _check(sum(target.total_stats.message_count for target in targets), count)
        await asyncio.gather(*(target.close() for target in targets))
    return seconds


async def failed_deliveries(count: int) -> float:
    """Send messages to a target that fails, every other one before its run can begin."""
    from actors import Agent
    from protocols.messages import ChatMessage

    def fail(text: str) -> str:
        raise ValueError(text)

    (source,) = callables(1)
    async with source, Agent.from_callback(fail, name="target") as target:
        talk: Any = source.connect_to(target)
        started = process_time()
        for number in range(count):
            answer = ChatMessage("text" if number % 2 else "", "assistant", "node0")
            source.offer(answer, source.request((TEXT,), {}))
            if number % 1_000 == 999:
                await target.complete_tasks()
        await target.complete_tasks()
        seconds = process_time() - started
        _check(talk.stats.error_count, count)
    return seconds


async def conversation(count: int) -> float:
    """Talk with one agent that remembers, with its default limits."""
    from pydantic_ai.models.test import TestModel

    from actors import Agent

    async with Agent("agent", model=TestModel(custom_output_text="Yes.")) as agent:
        started = process_time()
        for number in range(0, count, 2):
            await agent.run(f"question {number}")
        return process_time() - started


def _check(found: int, count: int) -> None:
    if found != count:
        msg = f"{found} instead of {count}"
        raise RuntimeError(msg)


async def by(size: int, work: Callable[[int], Awaitable[float]], count: int) -> float:
    """Do the work for `count`, so many at a time; a few before, so that what is paid once does not count."""
    size = min(size, count)
    await work(min(size, 10))
    leave_out()
    return sum([await work(size) for _ in range(count // size)])


ITEMS: tuple[tuple[str, Callable[[int], Awaitable[float]], int, int], ...] = (
    ("agent, made and closed", agents, 100, 100_000),
    ("run that waits", waiting_runs, 10, 10_000),
    ("member, in and out", team_members, 10, 10_000),
    ("member's answer", team_answers, 10, 10_000),
    ("stage, in and out", chain_stages, 10, 1_000),
    ("stage's step", chain_steps, 10, 1_000),
    ("run of one chain", chain_runs, 10, 10_000),
    ("connection", connections, 10, 10_000),
    ("delivery", deliveries, 10, 10_000),
    ("failed delivery", failed_deliveries, 10, 10_000),
    ("message of a conversation", conversation, 1_000, 10_000),
)

QUESTION = Question(
    title="One of as many as the name says",
    unit=Unit.MICROSECONDS,
    count=10_000,
    batches=1,
    rounds=3,
    timeout=600.0,
    contestants=tuple(
        Contestant(name=f"{name}, {size:,}", run=partial(by, size, work), requires="pydantic_ai", count=many)
        for name, work, few, many in ITEMS
        for size in (few, many)
    ),
    targets=tuple(
        Target(subject=f"{name}, {many:,}", against=f"{name}, {few:,}", at_most=1.5) for name, _, few, many in ITEMS
    ),
    note=(
        "CPU time of the process. Both lines of a pair do the larger number, the first one a few at a time. "
        "A conversation's first line has the memory's 200 messages, as has each later one. "
    ),
)
