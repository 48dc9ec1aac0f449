"""The files of the guide on testing are a project of their own, whose tests pass."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.docs.test_snippets import DOCS

if TYPE_CHECKING:
    from pathlib import Path

PAGE: Final = (DOCS / "testing.md").read_text(encoding="utf-8")
_TESTS: Final = re.compile(r"^<!-- pytest -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONFTEST: Final = re.compile(r"`conftest.py`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SETTINGS: Final = re.compile(r"`pytest.ini`:\n\n```ini\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    tests = [(PAGE.count("\n", 0, found.start(1)), found[1]) for found in _TESTS.finditer(PAGE)]
    for line, program in tests:
        text = "\n" * line + program  # so that a traceback names the line of the page
        (tmp_path / f"test_line_{line + 1}.py").write_text(text, encoding="utf-8")
    for name, pattern in {"conftest.py": _CONFTEST, "pytest.ini": _SETTINGS}.items():
        (block,) = pattern.findall(PAGE)
        (tmp_path / name).write_text(block, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(DOCS.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(re.findall('^(?:async )?def test_', PAGE, re.MULTILINE))} passed" in done.stdout


def test_each_block_of_python_is_run() -> None:
    assert PAGE.count("```python") == len(_TESTS.findall(PAGE)) + 1
