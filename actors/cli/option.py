"""Arguments that several commands share."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import typer

ManifestFile = Annotated[Path, typer.Argument(metavar="FILE", help="The manifest, such as agents.yml.")]
"""The manifest."""
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
"""True if programs read the output."""

is_debug: ContextVar[bool] = ContextVar("understudy_debug", default=False)
"""True if ``--debug`` was given: logs and tracebacks go to standard error."""
