"""Which state of its prompt files an agent was made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.config.agent import AgentSpec
    from actors.config.manifest import Manifest

FileMark = tuple[str, int, int]
"""Path, time of the last change in nanoseconds, size in bytes; the numbers are 0 for a file that is not there."""


def file_marks(manifest: Manifest) -> Mapping[str, tuple[FileMark, ...]]:
    """Return the state of the prompt files of each agent that has any."""
    root = manifest.root or Path()
    found = {name: tuple(_mark(root / file) for file in _files(spec)) for name, spec in manifest.agents.items()}
    return {name: marks for name, marks in found.items() if marks}


def _files(spec: AgentSpec) -> list[Path]:
    prompts = (*spec.system_prompt, *spec.instructions)
    return [prompt.file for prompt in prompts if prompt.file is not None]


def _mark(path: Path) -> FileMark:
    try:
        state = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), state.st_mtime_ns, state.st_size
