"""Manifests for the command line, and calling it in this process or as a program."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from actors.cli.main import call

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60

FUNCTIONS = '''"""Functions as agents."""
import asyncio


def fine(text: str) -> str:
    return f"fine: {text}"


def boom(text: str) -> str:
    raise ValueError("no luck today")


async def forever(text: str) -> str:
    await asyncio.Event().wait()
    return text


def structured(text: str) -> dict[str, object]:
    return {"words": text.split()}
'''

MANIFEST = """
allow_imports: [{module}]
agents:
  writer: {{model: offline, system_prompt: One sentence., user_prompts: [The cat sleeps all day long on the mat.]}}
  fine: {{type: callback, callback: "{module}:fine"}}
  boom: {{type: callback, callback: "{module}:boom"}}
  waiter: {{type: callback, callback: "{module}:forever"}}
  structured: {{type: callback, callback: "{module}:structured"}}
teams:
  chain: {{mode: sequential, members: [fine, writer]}}
  broken: {{mode: sequential, members: [fine, boom, writer]}}
  partial: {{mode: parallel, members: [fine, boom]}}
  hopeless: {{mode: parallel, members: [boom]}}
  stuck: {{mode: parallel, members: [fine, waiter]}}
"""


@dataclass(frozen=True)
class Outcome:
    """What a call of the command line did."""

    code: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture
def manifest(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A manifest of functions and one offline agent; its module has a name of its own, for imports are for ever."""
    module = f"functions_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{module}.py").write_text(FUNCTIONS, encoding="utf-8")
    file = tmp_path / "agents.yml"
    file.write_text(MANIFEST.format(module=module), encoding="utf-8")
    return file


def _nothing(*_arguments: object, **_options: object) -> None:
    """Configure nothing."""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in this process, whose logging and search path stay as they are."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("logging.basicConfig", _nothing)
    monkeypatch.setattr("logging.Logger.setLevel", _nothing)
    monkeypatch.delenv("UNDERSTAGE_MODEL", raising=False)

    def invoke(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = call([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return invoke


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of a program under test: no keys, no default model."""
    kept = {key: value for key, value in os.environ.items() if not key.endswith("_KEY") and key != "UNDERSTAGE_MODEL"}
    return {**kept, "PYTHONIOENCODING": "utf-8", **extra}


@pytest.fixture(scope="session")
def program() -> Call:
    """Call the command line as a program."""

    def invoke(*arguments: object, **extra: str) -> Outcome:
        command = [sys.executable, "-m", "actors.cli", *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=ROOT,
            encoding="utf-8",
            env=environment(**extra),
            timeout=SECONDS,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return invoke


async def start_program(
    *arguments: object, stdin: int | None = None, stderr: int = asyncio.subprocess.PIPE, terminal: bool = False
) -> asyncio.subprocess.Process:
    """Start the command line as a program whose signals a test wants to send itself.

    With `terminal` its standard error is a terminal, which becomes the one that controls it.
    """
    code = "import fcntl, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n" if terminal else ""
    code += "from actors.cli.__main__ import main; main()"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        *map(str, arguments),
        cwd=ROOT,
        env=environment(),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        start_new_session=terminal,
    )
