"""How long from a manifest of 1,000 agents to 1,000 running agents, beyond the import of pydantic_ai?"""

from __future__ import annotations

import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

AGENTS = 1_000
MANY = 10_000
FEW = 100

PARTS = ("import", "load", "build", "enter", "exit")


def manifest(agents: int) -> str:
    """Write a manifest: every agent has prompts and settings, some have connections, structured answers and teams."""
    lines = [
        "name: many\ndefaults: {model: offline, retries: 2}\nresponses: {Verdict: {fields: {text: str, score: int}}}",
        "agents:",
    ]
    for number in range(agents):
        lines.append(f"  agent{number}:\n    description: Agent number {number}\n    system_prompt: You are {number}.")
        lines.append("    session: false" if number % 3 else "    limits: {requests: 5}")
        if number % 10 == 0:
            near = f"agent{(number + 1) % agents}"
            lines.append(f"    connections: [{{type: node, name: {near}, filter_condition: message.tokens > 500}}]")
        if number % 20 == 0:
            lines.append("    output_type: Verdict")
    lines.append("teams:")
    for number in range(agents // 20):
        members = ", ".join(f"agent{20 * number + step}" for step in range(3))
        lines.append(f"  team{number}: {{mode: sequential, members: [{members}]}}")
    return "\n".join(lines) + "\n"


async def measure(agents: int, clock: Callable[[], float]) -> dict[str, float]:
    """Do everything once in this process; return the seconds of each part by a clock."""
    import_module("pydantic_ai")  # what an application with agents pays anyway
    spent: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "agents.yml")
        file.write_text(manifest(agents), encoding="utf-8")  # noqa: ASYNC240  # nothing else runs
        began = clock()
        from actors import AgentPool
        from actors.config.load import load_manifest

        pool_type: Any = AgentPool
        spent["import"], began = clock() - began, clock()
        loaded = load_manifest(file)
        spent["load"], began = clock() - began, clock()
        pool = pool_type(loaded)
        spent["build"], began = clock() - began, clock()
        async with pool:
            spent["enter"], began = clock() - began, clock()
            if len(pool) != agents + agents // 20:
                msg = f"{len(pool)} nodes run"
                raise RuntimeError(msg)
            began = clock()
        spent["exit"] = clock() - began
    return spent


def whole(agents: int, clock: Callable[[], float] = time.perf_counter) -> Any:
    async def run(count: int) -> float:
        spent = await measure(agents, clock)
        return count * (sum(spent.values()) - spent["exit"])

    return run


def one_of(agents: int) -> Any:
    async def run(count: int) -> float:
        spent = await measure(agents, time.process_time)
        return count * (sum(spent.values()) - spent["import"]) / agents

    return run


def part(name: str) -> Any:
    async def run(count: int) -> float:
        return count * (await measure(AGENTS, time.process_time))[name]

    return run


QUESTION = Question(
    title=f"A manifest of {AGENTS:,} agents and {AGENTS // 20} teams: imported, loaded, validated, built, started",
    unit=Unit.SECONDS,
    count=1,
    batches=1,
    contestants=(
        Contestant(name="ours", run=whole(AGENTS), requires="pydantic_ai"),
        Contestant(name="CPU time", run=whole(AGENTS, time.process_time), requires="pydantic_ai"),
        *(Contestant(name=f"CPU time: {name}", run=part(name), requires="pydantic_ai") for name in PARTS),
        Contestant(name=f"{MANY:,} agents", run=whole(MANY), requires="pydantic_ai"),
        *(
            Contestant(name=f"CPU time: one of {number:,}", run=one_of(number), requires="pydantic_ai")
            for number in (FEW, MANY)
        ),
    ),
    targets=(
        Target(at_most=2.0),
        Target(subject=f"CPU time: one of {MANY:,}", against=f"CPU time: one of {FEW:,}", at_most=1.5),
    ),
    note=(
        "Seconds beyond `import pydantic_ai`, in a fresh process each; leaving the pool is not in the sum. "
        "One agent, loaded, built, started and stopped, must not cost more among 10,000 than among 100."
    ),
)
