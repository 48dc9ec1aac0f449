"""In which order teams can be made."""

from graphlib import TopologicalSorter

from actors.config.manifest import Manifest


def build_order(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of all teams, each after the teams that it needs: members, picker, validator.

    A loaded manifest has no circles, so there is always an order; it depends on nothing but the manifest.
    """
    teams = manifest.teams
    needs = {name: [part for part in team.parts if part in teams] for name, team in teams.items()}
    return tuple(TopologicalSorter(needs).static_order())
