"""Completions for a shell: names of the manifest that the command line names."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from actors.config.manifest import Manifest

Suggestion = tuple[str, str]
"""A word and its description."""


def complete_node(context: typer.Context, incomplete: str) -> list[Suggestion]:
    """Return the agents and teams whose names begin with the word."""
    manifest = _manifest(context)
    return [] if manifest is None else _matching(manifest.nodes.items(), incomplete)


def complete_job(context: typer.Context, incomplete: str) -> list[Suggestion]:
    """Return the jobs whose names begin with the word."""
    manifest = _manifest(context)
    return [] if manifest is None else _matching(manifest.jobs.items(), incomplete)


def _manifest(context: typer.Context) -> "Manifest | None":
    """Return the manifest of the command line. None for a manifest with errors: a shell shows none."""
    from actors.config.load import load_manifest

    file: object = context.params.get("file") or context.params.get("config")
    try:
        return None if file is None else load_manifest(Path(str(file)).expanduser())
    except Exception:
        return None


def _matching(nodes: Iterable[tuple[str, object]], incomplete: str) -> list[Suggestion]:
    return [(name, str(getattr(node, "description", "") or "")) for name, node in nodes if name.startswith(incomplete)]
