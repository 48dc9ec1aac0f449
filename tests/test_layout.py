"""The repository enforces its own rules: sizes, names, safety, the public surface, and what importing costs."""

from __future__ import annotations

import graphlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import actors
from tests import layout
from tests.circles import ALLOWED
from tests.layout import Rule, Source

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent
PACKAGES = ("actors", "protocols")
EVERYTHING = (*PACKAGES, "tests", "benchmarks", "examples")

# The command line answers `--help` before it loads pydantic_ai, so it imports the composition root when a command runs.
MAY_IMPORT_LATE = ("actors/__init__.py", "actors/cli/", "actors/models/resolve.py")  # the last: a library of a provider

# Files and lines of one folder: those of the agents were one room of 95 files before.
SMALL_ROOMS = ("agents", "mcp", "models", "nodes", "prompts", "runs")
SMALL_ROOM = (30, 3_200)
ANY_FOLDER = (42, 6_600)

PUBLIC_NAMES = [
    "ActorJournal",
    "ActorRef",
    "ActorRegistry",
    "ActorSystem",
    "Agent",
    "AgentPool",
    "AgentResponse",
    "AsyncioActor",
    "AsyncioFuture",
    "Backoff",
    "BaseTeam",
    "Budget",
    "ChatMessage",
    "ChildSpec",
    "Durable",
    "ExtendedTeamTalk",
    "Job",
    "McpServer",
    "MessageNode",
    "Model",
    "ModelPolicy",
    "RateLimits",
    "Reject",
    "RestartIntensity",
    "Retry",
    "Router",
    "RunStats",
    "RunStream",
    "Supervisor",
    "SupportsRunStream",
    "Talk",
    "Team",
    "TeamResponse",
    "TeamRun",
    "TeamTalk",
    "Ticket",
    "carry",
    "delivery",
    "normalize_stream_for_teams",
]


