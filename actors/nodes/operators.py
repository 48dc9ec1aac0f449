"""What ``&``, ``|`` and ``>>`` make of nodes and functions: always something new, never a changed operand.

======================  ==================================================================
``a & b``, ``a & fn``   team of both; the function becomes an agent named after it
``a & (b & c)``         one team of three: a team made of nothing but members is taken apart
``team & team``         one team of all members; their shared prompts are combined
``a & chain``           team of ``a`` and the chain; ``chain & a`` as well
``a | b``, ``a | fn``   chain of both
``chain | x``           chain one step longer; a chain with a validator becomes its first step
``a | chain``           chain of ``a`` and the chain
``team | x``            chain of the team and ``x``
======================  ==================================================================

A function may stand on either side. The classes of teams and chains are given by `actors.nodes`, which knows all kinds.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeGuard

from actors.nodes.node import AnyNode, MessageNode


class Group(Protocol):
    """A team or a chain, as the operators see it."""

    @property
    def nodes(self) -> Sequence[AnyNode]:
        """The members."""
        ...

    @property
    def shared_prompt(self) -> str | None:
        """What its members are told in front of every prompt."""
        ...

    @property
    def is_plain(self) -> bool:
        """Whether it is but its members and a shared prompt, without picker, validator, policy or name of its own."""
        ...


MakeGroup = Callable[[Sequence[AnyNode], str | None], AnyNode]
"""Makes a team or a chain of members and a shared prompt."""


class NodeOperators:
    """The operators over one class of teams and one of chains."""

    def __init__(
        self, team: type[AnyNode], chain: type[AnyNode], *, make_team: MakeGroup, make_chain: MakeGroup
    ) -> None:
        """Take both classes and what makes them."""
        self._team = team
        self._chain = chain
        self._make_team = make_team
        self._make_chain = make_chain

    def both(self, left: object, right: object) -> AnyNode:
        """Return ``left & right``.

        Raises:
            ValueError: an operand is neither a node nor a function.
            NodeNameError: two members have the same name.
        """
        groups = [self._taken_apart(side, self._team) for side in (left, right)]
        return self._make_team(_members("&", groups), _combined(shared for _, shared in groups))

    def then(self, left: object, right: object) -> AnyNode:
        """Return ``left | right``; raises as `both`."""
        first, shared = self._taken_apart(left, self._chain)
        return self._make_chain(_members("|", [(first, shared), ([right], None)]), shared)

    def node(self, operand: object, operator: str, taken: Iterable[str]) -> AnyNode:
        """Return an operand as a node; see `as_node`."""
        return as_node(operand, operator, taken)

    def _taken_apart(self, side: object, kind: type[AnyNode]) -> tuple[Sequence[object], str | None]:
        operands: list[object] = [side]
        if isinstance(side, kind) and (group := _as_group(side)).is_plain:
            return group.nodes, group.shared_prompt
        return operands, None


def is_node(operand: object) -> TypeGuard[AnyNode]:
    """Whether something is a node."""
    return isinstance(operand, MessageNode)


def as_node(operand: object, operator: str, taken: Iterable[str] = ()) -> AnyNode:
    """Return a node as it is and a function as an agent, whose name is made unique among those taken.

    Raises:
        ValueError: it is neither.
    """
    if is_node(operand):
        return operand
    if not callable(operand):
        msg = f"cannot apply {operator} to {operand!r}: it is neither a node nor a function"
        raise ValueError(msg)  # noqa: TRY004 - the type that the contract names
    made: AnyNode = MessageNode.of_function(operand, frozenset(taken))
    return made


def _members(operator: str, groups: Iterable[tuple[Sequence[object], str | None]]) -> list[AnyNode]:
    operands = [operand for members, _ in groups for operand in members]
    names = {operand.name for operand in operands if is_node(operand)}
    members: list[AnyNode] = []
    for operand in operands:
        members.append(as_node(operand, operator, names))
        names.add(members[-1].name)
    return members


def _combined(prompts: Iterable[str | None]) -> str | None:
    return "\n\n".join(dict.fromkeys(prompt for prompt in prompts if prompt)) or None


def _as_group(node: Any) -> Group:
    group: Group = node
    return group
