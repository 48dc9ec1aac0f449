"""Words of the life of an actor: its states, why it ended, and what its watchers are told."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Never

import msgspec


class ActorState(StrEnum):
    """Where an actor is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """Between two incarnations: the ref is valid and the mailbox takes messages."""
    STOPPING = "stopping"
    STOPPED = "stopped"


class ExitReason(StrEnum):
    """Why an incarnation ended."""

    NORMAL = "normal"
    """It stopped by its own wish, or by that of anybody but its supervisor."""
    SHUTDOWN = "shutdown"
    """Its supervisor, or the end of the system, asked it to stop."""
    CRASH = "crash"
    KILLED = "killed"
    """It was ended without being asked."""
    IGNORE = "ignore"
    """`on_start` decided that there is nothing to run."""
    START_FAILED = "start_failed"
    ALREADY_DEAD = "already_dead"
    """Only for a watcher: the actor had ended before it was watched."""

    @property
    def is_abnormal(self) -> bool:
        """Whether a transient child is restarted after it."""
        return self in (ExitReason.CRASH, ExitReason.KILLED, ExitReason.START_FAILED)


class StopMode(StrEnum):
    """What becomes of the messages that wait when an actor is asked to stop."""

    DRAIN = "drain"
    """They are handled first."""
    NOW = "now"
    """They become dead letters; only the handler that runs may finish."""

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise ValueError(f"stop mode must be 'drain' or 'now', not {value!r}")


class DeadLetterReason(StrEnum):
    """Why a message was not handled."""

    STOPPED = "stopped"
    """The actor ended before it came to the message."""
    DEAD = "dead"
    """It was sent to an actor that had ended."""
    OVERFLOW = "overflow"
    EXPIRED = "expired"
    """Its deadline had passed."""
    CANCELLED = "cancelled"
    """The caller that waited for the answer was cancelled."""
    REJECTED = "rejected"
    """The handler refused the message and no caller waited for the answer."""
    UNHANDLED = "unhandled"
    FENCED = "fenced"
    """It was sent by a handler that had been cut loose."""
    FAILED = "failed"
    """The handler failed on the message and no caller waited for the answer."""
    HOPS = "hops"
    """It had been forwarded more often than the limit allows."""
    POISON = "poison"
    """The process died each time that the message was handled."""
    UNDECODABLE = "undecodable"
    """A kept message could not be read."""


class Resume(msgspec.Struct, frozen=True, eq=False):
    """Lets a parked handler continue, in the place of a message."""

    go_on: Callable[[], None]


class Terminated(msgspec.Struct, frozen=True):
    """Exactly one of these reaches each watcher of an actor when that actor ends for good."""

    ref: Any
    reason: ExitReason
    incarnation: int
    cause: BaseException | None = None
