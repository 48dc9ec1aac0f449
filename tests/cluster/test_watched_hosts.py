"""Two processes of `understage watch` on one PostgreSQL, as people see and steer them from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors.cli.exit_code import ExitCode
from tests.cli.conftest import cli as cli

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pytest

    from tests.cli.conftest import Call
    from tests.storage.postgres_server import PostgresServer

PATIENCE: Final = 60.0
SHARDS: Final = 16
NODES: Final = [f"clerk{number}" for number in range(8)]
MANIFEST: Final = f"""
name: watched hosts
cluster: {{url: "${{CLUSTER_DATABASE}}", ttl: 2s, shards: {SHARDS}}}
agents: {{{", ".join(f"{name}: {{model: offline, durable: true}}" for name in NODES)}}}
"""


@contextmanager
def watching(folder: Path) -> Generator[subprocess.Popen[bytes]]:
    """Run a process of the cluster; each has its manifest in a folder of its own, and so a socket of its own."""
    folder.mkdir()
    (folder / "agents.yml").write_text(MANIFEST, encoding="utf-8")
    command = [sys.executable, "-m", "actors.cli", "watch", str(folder / "agents.yml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def until(found: Callable[[], Any]) -> Any:
    """Ask again and again until there is an answer."""
    end = time.monotonic() + PATIENCE
    while not (answer := found()):
        assert time.monotonic() < end
    return answer


def test_two_processes_are_seen_and_one_is_emptied(
    postgres_server: PostgresServer, tmp_path: Path, cli: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_DATABASE", postgres_server.url)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))

    def hosts(**wanted: list[Any]) -> list[dict[str, Any]]:
        """Return the hosts, sorted by process, if each field has these values."""
        answer = cli("hosts", tmp_path / "one" / "agents.yml", "--json")
        rows = sorted(json.loads(answer.out), key=lambda row: row["name"] != names[0]) if not answer.code else []
        return rows if all([row[key] for row in rows] == values for key, values in wanted.items()) else []

    with ExitStack() as stack:
        one, two = (stack.enter_context(watching(tmp_path / name)) for name in ("one", "two"))
        for process in (one, two):
            assert process.stderr is not None
            while b"Ctrl+C" not in (line := process.stderr.readline()):
                assert line
        machine = os.uname().nodename
        names = [f"{machine}:{process.pid}" for process in (one, two)]
        first, second = until(lambda: hosts(name=names, state=["alive"] * 2, shards=[SHARDS // 2] * 2))
        assert sorted([*first["nodes"], *second["nodes"]]) == NODES
        assert first["version"] == second["version"]

        def top() -> dict[str, Any]:
            answer = cli("top", "--config", tmp_path / "one" / "agents.yml", "--once", "--json")
            moment: dict[str, Any] = {} if answer.code else json.loads(answer.out)
            others = [row["name"] for row in moment.get("actors", ()) if row["host"] == names[1]]
            return moment if sorted(others) == second["nodes"] else {}

        assert {row["host"] for row in until(top)["actors"]} == {*names}
        moved = cli("journal", "move", *NODES[:2], tmp_path / "one" / "agents.yml")
        why = f"is used by the cluster 'watched hosts' (host {names[0]!r}); end its hosts first"
        assert (moved.code, why in moved.err) == (ExitCode.FAILED, True)
        emptied = cli("drain", tmp_path / "two" / "agents.yml", names[1], "--wait")
        assert (emptied.code, emptied.out) == (ExitCode.OK, f"{names[1]} has no shards any more\n")
        until(lambda: hosts(state=["alive", "draining"], shards=[SHARDS, 0], nodes=[NODES, []]))
