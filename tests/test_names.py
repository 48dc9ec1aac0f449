"""Whose names the project uses: its own on the package index, and its own two among the imports."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.config.import_path import ImportPathError, resolve_import

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = PROJECT["name"]
OTHERS = {"fastapi", "jupyterlab"}
"""What an example may tell its reader to install beside us; each belongs to the project that the example shows."""
PLACES = (
    "actors",
    "protocols",
    "docs",
    "examples",
    "requirements",
    ".ci",
    "*.md",
    "*.yml",
    "Makefile",
    "pyproject.toml",
)
INSTALL = re.compile(r"\b(?:pip3?|uv|pipx|poetry|uvx)\s+(?:pip\s+)?(?:install|add|tool install)\s+([^`\n]*)")
REQUIREMENT = re.compile(r"""["']?([A-Za-z][\w.-]*)(?:\[([\w,{} -]+)\])?["']?""")


def texts() -> Iterator[tuple[Path, str]]:
    """Yield what a user reads of the project, file by file."""
    for place in PLACES:
        for found in sorted(ROOT.glob(place)):
            for path in [found] if found.is_file() else sorted(found.rglob("*")):
                if path.suffix in {".py", ".md", ".yml", ".toml", ".txt", ".sh", ""} and path.is_file():
                    yield path.relative_to(ROOT), path.read_text(encoding="utf-8")


def advised(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and extras of everything that a text tells its reader to install."""
    for line in INSTALL.findall(text):
        for word in line.split("#")[0].split():
            found = REQUIREMENT.match(word)
            if found is None:
                return  # an option, a path or a variable: what follows is no name
            yield found[1], found[2] or ""


def test_nobody_is_told_to_install_what_belongs_to_others() -> None:
    told = [(path, name, extras) for path, text in texts() for name, extras in advised(text)]
    known = set(PROJECT["optional-dependencies"])

    assert {name for _, name, _ in told} <= {NAME} | OTHERS, told
    named = {extra for _, _, extras in told for extra in extras.split(",") if extra and "{" not in extra}
    assert named <= known
    assert any(path.suffix == ".py" for path, _, _ in told)
    assert any(path.suffix == ".md" for path, _, _ in told)


def test_the_name_before_this_one_is_gone() -> None:
    former = "under" + "study"  # it belongs to another project on the package index

    assert [str(path) for path, text in texts() if former in text.lower()] == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pip install 'other[web]'", [("other", "web")]),
        ("run `pip install other` or not", [("other", "")]),
        ("uv add other second", [("other", ""), ("second", "")]),
        ("pip install .[all]", []),
    ],
)
def test_advice_is_found(line: str, found: list[tuple[str, str]]) -> None:
    assert list(advised(line)) == found


@pytest.mark.parametrize(
    ("namesake", "statement"),
    [
        ("protocols.py", "from actors import Agent"),
        ("protocols.py", "import actors.runtime.system"),
        ("protocols/__init__.py", "from actors import Agent"),
        ("actors.py", "import actors, protocols"),
    ],
)
def test_a_module_of_the_user_that_takes_our_place_is_named(tmp_path: Path, namesake: str, statement: str) -> None:
    file = tmp_path / namesake
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; {statement}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    last = ended.stderr.splitlines()[-1]
    top = namesake.partition("/")[0].removesuffix(".py")
    assert last == f"ImportError: {file} takes the place of Understage's package {top!r}: give it another name"


@pytest.mark.parametrize("text", ["actors:shout", "protocols.mine:shout"])
def test_an_import_string_that_means_a_namesake_says_so(text: str) -> None:
    top = text.split(":")[0].split(".")[0]

    with pytest.raises(
        ImportPathError, match=f"{top!r} is Understage's own package, so a module of yours needs another"
    ):
        resolve_import(text, [top])
