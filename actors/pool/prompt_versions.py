"""Versions of the prompt files that an agent was made with."""

from collections.abc import Mapping
from pathlib import Path

from actors.config.agent import AgentSpec
from actors.config.manifest import Manifest

PromptVersion = tuple[str, int, int]
"""Path, time of the last change in nanoseconds, size in bytes; 0 and 0 for a missing file."""


def prompt_versions(manifest: Manifest) -> Mapping[str, tuple[PromptVersion, ...]]:
    """Return the versions of the prompt files, by the agents that have any."""
    root = manifest.root or Path()
    found = {name: tuple(_version(root / file) for file in _files(spec)) for name, spec in manifest.agents.items()}
    return {name: versions for name, versions in found.items() if versions}


def _files(spec: AgentSpec) -> list[Path]:
    prompts = (*spec.system_prompt, *spec.instructions)
    return [prompt.file for prompt in prompts if prompt.file is not None]


def _version(path: Path) -> PromptVersion:
    try:
        state = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), state.st_mtime_ns, state.st_size
