"""Options of the start of an actor, and of a system."""

import math
from typing import Final, cast

import msgspec

from actors.runtime.cell import Cell
from actors.runtime.mailbox import MailboxConfig
from protocols.checks import NAME, SECONDS, Checks, check_fields, check_values, instance_of, whole

_MAILBOX = instance_of("a MailboxConfig", MailboxConfig)
_START: Final[Checks] = {"name": NAME, "mailbox": _MAILBOX, "start_timeout": SECONDS, "max_concurrency": whole(1)}
_CLASS: Final[Checks] = {"mailbox": _MAILBOX, "ask_timeout": SECONDS, "max_concurrency": whole(1)}
_SYSTEM: Final[Checks] = {
    **dict.fromkeys(("ask_timeout", "start_timeout", "stop_timeout", "grace"), SECONDS),
    **dict.fromkeys(("dead_letters", "blocking_threads", "stash"), whole(1)),
    "mailbox": _MAILBOX,
}


class StartOptions(msgspec.Struct, frozen=True):
    """Options of one start; None means that of the actor class, else that of the system."""

    name: str | None = None
    """Unique among the living actors of the system; actors without a name are called after their class."""
    mailbox: MailboxConfig | None = None
    start_timeout: float | None = None
    """Seconds that `on_start` may take."""
    max_concurrency: int | None = None
    """Messages that are handled at the same time; more than 1 makes the actor reentrant."""
    parent: Cell | None = None
    """The supervisor."""
    is_registered: bool = True
    """True if the name is entered in the system; names of children are unique under their supervisor only."""

    def __post_init__(self) -> None:
        check_fields(_START, self, lambda _, problem: ValueError(f"actor {problem}"))


DEFAULT: Final = StartOptions()


class SystemConfig(msgspec.Struct, frozen=True):
    """Limits and defaults of one actor system. All times in seconds."""

    ask_timeout: float = 30.0
    """Deadline of an ask that names none."""
    start_timeout: float = 30.0
    stop_timeout: float = 30.0
    """Time that a stop gives an actor before its handler is cancelled."""
    grace: float = 1.0
    """Time between the cancellation of a handler and its being cut loose."""
    mailbox: MailboxConfig = msgspec.field(default_factory=MailboxConfig)
    dead_letters: int = 1_000
    """Dead letters that are remembered, 32 MiB at most; older ones are only counted."""
    blocking_threads: int = 8
    """Most threads for handlers declared `blocking`."""
    stash: int = 1_000
    """Most messages that one actor may stash."""

    def __post_init__(self) -> None:
        check_fields(_SYSTEM, self, never_none=_SYSTEM)


def check_class(kind: object) -> None:
    """Refuse an impossible option of an actor class, before anything has started.

    Raises:
        ValueError: names class, option and value.
    """
    name = getattr(kind, "__name__", "actor")
    given = {option: getattr(kind, option, None) for option in _CLASS}
    check_values(_CLASS, given, lambda _, problem: ValueError(f"{name}.{problem}"))


def check_timeout(timeout: float | None, what: str = "timeout", never: str = ", or None to wait for ever") -> None:
    """Refuse a timeout that is neither a length of time nor None.

    Raises:
        ValueError: negative or not a number.
    """
    given = 0.0 if timeout is None and never else cast("object", timeout)
    if isinstance(given, bool) or not isinstance(given, (int, float)) or math.isnan(given) or given < 0:
        raise ValueError(f"{what} must be seconds >= 0{never}, not {timeout!r}")
