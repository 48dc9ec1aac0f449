"""In which order teams can be made."""

from graphlib import TopologicalSorter

from actors.config.manifest import Manifest


def build_order(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of all teams, each after the teams that it needs: members, picker, validator.

    A loaded manifest has no circles, so there is always an order; it depends on nothing but the manifest.
    """
    teams = manifest.teams
    needs: dict[str, list[str]] = {}
    for name, team in teams.items():
        named = [*team.members, *(other for other in (team.picker, team.validator) if other is not None)]
        needs[name] = [other for other in named if other in teams]
    return tuple(TopologicalSorter(needs).static_order())
