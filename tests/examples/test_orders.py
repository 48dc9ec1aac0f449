"""The orders of the examples: a process is killed in mid-run, and nothing is lost."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.cli.conftest import ROOT, SECONDS, environment


def test_a_kill_in_mid_run_loses_no_order_and_books_none_twice() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "orders" / "demo.py")],
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=4 * SECONDS,
    )
    lines = done.stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"killed: signal 9; [3-8] orders were accepted, 3 are booked", lines[1])
    assert lines[3:] == ["booked: 8 of 8; lost: 0; twice: 0"]
