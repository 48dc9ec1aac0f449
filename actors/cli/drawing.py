"""A manifest as a picture (mermaid or Graphviz text, or drawn by the program of Graphviz), and as JSON."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from actors.cli.exit_code import ExitCode, fail
from actors.config.graph import GraphLine, dot, graph_lines, mermaid
from actors.config.manifest import Manifest

_SECONDS: Final = 60.0
_KINDS: Final[Mapping[str, str]] = {
    ".mmd": "mermaid",
    ".md": "mermaid",
    ".dot": "dot",
    ".gv": "dot",
    ".svg": "drawn",
    ".png": "drawn",
    ".pdf": "drawn",
}


def save_drawing(manifest: Manifest, file: Path) -> None:
    """Write a picture into a file, in the format of the file name.

    Raises:
        CommandError: the format is unknown, Graphviz is missing or fails, or the file cannot be written.
    """
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        fail(f"unknown kind of picture {file.suffix!r} of {str(file)!r}; known are {', '.join(_KINDS)}")
    text = mermaid(manifest) if kind == "mermaid" else dot(manifest)
    if file.suffix.lower() == ".md":
        text = f"```mermaid\n{text}```\n"
    data = text.encode()
    if kind == "drawn":
        data = _drawn(data, file.suffix.lower().removeprefix("."))
    try:
        file.write_bytes(data)
    except OSError as error:
        fail(f"{str(file)!r} cannot be written: {error.strerror or error}", ExitCode.FAILED)


def _drawn(source: bytes, kind: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        fail(f"Graphviz, which draws {kind}, is not installed (no program 'dot'); write .mmd or .dot instead")
    try:
        done = subprocess.run([program, f"-T{kind}"], input=source, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        fail(f"Graphviz did not end within {_SECONDS:g} s", ExitCode.FAILED)
    except OSError as error:
        fail(f"Graphviz cannot be run: {error}", ExitCode.FAILED)
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip()[:500] or f"exit code {done.returncode}"
        fail(f"Graphviz failed: {reason}", ExitCode.FAILED)
    return done.stdout


_SETTINGS: Final = ("filter_condition", "stop_condition", "exit_condition")


def graph_data(manifest: Manifest) -> str:
    """Return agents, teams and edges as one JSON document."""
    nodes = [{"name": name, "kind": "agent"} for name in manifest.agents]
    nodes += [{"name": name, "kind": f"{team.mode} team"} for name, team in manifest.teams.items()]
    lines = [_line(line) for line in graph_lines(manifest)]
    return json.dumps({"name": manifest.name, "nodes": nodes, "edges": lines}, indent=2, ensure_ascii=False)


def _line(line: GraphLine) -> dict[str, Any]:
    ends = {"source": line.source, "target": line.target, "kind": "member" if line.kind == "step" else line.kind}
    spec = line.connection
    if spec is None:
        return ends
    conditions = [key.removesuffix("_condition") for key in _SETTINGS if getattr(spec, key) is not None]
    return {**ends, "name": spec.label, "queued": spec.queued, "conditions": conditions}
