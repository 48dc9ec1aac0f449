"""The command as a program: streams, signals, pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.cli.exit_code import CommandError, ExitCode
from actors.cli.feed_client import socket_path
from tests.cli.conftest import ROOT, Call, environment, start_program


async def until(stream: asyncio.StreamReader | None, text: str) -> None:
    """Read lines until one holds the text."""
    assert stream is not None
    async with asyncio.timeout(30):
        while text not in (line := (await stream.readline()).decode()):
            assert line, f"the program ended before it said {text!r}"


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(signal.SIGINT, ExitCode.INTERRUPTED, "interrupted"), (signal.SIGTERM, ExitCode.TERMINATED, "terminated")],
)
@pytest.mark.parametrize("node", ["waiter", "stuck"])
async def test_a_signal_in_mid_run_ends_it_in_order(
    manifest: Path, node: str, number: signal.Signals, code: ExitCode, words: str
) -> None:
    process = await start_program("run", manifest, node, "hi")
    await until(process.stderr, "waiter: started")
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 30)

    assert (process.returncode, out) == (code, b"")
    assert err.decode().splitlines() == [f"understage: {words}"]


def test_streams_are_apart_and_nothing_is_logged(program: Call, manifest: Path) -> None:
    done = program("run", manifest, "boom", "hi")

    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert [line for line in done.err.splitlines() if "Traceback" in line or "ERROR" in line] == []


def test_the_default_model_comes_from_the_environment(program: Call, manifest: Path, tmp_path: Path) -> None:
    file = tmp_path / "plain.yml"
    file.write_text("agents: {a: {}}", encoding="utf-8")

    assert program("run", file, "a", "hi", UNDERSTAGE_MODEL="test").out == "success (no tool calls)\n"
    assert program("run", file, "a", "hi").out == "hi\n"
    assert program("run", file, "a", "hi", UNDERSTAGE_MODEL="nope").code == ExitCode.USAGE


def test_a_reader_that_has_gone_is_quiet(manifest: Path) -> None:
    command = [sys.executable, "-m", "actors.cli", "run", str(manifest), "fine", "hi"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment(), text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    err = process.stderr.read() if process.stderr is not None else ""

    assert process.wait(30) == ExitCode.BROKEN_PIPE
    assert "BrokenPipe" not in err
    assert "understage:" not in err
    if process.stderr is not None:
        process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_message(manifest: Path) -> None:
    command = [sys.executable, "-m", "actors.cli", "run", str(manifest), "fine", "hi"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, env=environment(), text=True, check=False
        )

    assert done.returncode == ExitCode.FAILED
    assert done.stderr.splitlines()[-1] == "understage: the output cannot be written: No space left on device"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_character_that_the_output_does_not_have_is_written_as_its_escape(
    program: Call, manifest: Path, encoding: str
) -> None:
    done = program("run", manifest, "fine", "\u2705 sleeps.", PYTHONIOENCODING=encoding)

    assert (done.code, "\\u2705 sleeps." in done.out) == (ExitCode.OK, True)


@pytest.mark.parametrize(
    ("shell", "problem"),
    [
        ('exec "$@" <&-', "standard input is closed; give the prompt as an argument, or pipe it in"),
        ("printf 'caf\\351' | \"$@\"", "standard input is not text in utf-8: "),
    ],
)
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_an_input_that_cannot_be_read_is_one_message(manifest: Path, shell: str, problem: str, locale: str) -> None:
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "actors.cli", "run", str(manifest), "fine", "-"]
    kept = {key: value for key, value in environment(LC_ALL=locale).items() if key != "PYTHONIOENCODING"}
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=kept, text=True, check=False)

    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines()[-1].startswith(f"understage: {problem}")


# -- before and after everything else -------------------------------------------------------------------------------


def in_python(code: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=False, cwd=ROOT, env=environment(), timeout=60, text=True, **options)


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", ExitCode.TERMINATED), ("SIGINT", ExitCode.INTERRUPTED)])
def test_a_signal_counts_before_the_command_line_is_loaded(number: str, code: ExitCode) -> None:
    done = in_python(f"""
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "actors.cli.main":
            os.kill(os.getpid(), signal.{number})
sys.meta_path.insert(0, Finder())
from actors.cli.__main__ import main
main()
""")

    assert done.returncode == code  # and not -15, which the first process of a container would not be given


def test_nothing_that_is_opened_takes_the_place_of_a_closed_stream() -> None:
    done = in_python("""
import os, sys, types
opened = types.ModuleType("actors.cli.main")
opened.main = lambda: print(os.open(os.devnull, os.O_RDONLY))
sys.modules["actors.cli.main"] = opened
from actors.cli.__main__ import main
os.close(0)
os.close(2)
main()
""", stdout=subprocess.PIPE)  # fmt: skip

    assert int(done.stdout) > 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["schema"], ["--help"], ["list", "MANIFEST"], ["run", "MANIFEST", "fine", "hi"]])
def test_a_reader_that_goes_away_is_told_by_the_exit_code(
    manifest: Path, arguments: list[str], unbuffered: str
) -> None:
    words = [str(manifest) if word == "MANIFEST" else word for word in arguments]
    reads, writes = os.pipe()
    if words == ["schema"]:  # it reads the beginning
        process = subprocess.Popen(
            [sys.executable, "-m", "actors.cli", *words], stdout=writes, cwd=ROOT,
            env=environment(PYTHONUNBUFFERED=unbuffered),
        )  # fmt: skip
        os.close(writes)
        assert os.read(reads, 1)
        os.close(reads)
        assert process.wait(60) == ExitCode.BROKEN_PIPE
        return
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "actors.cli", *words], stdout=writes, stderr=subprocess.PIPE, cwd=ROOT, check=False,
        env=environment(PYTHONUNBUFFERED=unbuffered), timeout=60,
    )  # fmt: skip
    os.close(writes)

    assert (done.returncode, b"Traceback" in done.stderr) == (ExitCode.BROKEN_PIPE, False)


def test_an_error_of_the_engine_that_no_event_tells_is_shown_and_no_other() -> None:
    done = in_python("""
from actors.app import configure_logging
from actors.runtime.log import LimitedLogger
configure_logging()
for line in ("actor crashed", "child given up", "a hook failed", "engine fault"):
    LimitedLogger("main").line(40, line, actor="a")
LimitedLogger("main").line(30, "mailbox full", actor="a")
""", stderr=subprocess.PIPE)  # fmt: skip

    hook, fault = done.stderr.splitlines()
    assert "a hook failed" in hook
    assert "engine fault" in fault


def test_a_socket_needs_a_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    with pytest.raises(CommandError, match="for sockets cannot be used: no usable temporary directory"):
        socket_path(Path("agents.yml"))
