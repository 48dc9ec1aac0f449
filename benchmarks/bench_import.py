"""How long until the library is there?"""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

from benchmarks.question import Contestant, Question, Target, Unit

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
    return sum(float(_run([sys.executable, "-c", code])) for _ in range(count))


def _whole(command: list[str], count: int) -> float:
    started = perf_counter()
    for _ in range(count):
        _run(command)
    return perf_counter() - started


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    return done.stdout


def facade(count: int) -> float:
    return _inside(_TIMED, count)


def names(count: int) -> float:
    return _inside(_NAMES, count)


def pykka_alone(count: int) -> float:
    return _inside(
        _NAMES.replace("from actors import ActorSystem, AsyncioActor, ChildSpec, Supervisor", "import pykka"), count
    )


def agents(count: int) -> float:
    return _inside(_PLAIN.replace("NAMES", "from actors import Agent"), count)


def pydantic_ai_alone(count: int) -> float:
    return _inside(_PLAIN.replace("NAMES", "import pydantic_ai"), count)


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
        Contestant(name="import pykka", run=pykka_alone, requires="pykka"),
        Contestant(name="ours: the agent names", run=agents, requires="actors"),
        Contestant(name="import pydantic_ai", run=pydantic_ai_alone, requires="pydantic_ai"),
        Contestant(name="ours: understage --help", run=command_help, requires="actors"),
        Contestant(name="python -c pass", run=python_alone),
    ),
    targets=(
        Target(subject="ours: import actors", at_most=60.0),
        Target(subject="ours: the actor names", at_most=60.0),
        Target(subject="ours: the agent names", against="import pydantic_ai", at_most=1.25),
        Target(subject="ours: understage --help", at_most=300.0),
    ),
    note=(
        "The imports: CPU time inside the interpreter; the command: from start to end of its process. "
        "A run fails if the import or the actor names load pydantic_ai."
    ),
)
