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

A function may stand on either side. `MessageNode` registers the classes that the operators make.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeGuard

from actors.runs.handle import NodeHandle
from protocols.errors import ConfigError

Operand = Literal["&", "|", "function"]
"""An operator, or a function among the operands."""

_kinds: dict[Operand, Any] = {}


def register(operand: Operand, kind: type[NodeHandle[Any, Any]]) -> None:
    """Make nodes of this kind from now on.

    Args:
        operand: the operator that makes the node, or ``function`` for a kind that a function becomes.
        kind: a class with the constructor of a team; for functions a class with `Agent.of_function`.
    """
    _kinds[operand] = kind


def both(left: object, right: object) -> Any:
    """Return ``left & right``.

    Raises:
        ValueError: an operand is neither a node nor a function.
        NodeNameError: two members have the same name.
    """
    kind = _kinds["&"]
    groups = [_taken_apart(side, kind) for side in (left, right)]
    shared = "\n\n".join(dict.fromkeys(prompt for _, prompt in groups if prompt)) or None
    return kind(_members("&", groups), shared_prompt=shared)


def then(left: object, right: object) -> Any:
    """Return ``left | right``. Raises the errors of `both`."""
    kind = _kinds["|"]
    first, shared = _taken_apart(left, kind)
    return kind(_members("|", [(first, shared), ([right], None)]), shared_prompt=shared)


def as_node(operand: object, operator: str, taken: Iterable[str] = ()) -> Any:
    """Return a node as it is, and a function as an agent with a name that is not taken.

    Raises:
        ValueError: the operand is neither.
        ConfigError: the operand is a function, and the class of agents is not imported.
    """
    if is_node(operand):
        return operand
    if not callable(operand):
        message = f"cannot apply {operator} to {operand!r}: it is neither a node nor a function"
        raise ValueError(message)  # noqa: TRY004 - the type that the contract names
    if "function" not in _kinds:
        raise ConfigError(
            f"cannot apply {operator} to {operand!r}: a function becomes an agent, so import that class first: "
            "from actors import Agent"
        )
    return _kinds["function"].of_function(operand, frozenset(taken))


def is_node(operand: object) -> TypeGuard[NodeHandle[Any, Any]]:
    """Return True for a node."""
    return isinstance(operand, NodeHandle)


def _taken_apart(side: object, kind: type) -> tuple[Sequence[object], str | None]:
    group: Any = side
    if isinstance(side, kind) and group.definition.is_plain:
        return group.nodes, group.shared_prompt
    return [side], None


def _members(operator: str, groups: Iterable[tuple[Sequence[object], str | None]]) -> list[Any]:
    operands = [operand for members, _ in groups for operand in members]
    names = {operand.name for operand in operands if is_node(operand)}
    members: list[Any] = []
    for operand in operands:
        members.append(as_node(operand, operator, names))
        names.add(members[-1].name)
    return members
