"""`understudy validate FILE`: is this manifest sound?"""

from __future__ import annotations

import typer

from actors.cli.option import ManifestFile


def validate(file: ManifestFile) -> None:
    """Check a manifest and list every problem in it."""
    from actors.config.load import load_manifest

    manifest = load_manifest(file)
    agents, teams = len(manifest.agents), len(manifest.teams)
    typer.echo(f"{file}: sound ({agents} agents, {teams} teams, {len(manifest.jobs)} jobs)")
