"""The phases in the life of an actor, and which of them may follow which."""

from enum import IntEnum
from typing import Final

from protocols.control import ActorState


class Phase(IntEnum):
    """Where the present incarnation of an actor is. `TRANSITIONS` lists what may follow.

    The order is part of the meaning: up to `RETIRING` the mailbox is open, from `SUSPENDING` to `STOPPING` the
    incarnation was told to end.
    """

    NEW = 0
    """The actor object is not made yet."""
    STARTING = 1
    """`on_start` runs, or is the next step."""
    UNSTARTED = 2
    """`on_start` failed: the children end."""
    RUNNING = 3
    """Messages are handled."""
    CRASHED = 4
    """A handler broke: the children end, `on_failure` runs."""
    HELD = 5
    """Between two incarnations: the ref is valid, the mailbox takes messages."""
    SUSPENDING = 6
    """Told to end for a restart while `on_start` runs."""
    RETIRING = 7
    """Ends for a restart: the children end, `on_stop` runs."""
    CLOSING = 8
    """Told to stop while `on_start` runs. What waits is handled afterwards."""
    ABORTING = 9
    """Told to stop while `on_start` runs. Nothing waits."""
    DRAINING = 10
    """Told to stop: handles what waits, takes no more messages."""
    STOPPING = 11
    """Ends for good: the children end, `on_stop` runs."""
    STOPPED = 12
    """Ended for good."""


_P = Phase
TRANSITIONS: Final[dict[Phase, frozenset[Phase]]] = {
    _P.NEW: frozenset({_P.STARTING, _P.RUNNING, _P.HELD, _P.STOPPING}),
    _P.STARTING: frozenset({
        _P.RUNNING, _P.UNSTARTED, _P.HELD, _P.SUSPENDING, _P.CLOSING, _P.ABORTING, _P.STOPPING,
    }),
    _P.UNSTARTED: frozenset({_P.HELD, _P.RETIRING, _P.STOPPING}),
    _P.RUNNING: frozenset({_P.CRASHED, _P.RETIRING, _P.DRAINING, _P.STOPPING}),
    _P.CRASHED: frozenset({_P.HELD, _P.RETIRING, _P.STOPPING}),
    _P.HELD: frozenset({_P.STARTING, _P.RUNNING, _P.HELD, _P.STOPPING}),
    _P.SUSPENDING: frozenset({_P.RETIRING, _P.HELD, _P.CLOSING, _P.ABORTING, _P.STOPPING}),
    _P.RETIRING: frozenset({_P.HELD, _P.STOPPING}),
    _P.CLOSING: frozenset({_P.ABORTING, _P.DRAINING, _P.HELD, _P.STOPPING}),
    _P.ABORTING: frozenset({_P.HELD, _P.STOPPING}),
    _P.DRAINING: frozenset({_P.HELD, _P.STOPPING}),
    _P.STOPPING: frozenset({_P.HELD, _P.STOPPING, _P.STOPPED}),
    _P.STOPPED: frozenset(),
}  # fmt: skip

NEXT_TO_END: Final = {
    _P.STARTING: _P.UNSTARTED, _P.RUNNING: _P.CRASHED, _P.SUSPENDING: _P.RETIRING,
    _P.CLOSING: _P.STOPPING, _P.ABORTING: _P.STOPPING, _P.DRAINING: _P.STOPPING,
}  # fmt: skip
"""The phase in which the children end and the hooks run, for each phase from which a failure leads there."""
ENDING: Final = frozenset(NEXT_TO_END.values())
ON_START: Final = frozenset({_P.STARTING, _P.SUSPENDING, _P.CLOSING, _P.ABORTING})
"""Phases in which `on_start` may run."""

_STATES: Final = (
    *3 * (ActorState.STARTING,), *2 * (ActorState.RUNNING,), *3 * (ActorState.RESTARTING,),
    *4 * (ActorState.STOPPING,), ActorState.STOPPED,
)  # fmt: skip


def state_of(phase: Phase, incarnation: int) -> ActorState:
    """Return the phase as users see it: whatever comes before `RUNNING` in a later incarnation is a restart."""
    return ActorState.RESTARTING if phase < Phase.RUNNING and incarnation > 1 else _STATES[phase]
