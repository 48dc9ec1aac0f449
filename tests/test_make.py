"""What `make` does to a machine: which commands it runs, what it says when one fails, and what it repairs.

The interpreter is a stub that writes down how it was called, so nothing is installed and no index is asked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECONDS = 60

PYTHON = """#!/bin/sh
case "$*" in *"${KILLS:-nothing kills}"*) kill -9 $PPID; exit ;; esac
case "$*" in *"${FAILS:-nothing fails}"*) echo "these are its words"; exit 1 ;; esac
case "$1 $2" in
    --version*) echo "Python 3.11.7" ;;
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *) echo "$*" >>"$JOURNAL" ;;
esac
"""

STEPS = ("ensurepip", "-m venv", "--require-hashes", "--editable", "pip check")


@dataclass(frozen=True)
class Clone:
    """A clone, with a stub as python3."""

    folder: Path
    path: Path
    """Where programs are looked for first."""
    journal: Path

    def make(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        known = {
            key: value for key, value in os.environ.items() if not key.startswith(("ARGS", "MAKE", "PYTHON", "VENV"))
        }
        path = f"{self.path}{os.pathsep}{known['PATH']}"
        return subprocess.run(
            ["make", *words],
            cwd=self.folder,
            env={**known, "PATH": path, "JOURNAL": str(self.journal), **variables},
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=SECONDS,
        )

    def calls(self) -> list[str]:
        """Return how the interpreter was called since the last look, questions about itself left out."""
        lines = self.journal.read_text(encoding="utf-8").splitlines() if self.journal.exists() else []
        self.journal.unlink(missing_ok=True)
        return [line for line in lines if not line.startswith("-c ") and line != "-m pip --version"]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone in a folder whose name has spaces."""
    folder, path = tmp_path / "a clone of it", tmp_path / "bin"
    path.mkdir()
    shutil.copytree(ROOT / "requirements", folder / "requirements")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (path / "python3").write_text(PYTHON, encoding="utf-8")
    (path / "python3").chmod(0o755)
    return Clone(folder, path, tmp_path / "journal")


def install(name: str) -> list[str]:
    return [
        f"-m pip install --no-compile --no-deps --require-hashes --only-binary :all: -r requirements/{name}.txt",
        "-m pip install --no-index --no-deps --no-build-isolation --editable .",
        "-m pip check",
    ]


def test_the_first_command_installs_what_is_locked_and_the_second_looks_up_nothing(clone: Clone) -> None:
    assert clone.make("test", "ARGS=tests/protocols").returncode == 0
    assert clone.calls() == [*install("dev"), "-m pytest tests/protocols"]

    assert clone.make("test").returncode == 0
    assert clone.calls() == ["-m pytest"]


def test_installing_is_one_line_per_step_and_leaves_standard_output_alone(clone: Clone) -> None:
    done = clone.make("install")

    assert (done.returncode, done.stdout) == (0, "")
    assert [line.split()[:2] for line in done.stderr.splitlines()] == [
        ["understage:", "making"],
        ["understage:", "installing"],
    ]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
