"""`understudy validate FILE`: is this manifest sound?"""

from __future__ import annotations

from actors.cli.option import ManifestFile
from actors.cli.output import write


def validate(file: ManifestFile) -> None:
    """Check a manifest and list every problem in it."""
    from actors.cli.manifest_file import read_manifest

    manifest = read_manifest(file)
    agents, teams = len(manifest.agents), len(manifest.teams)
    write(f"{file}: sound ({agents} agents, {teams} teams, {len(manifest.jobs)} jobs)")
