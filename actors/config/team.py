"""Teams of the manifest."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from actors.config.node import NodeSpec
from actors.config.reference import NodeName
from actors.config.section import Section
from actors.config.supervision import Supervision
from actors.config.value import BY_SHAPE, MAP, TEXT, Positive, Text


class QuorumSpec(Section):
    """So many members must succeed."""

    quorum: Positive
    """The number."""


Policy = Annotated[Annotated[Literal["all", "any", "first"], TEXT] | Annotated[QuorumSpec, MAP], BY_SHAPE]
"""When a parallel run succeeds."""


class TeamSpec(NodeSpec):
    """One team: members side by side (`parallel`) or one after the other (`sequential`)."""

    spellings: ClassVar[Mapping[str, str]] = {"agents": "members", "nodes": "members"}

    retired: ClassVar[Mapping[str, str]] = {
        **NodeSpec.retired,
        "input_provider": "tools belong to agents; write it there",
    }

    mode: Literal["parallel", "sequential"]
    """Ask all members at once, or hand each member's answer to the next."""
    members: tuple[NodeName, ...] = Field(min_length=1)
    """Agents and teams, in order."""
    shared_prompt: Text | None = None
    """Text that comes before the prompt: for every member, or for the first of a chain."""
    picker: NodeName | None = None
    """Agent or team that chooses the members for each run."""
    num_picks: Positive | None = None
    """How many members it chooses; at least one by default."""
    pick_prompt: Text | None = None
    """Question to the picker in place of the usual one."""
    validator: NodeName | None = None
    """Last member of a chain, whose answer is the result."""
    result_mode: Literal["last", "concat"] = "last"
    """The result of a chain: the last answer, or all joined."""
    policy: Policy | None = None
    """When a parallel run succeeds: with `all` members, `any` of them, the `first`, or `{quorum: n}`."""
    supervision: Supervision | None = None
    """How its members are restarted."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the members, the picker and the validator."""
        return (*self.members, *(name for name in (self.picker, self.validator) if name is not None))

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        yield from super()._mismatches()
        yield from self._mode_mismatches()
        count = len(self.members)
        if self.mcp_servers:
            yield "mcp_servers", "has no effect on a team: tools belong to agents; name the server there"
        if self.picker is None:
            for key in ("num_picks", "pick_prompt"):
                if getattr(self, key) is not None:
                    yield key, "has no effect without 'picker'"
        if self.num_picks is not None and self.num_picks > count:
            yield "num_picks", f"is more than the {count} members"
        if isinstance(self.policy, QuorumSpec) and self.policy.quorum > count:
            yield "policy", f"the quorum is more than the {count} members"

    def _mode_mismatches(self) -> Iterator[tuple[str, str]]:
        foreign = ("validator", "result_mode") if self.mode == "parallel" else ("policy",)
        for key in foreign:
            if key in self.model_fields_set:
                yield key, f"has no effect with 'mode: {self.mode}'"
        if self.mode == "parallel":
            for name, times in Counter(self.members).items():
                if times > 1:
                    yield "members", f"{name!r} is listed {times} times; members of a parallel team are unique"
