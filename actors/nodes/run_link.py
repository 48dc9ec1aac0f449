"""Connections inside one run of a team: real ones between neighbours, and marks for members that end it."""

from collections.abc import Sequence
from itertools import pairwise

from actors.talk.talk import Talk
from actors.talk.talk_stats import TalkStats
from protocols.node import Target


class RunLink:
    """Stands for a member whose answer leaves the run: every member of a team, and the last of a chain."""

    __slots__ = ("active", "name", "source", "stats", "targets")

    def __init__(self, source: Target) -> None:
        """Take the member."""
        self.source = source
        self.targets: tuple[Target, ...] = ()
        self.name = f"{source.name}->[]"
        self.active = False
        self.stats = TalkStats(source.name, ())

    def __repr__(self) -> str:
        return f"<RunLink {self.name!r}>"


def links_between(members: Sequence[Target]) -> list[Talk]:
    """Return the private, queued connections between neighbours; no node knows of them."""
    return [Talk(source, target, queued=True) for source, target in pairwise(members)]