@pytest.mark.parametrize("fails", ["nothing fails", "--require-hashes"])
def test_on_a_terminal_the_packages_are_counted_and_no_counter_is_left(clone: Clone, fails: str) -> None:
    (clone.path / "sleep").write_text("#!/bin/sh\n", encoding="utf-8")  # each second is over at once
    (clone.path / "sleep").chmod(0o755)
    waits = 'case "$*" in *--require-hashes*) echo Collecting one; while ! [ -e counted ]; do :; done ;; esac\n'
    (clone.path / "python3").write_text(PYTHON.replace('case "$1 $2"', waits + 'case "$1 $2"'), encoding="utf-8")
    ours, theirs = os.openpty()
    known = {key: value for key, value in os.environ.items() if not key.startswith(("ARGS", "MAKE", "PYTHON", "VENV"))}
    variables = {"PATH": f"{clone.path}{os.pathsep}{known['PATH']}", "JOURNAL": str(clone.journal), "FAILS": fails}
    process = subprocess.Popen(["make", "install"], cwd=clone.folder, env={**known, **variables}, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
            if b"understage: 1 packages came, 0 are installed" in shown:
                (clone.folder / "counted").touch()
    except OSError:  # every process that could write to the terminal has ended
        pass
    os.close(ours)

    assert (process.wait(SECONDS) == 0) == (fails == "nothing fails")
    assert b"\r\x1b[K" in shown
    assert shown.count(b"making") == 1


@pytest.mark.parametrize("change", ["requirements/dev.txt", "pyproject.toml"])
def test_a_new_pin_is_installed(clone: Clone, change: str) -> None:
    clone.make("install")
    stamp = clone.folder / ".venv" / ".dev"
    later = stamp.stat().st_mtime + 1
    os.utime(clone.folder / change, (later, later))
    clone.calls()

    assert clone.make("install").returncode == 0
    assert clone.calls() == install("dev")


@pytest.mark.parametrize(
    ("step", "text"),
    [
        ("sys.version_info", "understage: python3 is Python 3.11.7, but Python >= 3.11 is needed"),
        ("ensurepip", "understage: python3 cannot make a virtual environment; on Debian: apt-get install python3-venv"),
        ("-m venv", "these are its words\nunderstage: python3 cannot make a virtual environment in .venv"),
        ("--require-hashes", "these are its words\nunderstage: pip could not install requirements/dev.txt"),
        ("--editable", "these are its words\nunderstage: pip could not install this project"),
        ("pip check", "these are its words\nunderstage: requirements/dev.txt is incomplete"),
    ],
)
def test_a_step_that_fails_says_what_is_wrong_and_the_next_make_goes_through(
    clone: Clone, step: str, text: str
) -> None:
    done = clone.make("install", FAILS=step)

    assert done.returncode != 0
    assert text in done.stderr
    assert clone.make("test").returncode == 0
    assert clone.calls()[-4:] == [*install("dev"), "-m pytest"]


def test_the_words_of_a_failed_step_are_in_the_log_that_is_named(clone: Clone) -> None:
    done = clone.make("install", FAILS="--require-hashes")

    assert "all of it is in .venv/dev.log" in done.stderr
    assert "these are its words" in (clone.folder / ".venv" / "dev.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("step", STEPS)
def test_after_a_kill_at_any_step_the_next_make_goes_through(clone: Clone, step: str) -> None:
    assert clone.make("install", KILLS=step).returncode != 0
    clone.calls()

    assert clone.make("test").returncode == 0
    assert clone.calls() == [*install("dev"), "-m pytest"]


def test_a_package_that_a_kill_left_half_installed_is_installed_again(clone: Clone) -> None:
    packages = clone.folder / ".venv" / "lib" / "python3.11" / "site-packages"
    for name in ("half-1.dist-info", "~alf", "whole-1.dist-info"):
        (packages / name).mkdir(parents=True)
        (packages / name / "METADATA").touch()
    (packages / "whole-1.dist-info" / "INSTALLER").touch()

    assert clone.make("install").returncode == 0
    assert [path.name for path in packages.iterdir()] == ["whole-1.dist-info"]


def test_a_folder_that_moved_gets_its_programs_anew(clone: Clone) -> None:
    clone.make("install")
    moved = Clone(clone.folder.rename(clone.folder.with_name("moved")), clone.path, clone.journal)
    clone.calls()

    assert moved.make("test").returncode == 0
    assert "--force-reinstall" in moved.calls()[0]
    moved.make("test")
    assert moved.calls() == ["-m pytest"]


def test_an_environment_whose_interpreter_went_away_is_made_anew(clone: Clone) -> None:
    clone.make("install")
    (clone.folder / ".venv" / "bin" / "python").unlink()
    (clone.folder / ".venv" / "bin" / "python").symlink_to("nowhere")
    clone.calls()

    assert clone.make("test").returncode == 0
    assert clone.calls()[1:] == [*install("dev")[1:], "-m pytest"]


def test_a_missing_interpreter_is_named(clone: Clone) -> None:
    done = clone.make("install", "PYTHON=python3.99")

    assert done.returncode != 0
    assert "understage: python3.99 is missing, but Python >= 3.11 is needed" in done.stderr


def test_a_place_that_cannot_be_written_to_is_named(clone: Clone) -> None:
    done = clone.make("install", "VENV=Makefile/venv")

    assert done.returncode != 0
    assert f"understage: cannot write to Makefile/venv in {clone.folder}; name a place" in done.stderr


def test_another_interpreter_gets_an_environment_of_its_own(clone: Clone) -> None:
    shutil.copy(clone.path / "python3", clone.path / "python3.13")

    assert clone.make("install", "PYTHON=python3.13").returncode == 0
    assert clone.make("install", f"PYTHON={clone.path / 'python3.13'}").returncode == 0
    assert sorted(path.name for path in clone.folder.glob(".venv*")) == [".venv-python3.13"]