def sources(*folders: str) -> list[Source]:
    return [Source.read(ROOT, file) for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


def offences(rule: Rule, *folders: str) -> list[str]:
    return [offence for source in sources(*folders) for offence in rule(source)]


@pytest.mark.parametrize(
    "rule", [layout.long_file, layout.long_function, layout.many_parameters, layout.vague_file_name]
)
def test_every_file_keeps_the_limits(rule: Rule) -> None:
    assert offences(rule, *EVERYTHING) == []


@pytest.mark.parametrize("rule", [layout.unsafe_call, layout.vague_class_name, layout.missing_docstring])
def test_the_packages_are_safe_named_and_documented(rule: Rule) -> None:
    assert offences(rule, *PACKAGES) == []


def test_tests_never_wait_for_time_to_pass() -> None:
    assert offences(layout.real_sleep, "tests") == []


def test_rooms_import_each_other_at_the_top_of_the_file() -> None:
    found = [offence for offence in offences(layout.late_import, *PACKAGES) if not offence.startswith(MAY_IMPORT_LATE)]

    assert found == []


def test_importing_a_file_never_comes_back_to_it() -> None:
    files = {source.module: source for source in sources(*PACKAGES)}
    imports = {name: layout.imports_at_start(source) & files.keys() - {name} for name, source in files.items()}

    graphlib.TopologicalSorter(imports).prepare()  # raises CycleError with the files of the cycle


def test_files_name_each_other_in_no_circle() -> None:
    imports = {
        source.module: layout.imports_of(source) - ALLOWED.get(source.module, set()) - {source.module}
        for source in sources(*PACKAGES)
    }

    assert layout.circles(imports) == []


def test_a_circle_of_types_is_found() -> None:
    assert layout.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize("folder", sorted({file.parent for name in PACKAGES for file in (ROOT / name).rglob("*.py")}))
def test_a_folder_can_be_looked_through(folder: Path) -> None:
    files = list(folder.glob("*.py"))
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    most_files, most_lines = SMALL_ROOM if folder.name in SMALL_ROOMS else ANY_FOLDER

    assert len(files) <= most_files
    assert lines <= most_lines


def test_the_table_of_rooms_the_folders_and_the_layers_agree() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `(\w+)` \|", page.partition("## Rooms")[2].partition("\n## ")[0], re.MULTILINE)
    folders = {file.parent.name for file in (ROOT / "actors").glob("*/__init__.py")}
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = re.findall(r"\w+", " ".join(linter["contracts"][0]["layers"]).replace("actors.", ""))

    assert sorted(rooms) == sorted({*folders, "protocols"})
    assert sorted(layers) == sorted(rooms)
    assert sorted(rooms, key=layers.index) == rooms, "the table has the order of the layers"


@pytest.mark.parametrize("module", ["actors", "actors.runtime", "protocols"])
def test_importing_the_engine_does_not_import_pydantic_ai(module: str) -> None:
    code = f"import sys, {module}; sys.exit('pydantic_ai' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


ENGINE_NAMES = (
    "ActorRef ActorRegistry ActorSystem AsyncioActor AsyncioFuture Backoff ChildSpec Reject RestartIntensity "
)
OWN_LIBRARIES = {"actors", "protocols", "msgspec", "pykka", "typing_extensions"}


def loaded(first: str, names: Iterable[str]) -> set[str]:
    """Return what `from actors import ...` loads in a fresh process that has imported other modules first."""
    code = f"import sys, {first}; old = {{*sys.modules}}; from actors import {', '.join(names)}; "
    code += "print(*{*sys.modules} - old)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(ended.stdout.split())


def packages(modules: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_actor_names_load_nothing_that_costs_more_than_the_engine() -> None:
    fresh = packages(loaded("asyncio", [*ENGINE_NAMES.split(), "Supervisor"]))

    assert fresh - sys.stdlib_module_names == OWN_LIBRARIES
    assert fresh.isdisjoint({"difflib", "email", "html", "http", "json", "random", "sqlite3", "urllib", "xml"})


def test_the_agent_names_load_no_part_of_pydantic_ai_that_it_does_not_load_itself() -> None:
    agents = [name for name in PUBLIC_NAMES if name not in f"{ENGINE_NAMES} AgentPool ActorJournal"]
    fresh = loaded("pydantic_ai", agents)

    assert packages(fresh) - sys.stdlib_module_names <= OWN_LIBRARIES
    unneeded = ("actors.app", "actors.config", "actors.models.offline.model", "actors.triggers")
    assert not {name for name in fresh if name.startswith(unneeded)}


def test_a_pool_loads_no_libraries_of_terminals_servers_and_databases() -> None:
    fresh = packages(loaded("pydantic_ai", ["AgentPool"]))

    assert fresh.isdisjoint(
        {
            "alembic",
            "pygments",
            "rich",
            "sqlalchemy",
            "sqlite3",
            "starlette",
            "structlog",
            "typer",
            "uvicorn",
            "watchfiles",
        }
    )


def test_public_names_are_pinned() -> None:
    assert sorted(actors.__all__) == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_every_public_name_can_be_loaded(name: str) -> None:
    assert getattr(actors, name) is not None


BROKEN = [
    (layout.long_file, "x = 1\n" * 401),
    (layout.long_function, "def f():\n" + "    x = 1\n" * 50),
    (layout.many_parameters, "def f(a, b, c, d, *, e, f, g, h, i): ..."),
    (layout.vague_class_name, "class ActorManager: ..."),
    (layout.real_sleep, "import asyncio\nawait asyncio.sleep(0.01)"),
    (layout.real_sleep, "import time\ntime.sleep(delay)"),
    (layout.real_sleep, "from asyncio import sleep\nawait sleep(1)"),
    (layout.unsafe_call, "import yaml\nyaml.load(text)"),
    (layout.unsafe_call, "eval(text)"),
    (layout.unsafe_call, "from pickle import loads"),
    (layout.missing_docstring, '"""A module."""\ndef public(): ...'),
    (
        layout.missing_docstring,
        '"""A module."""\nclass _Private: ...\nclass Public:\n    """One."""\n    def method(self): ...',
    ),
    (layout.missing_docstring, "x = 1"),
    (layout.late_import, "def f():\n    from actors.runtime import system"),
]

KEPT = [
    (layout.long_file, "x = 1\n" * 400),
    (layout.long_function, "def f():\n" + "    x = 1\n" * 49),
    (layout.many_parameters, "class C:\n    def f(self, a, b, c, d, *args, e, f, g, h, **options): ..."),
    (layout.vague_class_name, "class InformedActor: ..."),
    (layout.real_sleep, "import asyncio\nawait asyncio.sleep(0)"),
    (layout.real_sleep, "await clock.sleep(5)"),
    (layout.unsafe_call, "yaml.safe_load(text)\nmodel.eval()"),
    (layout.missing_docstring, '"""A module."""\nclass _Private:\n    def method(self): ...'),
    (layout.late_import, "def f():\n    import watchfiles"),
    (layout.late_import, "def f():\n    from actors.storage.sqlite import SqliteBackend"),
]


@pytest.mark.parametrize(("rule", "text"), BROKEN)
def test_a_rule_finds_what_breaks_it(rule: Rule, text: str) -> None:
    assert len(list(rule(Source("actors/sample.py", text)))) == 1


@pytest.mark.parametrize(("rule", "text"), KEPT)
def test_a_rule_accepts_what_keeps_it(rule: Rule, text: str) -> None:
    assert list(rule(Source("actors/sample.py", text))) == []


@pytest.mark.parametrize("name", ["utils", "types", "common", "misc", "_helpers", "actor_2"])
def test_a_file_name_that_says_nothing_is_found(name: str) -> None:
    assert list(layout.vague_file_name(Source(f"actors/runtime/{name}.py", ""))) != []


def test_only_imports_that_run_count_as_a_cycle() -> None:
    text = "from typing import TYPE_CHECKING\nimport actors.talk\nif TYPE_CHECKING:\n    import actors.nodes\n"

    assert layout.imports_at_start(Source("actors/sample.py", text)) == {"actors.talk"}
