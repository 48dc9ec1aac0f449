"""Arguments that several commands share, their completions for a shell, and reading the manifest that they name."""

from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protocols.redaction import redact

if TYPE_CHECKING:
    from actors.config.manifest import Manifest

ManifestFile = Annotated[Path, typer.Argument(metavar="FILE", help="The manifest, such as agents.yml.")]
"""The manifest."""
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
"""True if programs read the output."""
Model = Annotated[str | None, typer.Option("--model", help="Model of every agent, such as openai:gpt-4.1.")]

is_debug: ContextVar[bool] = ContextVar("understage_debug", default=False)
"""True if ``--debug`` was given: logs and tracebacks go to standard error."""


def group(name: str, about: str) -> typer.Typer:
    """Return a command of commands, whose help says what they are about."""
    return typer.Typer(name=name, help=about, no_args_is_help=True, rich_markup_mode=None)


def read_manifest(file: Path) -> "Manifest":
    """Return a manifest. Its secrets are redacted from then on.

    Raises:
        ManifestError: it cannot be read, or is wrong; lists every problem.
    """
    from actors.config.load import load_manifest
    from actors.config.manifest import secrets_in

    manifest = load_manifest(file)
    redact.learn(secrets_in(manifest))
    return manifest


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
