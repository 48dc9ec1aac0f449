"""The public facts about the children of a supervisor."""

from typing import Any

import msgspec

from actors.runtime.ref import ActorRef
from actors.supervision.child import ChildKind
from actors.supervision.strategies import Restart
from protocols.control import ActorState


class ChildSnapshot(msgspec.Struct, frozen=True):
    """One child at one moment."""

    name: str
    """Unique under its supervisor."""
    ref: ActorRef[Any] | None
    """Address, the same over all restarts; None if the child never started."""
    state: ActorState
    """Restarting while the child waits for its next life, and while that life starts."""
    incarnation: int
    """Number of the current life, from 1; 0 if the child never started."""
    restart: Restart
    kind: ChildKind
    significant: bool


class ChildCounts(msgspec.Struct, frozen=True):
    """The numbers of a supervisor's children."""

    specs: int
    """All children, running or not."""
    active: int
    """Children with a live incarnation."""
    supervisors: int
    workers: int
