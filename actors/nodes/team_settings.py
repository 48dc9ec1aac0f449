"""`TeamSettings`, `SuccessPolicy` and `TeamDefinition`: everything that a team is made with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict, get_args

import msgspec
from pydantic_ai.usage import UsageLimits

from actors.nodes.node import AnyNode
from actors.runs.handle import NodeHandle
from actors.runs.lifecycle import Definition, NodeSettings
from actors.runs.request import USAGE_LIMITS
from actors.runs.selection import MultiPick, Pick, SelectionRules, choose
from actors.supervision.backoff import Backoff
from actors.supervision.intensity import RestartIntensity
from actors.supervision.retry import Retry
from actors.supervision.strategies import Strategy
from protocols.budget import Budget
from protocols.checks import TEXT, check_keywords, check_values, choice, declared_checks, instance_of, whole
from protocols.durable import Durable, Placement
from protocols.errors import ConfigError, nearest

PolicyWord = Literal["all", "any", "first"]
"""Every member, at least one, or the quickest."""


@dataclass(frozen=True, slots=True)
class SuccessPolicy:
    """How many members must succeed.

    =========  ===================================================================
    ``all``    every member; the first failure ends the run
    ``any``    one is enough, but all are waited for (default)
    ``first``  the first success ends the run, the others are cancelled
    a number   so many, but all are waited for (``quorum=2`` and ``2`` are the same)
    =========  ===================================================================

    Example:
        >>> SuccessPolicy.of("quorum=2").is_met(2, 3)
        True
    """

    word: PolicyWord = "any"
    quorum: int | None = None
    """Least number of successes; None when the word says it."""

    @classmethod
    def of(cls, given: "str | int | SuccessPolicy") -> "SuccessPolicy":
        """Read a policy.

        Raises:
            ConfigError: `given` is not a policy.
        """
        if isinstance(given, SuccessPolicy):
            return given
        number = str(given).removeprefix("quorum=")
        if not isinstance(given, bool) and number.isdecimal() and int(number):
            return cls(quorum=int(number))
        if given in get_args(PolicyWord):
            return cls(given)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] - just checked
        words = [*get_args(PolicyWord), "quorum=2"]
        raise ConfigError(f"team: policy={given!r} is no policy{nearest(str(given), words)}")

    def needed(self, members: int) -> int:
        """Return the number of members that must succeed."""
        if self.quorum is not None:
            return self.quorum
        return members if self.word == "all" else 1

    def is_met(self, successes: int, members: int) -> bool:
        """Return True if the number of successes is enough."""
        return successes >= self.needed(members)

    def is_settled(self, successes: int, failures: int, members: int, *, is_patient: bool = False) -> bool:
        """Return True if the run need not wait for the other members. A patient run waits even after it has failed."""
        if successes + failures == members or (self.quorum is None and self.word == "first" and successes):
            return True
        return not is_patient and members - failures < self.needed(members)


ANY = SuccessPolicy()
ALL = SuccessPolicy("all")


MemberSpecs = Mapping[str, Mapping[str, Any]]
ResultMode = Literal["last", "concat"]
"""The result of a chain: the last answer, or all answers joined by empty lines."""


class TeamKeywords(TypedDict, total=False):
    """Keywords of teams; see `TeamSettings` for what they mean."""

    description: str | None
    display_name: str | None
    picker: AnyNode | str | None
    num_picks: int | None
    pick_prompt: str | None
    strategy: Strategy
    intensity: RestartIntensity
    backoff: Backoff | None
    timeout: float | None
    crash_on: tuple[type[Exception], ...]
    redeliver: bool
    placement: Placement | None
    durable: bool | Durable | None
    retry: Retry | None
    usage_limits: UsageLimits | None
    budget: Budget | None
    max_concurrency: int | None
    member_specs: MemberSpecs


_INTENSITY = instance_of("RestartIntensity(limit, period)", RestartIntensity)
_BACKOFF = instance_of("Backoff(min, max), or None for none", Backoff)
_SPECS = instance_of("a map from names of members to maps", Mapping)


class TeamSettings(NodeSettings, frozen=True, kw_only=True, eq=False):
    """Settings of a team. `NodeSettings` holds those of every node."""

    picker: Any = None
    """Node that chooses the members for each run; None for all."""
    num_picks: Annotated[int | None, whole(1)] = None
    """How many members it chooses; None for at least one."""
    pick_prompt: Annotated[str | None, TEXT] = None
    """Question to the picker in place of the usual one."""
    strategy: Annotated[Strategy, choice("one_for_one", "one_for_all", "rest_for_one")] = "one_for_one"
    """Which members restart together."""
    intensity: Annotated[RestartIntensity, _INTENSITY] = msgspec.field(default_factory=RestartIntensity)
    """Number of restarts allowed in a period."""
    backoff: Annotated[Backoff | None, _BACKOFF] = msgspec.field(default_factory=Backoff)
    """Delays of restarts; None restarts at once."""
    usage_limits: Annotated[UsageLimits | None, USAGE_LIMITS] = None
    """Most requests, calls of tools and tokens of one run, all members together."""
    max_concurrency: Annotated[int | None, whole(1)] = None
    """Runs that go on at the same time; None for no limit."""
    member_specs: Annotated[MemberSpecs, _SPECS] = msgspec.field(default_factory=dict[str, Mapping[str, Any]])
    """Fields of the `ChildSpec` (restart, shutdown, mailbox) of members that the team supervises, by their names."""

    @classmethod
    def of(cls, name: str, keywords: Mapping[str, Any], *others: str) -> "TeamSettings":
        """Make the settings from the keywords of a team, which has `others` besides.

        Raises:
            TypeError: a keyword is unknown; the error offers the nearest.
            ConfigError: a value is impossible.
        """
        check_keywords(f"team {name!r}: there is no setting", keywords, cls.__struct_fields__, others=others)
        check_values(_CHECKS, keywords, lambda _, problem: ConfigError(f"team {name!r}: {problem}", node=name))
        made = cls(**keywords)
        if made.picker is None and (made.num_picks is not None or made.pick_prompt is not None):
            raise ConfigError(f"team {name!r}: num_picks and pick_prompt need a picker; pass picker=a node", node=name)
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


class TeamDefinition(Definition, frozen=True, kw_only=True, eq=False):
    """What a team is made with. `policy` belongs to parallel teams, `validator` and `result_mode` to chains."""

    settings: TeamSettings
    nodes: tuple[AnyNode, ...]
    """The members, in order."""
    shared_prompt: str | None
    """Text before every task: for all members of a parallel team, for the first member of a chain."""
    is_named: bool
    """True if the user has named the team. Otherwise its name consists of the names of the members."""
    policy: SuccessPolicy = ANY
    """Number of members that must succeed."""
    validator: AnyNode | None = None
    """Node that works last, on the result of the others."""
    result_mode: ResultMode = "last"
    """What the result is."""

    @property
    def is_plain(self) -> bool:
        """True if the team has only members and a shared prompt: no name, picker, validator, policy or result mode."""
        is_usual = self.policy == ANY and self.result_mode == "last"
        return is_usual and not self.is_named and self.settings.picker is None and self.validator is None

    def members(self) -> Sequence[AnyNode]:
        """Return all nodes that the team supervises, each once: members, picker, validator."""
        every = (*self.nodes, self.settings.picker, self.validator)
        return tuple(dict.fromkeys(node for node in every if node is not None))


_CHECKS = declared_checks(TeamSettings)
