"""Arguments that several commands share, and reading the manifest that they name."""

from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.redaction import redact

if TYPE_CHECKING:
    from actors.config.manifest import Manifest

ManifestFile = Annotated[Path, typer.Argument(metavar="FILE", help="The manifest, such as agents.yml.")]
"""The manifest."""
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
"""True if programs read the output."""

is_debug: ContextVar[bool] = ContextVar("understage_debug", default=False)
"""True if ``--debug`` was given: logs and tracebacks go to standard error."""


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
