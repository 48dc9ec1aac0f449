"""How long until the library is there?"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TIMED = """
import sys, time
started = time.process_time()
import actors
seconds = time.process_time() - started
loaded = sorted({"pydantic_ai", "openai", "httpx2"} & set(sys.modules))
sys.exit(f"import actors loads {loaded}") if loaded else print(seconds)
"""

_NAMES = """
import sys, time
started = time.process_time()
from actors import ActorSystem, AsyncioActor, ChildSpec, Supervisor
seconds = time.process_time() - started
loaded = sorted({"pydantic_ai", "openai", "httpx2"} & set(sys.modules))
sys.exit(f"the actor names load {loaded}") if loaded else print(seconds)
"""

_PLAIN = "import time; started = time.process_time(); NAMES; print(time.process_time() - started)"


def _inside(code: str, count: int) -> float:
    return sum(float(output) for output, _ in _runs([sys.executable, "-c", code], count))


def _whole(command: list[str], count: int) -> float:
    return sum(seconds for _, seconds in _runs(command, count))


def _runs(command: list[str], count: int) -> Iterator[tuple[str, float]]:
    """Yield output and seconds of each run. One run before them compiles the modules, as an installer does."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    _run(command, environment)
    for _ in range(count):
        started = perf_counter()
        yield _run(command, environment), perf_counter() - started


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    return done.stdout


def facade(count: int) -> float:
    return _inside(_TIMED, count)


def names(count: int) -> float:
    return _inside(_NAMES, count)


def alone(statement: str) -> Callable[[int], float]:
    return partial(_inside, _PLAIN.replace("NAMES", statement))


def python_alone(count: int) -> float:
    return _whole([sys.executable, "-c", "pass"], count)


def command_help(count: int) -> float:
    return _whole([sys.executable, "-c", "from actors.cli.main import main; main()", "--help"], count)


QUESTION = Question(
    title="One import, or one start of the command, in a new interpreter",
    unit=Unit.MILLISECONDS,
    count=3,
    batches=2,
    quick=3,
    contestants=(
        Contestant(name="ours: import actors", run=facade, requires="actors"),
        Contestant(name="ours: the actor names", run=names, requires="actors"),
        Contestant(name="import asyncio", run=alone("import asyncio")),
        Contestant(name="import asyncio, pykka", run=alone("import asyncio, pykka"), requires="pykka"),
        Contestant(name="ours: the agent names", run=alone("from actors import Agent"), requires="actors"),
        Contestant(name="import pydantic_ai", run=alone("import pydantic_ai"), requires="pydantic_ai"),
        Contestant(name="ours: a pool", run=alone("from actors import AgentPool"), requires="actors"),
        Contestant(name="ours: understage --help", run=command_help, requires="actors"),
        Contestant(name="python -c pass", run=python_alone),
    ),
    targets=(
        Target(subject="ours: import actors", at_most=60.0),
        Target(subject="ours: the actor names", at_most=60.0),
        Target(subject="ours: the actor names", against="import asyncio", at_most=1.7),
        Target(subject="ours: the agent names", against="import pydantic_ai", at_most=1.12),
        Target(subject="ours: understage --help", at_most=200.0),
    ),
    note=(
        "The imports: CPU time inside the interpreter; the command: from start to end of its process. Both "
        "with modules compiled before, as an installer leaves them. "
        "A run fails if the import or the actor names load pydantic_ai."
    ),
)
