"""`Definition`: everything that a node is made with, as one frozen value."""

from typing import Annotated, Any, get_type_hints

import msgspec

from actors.runs.request import DEFAULT_TIMEOUT
from protocols.checks import FAILURES, TEXT, TIME_LIMIT, Check


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Settings that every node has. A `Check` in an annotation says what the setting may hold."""

    description: Annotated[str | None, TEXT] = None
    """What the node is good for. Pickers read it, and models that use the node as a tool."""
    display_name: Annotated[str | None, TEXT] = None
    """Name for people."""
    timeout: Annotated[float | None, TIME_LIMIT] = DEFAULT_TIMEOUT
    """Seconds that a run may take unless it says otherwise, waiting for earlier runs included. None for no limit."""
    crash_on: Annotated[tuple[type[Exception], ...], FAILURES] = ()
    """Exceptions of a run that crash the actor of the node, so that its supervisor restarts it."""


class Definition(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a node is made with. A node holds one definition, and a reload gives the node another one.

    The subclasses name what a kind of node needs: `AgentDefinition`, `TeamDefinition`.
    """

    settings: NodeSettings


def declared_checks(settings: type[NodeSettings]) -> dict[str, Check]:
    """Return the checks in the annotations of settings, by field."""
    hints: dict[str, Any] = get_type_hints(settings, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: mark for name, found in marks.items() for mark in found if isinstance(mark, Check)}
