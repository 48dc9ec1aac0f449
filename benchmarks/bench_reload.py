"""How long does it take to reload a manifest of 1,000 agents in which one has changed?"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit

AGENTS = 1_000


def write_manifest(path: Path, version: int) -> None:
    """Write the manifest; only its first agent depends on the version."""
    lines = [f"  a{n}: {{model: offline, system_prompts: [You are number {n}.]}}" for n in range(AGENTS)]
    lines[0] = f"  a0: {{model: offline, system_prompts: [You are version {version}.]}}"
    path.write_text("agents:\n" + "\n".join(lines) + "\n", encoding="utf-8")


async def ours(count: int) -> float:
    from actors import AgentPool

    with TemporaryDirectory() as folder:
        path = Path(folder, "agents.yml")
        write_manifest(path, 0)
        seconds = 0.0
        async with AgentPool[None](path) as pool:
            lives = {name: (node.ref(), node.ref().incarnation) for name, node in pool.items()}
            for number in range(1, count + 1):
                write_manifest(path, number)
                started = perf_counter()
                done = await pool.reload()
                seconds += perf_counter() - started
                if done.changed != ("a0",) or len(done.unchanged) != AGENTS - 1:
                    msg = f"not what was to change: {done}"
                    raise RuntimeError(msg)
            if {name: (node.ref(), node.ref().incarnation) for name, node in pool.items()} != lives:
                msg = "a node that has not changed was touched"
                raise RuntimeError(msg)
        return seconds


QUESTION = Question(
    title="Reload a manifest of 1,000 agents from its file, one of them changed, the other 999 untouched",
    unit=Unit.MILLISECONDS,
    count=5,
    batches=1,
    rounds=5,
    contestants=(Contestant(name="ours", run=ours, requires="actors"),),
    targets=(Target(at_most=200.0),),
)
