"""What a team is made of, beside its members and its kind."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import msgspec
from pydantic_ai.usage import UsageLimits

from actors.runs.handle import NodeHandle
from actors.runs.request import DEFAULT_TIMEOUT
from actors.runs.selection import MultiPick, Pick, SelectionRules, choose
from actors.supervision.backoff import Backoff
from actors.supervision.intensity import RestartIntensity
from actors.supervision.strategies import Strategy
from protocols.checks import FAILURES, TEXT, TIME_LIMIT, check_keywords, check_values, choice, instance_of, whole
from protocols.errors import ConfigError


class TeamKeywords(TypedDict, total=False):
    """Keywords of teams; see `TeamSettings` for what they mean."""

    description: str | None
    display_name: str | None
    picker: Any
    num_picks: int | None
    pick_prompt: str | None
    strategy: Strategy
    intensity: RestartIntensity
    backoff: Backoff | None
    timeout: float | None
    crash_on: tuple[type[Exception], ...]
    usage_limits: UsageLimits | None
    max_concurrency: int | None
    member_specs: Mapping[str, Mapping[str, Any]]


class TeamSettings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """How a team works."""

    description: str | None = None
    """What it is good for, for those who pick a team or use it as a tool."""
    display_name: str | None = None
    """Name for people."""
    picker: Any = None
    """Node that chooses the members for each run; None for all."""
    num_picks: int | None = None
    """How many members it chooses; None for at least one."""
    pick_prompt: str | None = None
    """Question to the picker in place of the usual one."""
    strategy: Strategy = "one_for_one"
    """Which members restart together."""
    intensity: RestartIntensity = msgspec.field(default_factory=RestartIntensity)
    """How many restarts are borne in which time."""
    backoff: Backoff | None = msgspec.field(default_factory=Backoff)
    """Delays of restarts; None restarts at once."""
    timeout: float | None = DEFAULT_TIMEOUT
    """Seconds that a run of the team may take unless it says otherwise; None for no limit."""
    crash_on: tuple[type[Exception], ...] = ()
    """Exceptions of a run that break the team's own actor."""
    usage_limits: UsageLimits | None = None
    """Most requests, calls of tools and tokens of one run, all members together."""
    max_concurrency: int | None = None
    """Runs that go on at the same time; None for no limit."""
    member_specs: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict[str, Mapping[str, Any]])
    """Fields of the `ChildSpec` (restart, shutdown, mailbox) of members that the team supervises, by their names."""

    @classmethod
    def of(cls, name: str, keywords: Mapping[str, Any]) -> "TeamSettings":
        """Take and check the keywords of a team.

        Raises:
            TypeError: there is no such keyword; offers the nearest.
            ConfigError: a value is impossible.
        """
        check_keywords(f"team {name!r}: there is no setting", keywords, cls.__struct_fields__)
        check_values(_CHECKS, keywords, lambda _, problem: ConfigError(f"team {name!r}: {problem}", node=name))
        made = cls(**keywords)
        if made.picker is None and (made.num_picks is not None or made.pick_prompt is not None):
            msg = f"team {name!r}: num_picks and pick_prompt need a picker; pass picker=a node"
            raise ConfigError(msg, node=name)
        return made

    async def pick(self, team: str, nodes: Sequence[NodeHandle[Any, Any]], task: str) -> Sequence[Any]:
        """Ask the picker which members work on a task. Returns them in the order of its answer.

        The picker is told to answer with `Pick` or `MultiPick`. A function may also return the names, or the members.

        Raises:
            PickError: the answer names an unknown member, one member twice, too few or too many.
        """
        number = self.num_picks
        rules = SelectionRules(
            tuple(dict.fromkeys(nodes)), f"team {team!r}: the picker", "member", least=number or 1, most=number
        )
        kind = Pick if number == 1 else MultiPick
        return (await choose(self.picker, rules, task, self.pick_prompt, kind=kind)).selections


_CHECKS = {
    "description": TEXT,
    "display_name": TEXT,
    "num_picks": whole(1),
    "pick_prompt": TEXT,
    "strategy": choice("one_for_one", "one_for_all", "rest_for_one"),
    "intensity": instance_of("RestartIntensity(limit, period)", RestartIntensity),
    "backoff": instance_of("Backoff(min, max), or None for none", Backoff),
    "timeout": TIME_LIMIT,
    "crash_on": FAILURES,
    "usage_limits": instance_of("UsageLimits", UsageLimits),
    "max_concurrency": whole(1),
    "member_specs": instance_of("a map from names of members to maps", Mapping),
}
