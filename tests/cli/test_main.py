"""The command line as a whole: help, wrong calls, and commands that only read a manifest."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import ExitCode
from tests.cli.conftest import ROOT, Call, environment

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = ("init", "run", "chat", "job", "list", "validate", "schema", "graph", "top", "approvals", "approve", "deny")


def test_help_names_every_command_and_the_exit_codes(cli: Call) -> None:
    done = cli("--help")

    assert done.code == ExitCode.OK
    assert [command for command in COMMANDS if command not in done.out] == []
    assert "Exit codes: 0" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli: Call, command: str) -> None:
    done = cli(command, "--help")

    assert (done.code, done.err) == (ExitCode.OK, "")
    assert f"understage {command}" in done.out


SLOW = {
    *("actors.app", "actors.pool", "actors.runtime", "asyncio", "httpx2", "msgspec", "pydantic_ai", "pykka", "rich"),
    *("sqlalchemy", "starlette", "structlog", "yaml"),
}
OF_TYPER = {"importlib.metadata", "pydantic"}
"""What typer loads to read the arguments of a command."""


@pytest.mark.parametrize(
    ("words", "slow"),
    [
        ("--help", SLOW | OF_TYPER),
        ("", SLOW | OF_TYPER),
        ("--version", SLOW),
        ("run --help", SLOW),
        ("frobnicate", SLOW),
        ("init", SLOW),
        ("complete: ru", SLOW),
        ("complete: watch --he", SLOW),
    ],
)
def test_what_needs_no_pool_loads_nothing_slow(words: str, slow: set[str], tmp_path: Path) -> None:
    code = (
        "import atexit, sys\natexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))\n"
        "from actors.cli.main import main\nmain()"
    )
    command, _, typed = words.partition(": ")
    completing = {"_UNDERSTAGE_COMPLETE": "complete_bash", "COMP_WORDS": f"understage {typed}"} if typed else {}
    done = subprocess.run(
        [sys.executable, "-c", code, *([] if typed else command.split())], check=False, cwd=tmp_path,
        capture_output=True, encoding="utf-8",
        env=environment(PYTHONPATH=str(ROOT), COMP_CWORD=str(len(typed.split())), **completing),
    )  # fmt: skip
    loaded = set(done.stderr.splitlines())

    assert "actors.cli.main" in loaded
    assert slow & loaded == set()


def test_without_arguments_it_shows_the_help_as_an_error(cli: Call) -> None:
    done = cli()

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.err.startswith("Usage: understage")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["list"], "Missing argument 'FILE'"),
        (["list", "a.yml", "b.yml"], "unexpected extra argument"),
        (["run", "a.yml"], "Missing argument 'NODE'"),
        (["run", "a.yml", "node", "--timeout", "soon"], "Invalid value for '--timeout'"),
        (["validate", "a.yml", "--nope"], "No such option: --nope"),
    ],
)
def test_a_wrong_call_is_one_message_that_leads_to_the_help(cli: Call, arguments: list[str], text: str) -> None:
    done = cli(*arguments)

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert text in done.err
    assert done.err.endswith("--help'\n")
    assert len(done.err.splitlines()) == 1


def test_list_shows_agents_functions_and_teams(cli: Call, manifest: Path) -> None:
    done = cli("list", manifest)
    lines = {line.split()[0]: line for line in done.out.splitlines()}

    assert done.code == ExitCode.OK
    assert "offline" in lines["writer"]
    assert ":boom" in lines["boom"]
    assert "fine -> boom -> writer" in lines["broken"]
    assert "fine & boom" in lines["partial"]


def test_list_as_json_is_data(cli: Call, manifest: Path) -> None:
    rows = json.loads(cli("list", manifest, "--json").out)

    assert {row["name"]: row["kind"] for row in rows}["chain"] == "sequential team"


def test_validate_says_that_a_manifest_is_sound(cli: Call, manifest: Path) -> None:
    done = cli("validate", manifest)

    assert (done.code, done.out) == (ExitCode.OK, f"{manifest}: sound (5 agents, 5 teams, 0 jobs)\n")


def test_validate_looks_at_each_fallback_of_a_model(cli: Call, tmp_path: Path) -> None:
    file = tmp_path / "agents.yml"
    file.write_text(
        "agents:\n  a:\n    model: {name: 'openai:gpt-5', fallbacks: [bogus, test, offlin]}\n", encoding="utf-8"
    )
    done = cli("validate", file)

    assert done.code == ExitCode.USAGE
    assert [name for name in ("gpt-5", "bogus", "offlin'", "'test'") if name in done.err] == [
        "gpt-5",
        "bogus",
        "offlin'",
    ]


def test_graph_draws_a_manifest(cli: Call, manifest: Path) -> None:
    done = cli("graph", manifest)

    assert done.out.startswith("flowchart LR\n")
    assert done.out.count("\n\n") == 0


def test_graph_as_json_has_nodes_and_edges(cli: Call, tmp_path: Path) -> None:
    file = tmp_path / "agents.yml"
    end = "exit_condition: {type: word_match, words: [quit]}"
    file.write_text(
        "agents:\n"
        f"  a: {{connections: [{{type: node, name: t, label: l, {end}}}, {{type: file, path: out.txt}}]}}\n"
        "  b: {}\n"
        "teams: {t: {mode: sequential, members: [b], validator: a}}\n",
        encoding="utf-8",
    )
    found = json.loads(cli("graph", file, "--json").out)

    assert [node["kind"] for node in found["nodes"]] == ["agent", "agent", "sequential team"]
    assert [(edge["source"], edge["target"], edge["kind"]) for edge in found["edges"]] == [
        ("t", "b", "member"),
        ("t", "a", "validator"),
        ("a", "t", "run"),
        ("a", "out.txt", "file"),
    ]
    assert found["edges"][2]["conditions"] == ["exit"]


def test_a_new_manifest_is_sound_runs_and_is_not_overwritten(cli: Call, tmp_path: Path) -> None:
    file = tmp_path / "team.yml"
    written = cli("init", file)
    sound = cli("validate", file)
    answer = cli("run", file, "briefing", "What must we do?", "--file", ROOT / "LICENSE")
    before = file.read_text(encoding="utf-8")
    again, nowhere = cli("init", file), cli("init", tmp_path / "missing" / "team.yml")

    assert (written.code, sound.code, answer.code) == (ExitCode.OK, ExitCode.OK, ExitCode.OK)
    assert f"understage run {file} briefing" in before
    assert "duties" in answer.out
    assert (again.code, nowhere.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert "is there already, and stays as it is" in again.err
    assert "cannot be written: No such file or directory" in nowhere.err
    assert file.read_text(encoding="utf-8") == before


def test_schema_is_a_json_schema(cli: Call) -> None:
    assert "agents" in json.loads(cli("schema").out)["properties"]


FAULTY = "agents:\n  a: {modle: offline}\n  b: {retries: many}\nteams:\n  t: {mode: parallel, members: [c]}\n"


@pytest.mark.parametrize("command", ["list", "validate", "graph"])
def test_every_problem_of_a_manifest_is_listed_with_its_place(cli: Call, tmp_path: Path, command: str) -> None:
    file = tmp_path / "faulty.yml"
    file.write_text(FAULTY, encoding="utf-8")
    done = cli(command, file)

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    problems = ((2, "agents.a.modle", "'model'"), (3, "agents.b.retries", "'many'"), (5, "teams.t.members", "'c'"))
    for line, key, text in problems:
        found = [one for one in done.err.splitlines() if f"{file}:{line}" in one and key in one]
        assert len(found) == 1, done.err
        assert text in found[0]


def test_knowledge_that_matches_nothing_is_a_problem_of_the_manifest(cli: Call, tmp_path: Path) -> None:
    folder = tmp_path / "odd [x]"
    folder.mkdir()
    (folder / "a.md").write_text("a", encoding="utf-8")
    file = folder / "agents.yml"
    file.write_text("agents:\n  a:\n    knowledge:\n    - '*.md'\n    - 'none/*.md'\n", encoding="utf-8")

    done = cli("validate", file)

    text = f"{file}:5: agents.a.knowledge[1]: there is no file 'none/*.md' below {str(folder)!r}"
    assert (done.code, done.err.strip()) == (ExitCode.USAGE, f"understage: {text}")


@pytest.mark.parametrize("command", ["list", "validate", "graph"])
@pytest.mark.parametrize("content", [None, b"", b"\x00\x01\x02", b"agents: [", b"- just\n- a list\n"])
def test_what_is_no_manifest_is_one_message(cli: Call, tmp_path: Path, command: str, content: bytes | None) -> None:
    file = tmp_path / "agents.yml"
    if content is not None:
        file.write_bytes(content)
    done = cli(command, file)

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert "Traceback" not in done.err
    assert str(file) in done.err


def test_a_directory_is_no_manifest(cli: Call, tmp_path: Path) -> None:
    done = cli("validate", tmp_path)

    assert done.code == ExitCode.USAGE
    assert "is a directory" in done.err


def test_debug_shows_where_it_went_wrong_and_may_stand_anywhere(cli: Call, tmp_path: Path) -> None:
    words: list[object] = ["validate", tmp_path]
    for place in range(3):
        arguments = [*words[:place], "--debug", *words[place:]]
        done = cli(*arguments)
        assert done.code == ExitCode.USAGE
        assert "Traceback" in done.err
    assert "Traceback" not in cli("validate", tmp_path).err


def test_the_module_is_the_same_program(program: Call) -> None:
    done = program("validate", "no-such-file.yml")

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert done.err == "understage: no-such-file.yml: the file does not exist\n"


def test_the_version_is_that_of_the_distribution(cli: Call) -> None:
    assert cli("--version").out == f"understage {version('understage')}\n"


def test_a_sound_manifest_is_counted(cli: Call, manifest: Path) -> None:
    done = cli("validate", manifest, "--json")
    counts = {"agents": 5, "teams": 5, "jobs": 0}

    assert (done.code, done.err) == (ExitCode.OK, "")
    assert json.loads(done.out) == {"file": str(manifest), "sound": True, "problems": [], "warnings": [], **counts}
    assert cli("validate", manifest).out == f"{manifest}: sound (5 agents, 5 teams, 0 jobs)\n"


def test_every_problem_of_a_manifest_is_told_to_programs_as_well(cli: Call, tmp_path: Path) -> None:
    file = tmp_path / "agents.yml"
    file.write_text("agents:\n  a: {modle: x}\n  b: {retries: -1}\n", encoding="utf-8")
    done = cli("validate", file, "--json")
    problems = json.loads(done.out)["problems"]

    assert (done.code, done.err) == (ExitCode.USAGE, "")
    assert [(one["line"], one["key"]) for one in problems] == [(2, "agents.a.modle"), (3, "agents.b.retries")]
    assert "did you mean 'model'" in problems[0]["message"]
    assert problems[1]["value"] == "-1"


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest with a faulty import, a faulty model and a model without a key, besides sound ones."""
    for name in ("OPENAI_API_KEY", "UNDERSTAGE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    module = f"checked_{abs(hash(tmp_path))}"
    (tmp_path / f"{module}.py").write_text("number = 5\n\n\ndef made():\n    raise AssertionError\n", encoding="utf-8")
    file = tmp_path / "agents.yml"
    file.write_text(
        f"allow_imports: [{module}]\n"
        "model: openai:gpt-4.1-mini\n"
        "agents:\n"
        "  sound: {model: offline}\n"
        "  keyless: {}\n"
        "  second: {}\n"
        "  unknown: {model: nope:x}\n"
        "  tool:\n"
        f"    tools: ['{module}:made', '{module}:gone']\n"
        f"  child: {{inherits: tool, toolsets: ['{module}:made']}}\n",
        encoding="utf-8",
    )
    return file


def test_models_and_imports_that_cannot_be_used_are_problems_and_missing_keys_warnings(
    cli: Call, checked: Path
) -> None:
    pytest.importorskip("openai")
    done = cli("validate", checked)
    lines = done.err.splitlines()
    module = checked.read_text(encoding="utf-8").splitlines()[0].partition("[")[2][:-1]

    assert (done.code, done.out) == (ExitCode.USAGE, "")
    assert lines == [
        f"understage: warning: {checked}:2: model: model 'openai:gpt-4.1-mini' is not set up: "
        "set the environment variable OPENAI_API_KEY",
        f"understage: {checked}:7: agents.unknown.model: model 'nope:x' is unknown; "
        + lines[1].partition("is unknown; ")[2],
        f"{checked}:9: agents.tool.tools[1]: '{module}:gone': module '{module}' has no attribute 'gone'",
    ]
    run = cli("run", checked, "sound", "Hi")
    assert (run.code, run.err) == (ExitCode.USAGE, f"understage: {lines[2]}\n")
    keyless = cli("run", checked, "keyless", "Hi")
    assert (keyless.code, keyless.err.count("OPENAI_API_KEY"), keyless.err.count(":gone")) == (ExitCode.USAGE, 1, 1)


def test_a_missing_key_is_a_problem_if_all_is_to_be_there(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    file = tmp_path / "agents.yml"
    file.write_text("agents: {a: {model: 'openai:gpt-4.1-mini'}}", encoding="utf-8")
    told = json.loads(cli("validate", file, "--json").out)

    assert (told["sound"], told["problems"], told["warnings"][0]["key"]) == (True, [], "agents.a.model")
    assert cli("validate", file).code == ExitCode.OK
    strict = cli("validate", file, "--strict", "--json")
    assert (strict.code, json.loads(strict.out)["problems"], json.loads(strict.out)["warnings"]) == (
        ExitCode.USAGE, told["warnings"], [],
    )  # fmt: skip


def test_what_an_import_is_used_for_is_checked_and_nothing_is_imported_if_that_is_not_wanted(
    cli: Call, checked: Path
) -> None:
    module = checked.read_text(encoding="utf-8").splitlines()[0].partition("[")[2][:-1]
    checked.write_text(
        f"allow_imports: [{module}]\nagents:\n  a:\n    model: offline\n    tools: ['{module}:made']\n"
        f"    crash_on: ['{module}:number']\n    toolsets: ['{module}:made']\n",
        encoding="utf-8",
    )
    unseen, is_imported = cli("validate", checked, "--no-imports"), module in sys.modules
    done = cli("validate", checked)

    assert (unseen.code, is_imported, module in sys.modules) == (ExitCode.OK, False, True)
    text = f"agents.a.crash_on[0]: node 'a': '{module}:number' in crash_on is no exception type"
    assert (done.code, done.err) == (ExitCode.USAGE, f"understage: {checked}:6: {text}\n")
