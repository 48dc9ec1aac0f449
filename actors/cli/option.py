"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ManifestFile = Annotated[Path, typer.Argument(metavar="FILE", help="The manifest, such as agents.yml.")]
"""The manifest."""
Debug = Annotated[bool, typer.Option("--debug", help="Write logs and tracebacks to standard error.")]
"""Whether to say everything."""
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
"""Whether programs read the output."""
