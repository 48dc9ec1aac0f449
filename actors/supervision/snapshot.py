"""What a supervisor tells about its children."""

from typing import Any

import msgspec

from actors.runtime.ref import ActorRef
from actors.supervision.child import ChildKind
from actors.supervision.strategies import Restart
from protocols.control import ActorState


class ChildSnapshot(msgspec.Struct, frozen=True):
    """One child, as it was when it was asked for."""

    name: str
    """Unique under its supervisor."""
    ref: ActorRef[Any] | None
    """Its address, the same over all restarts; None if it never came to life."""
    state: ActorState
    """Restarting while it waits for its next life, and while that one starts."""
    incarnation: int
    """Which life it is in, from 1; 0 if it never came to life."""
    restart: Restart
    kind: ChildKind
    significant: bool


class ChildCounts(msgspec.Struct, frozen=True):
    """How many children a supervisor has."""

    specs: int
    """All, running or not."""
    active: int
    """Those with an incarnation that lives."""
    supervisors: int
    workers: int
