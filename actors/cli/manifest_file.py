"""Read the manifest of a command; its secrets are redacted from then on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from actors.cli.redaction import redact
from actors.config.load import load_manifest
from actors.config.manifest import secrets_in

if TYPE_CHECKING:
    from actors.config.manifest import Manifest


def read_manifest(file: Path) -> Manifest:
    """Return a manifest.

    Raises:
        ManifestError: it cannot be read, or is wrong; lists every problem.
    """
    manifest = load_manifest(file)
    redact.learn(secrets_in(manifest))
    return manifest
