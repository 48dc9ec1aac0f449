"""How one actor is started: options beside the arguments of its constructor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from actors.runtime.mailbox import MailboxConfig

if TYPE_CHECKING:
    from actors.runtime.lifecycle import Cell


@dataclass(frozen=True, slots=True)
class StartOptions:
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
    """Whether the name is entered in the system; names of children are unique under their supervisor only."""

    def __post_init__(self) -> None:
        name = cast("object", self.name)
        if name is not None and not (isinstance(name, str) and name.strip()):
            msg = f"actor name must be a text that is not empty, got {name!r}"
            raise ValueError(msg)
        if self.start_timeout is not None:
            check_seconds("start_timeout", self.start_timeout)
        if self.max_concurrency is not None:
            check_count("max_concurrency", self.max_concurrency)
        if self.mailbox is not None:
            check_mailbox("mailbox", self.mailbox)


DEFAULT: Final = StartOptions()


@dataclass(frozen=True, slots=True)
class SystemConfig:
    """Limits and defaults of one actor system. All times in seconds."""

    ask_timeout: float = 30.0
    """Deadline of an ask that names none."""
    start_timeout: float = 30.0
    stop_timeout: float = 30.0
    """Time that a stop gives an actor before its handler is cancelled."""
    grace: float = 1.0
    """Time between the cancellation of a handler and its being cut loose."""
    mailbox: MailboxConfig = field(default_factory=MailboxConfig)
    dead_letters: int = 1_000
    """Dead letters that are remembered; older ones are only counted."""
    blocking_threads: int = 8
    """Most threads for handlers declared `blocking`."""
    stash: int = 1_000
    """Most messages that one actor may stash."""

    def __post_init__(self) -> None:
        for name in ("ask_timeout", "start_timeout", "stop_timeout", "grace"):
            check_seconds(name, getattr(self, name))
        for name in ("dead_letters", "blocking_threads", "stash"):
            check_count(name, getattr(self, name))
        check_mailbox("mailbox", self.mailbox)


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no time that can pass.

    Raises:
        ValueError: not a number, NaN, zero or negative.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        msg = f"{name} must be > 0 seconds, not {value!r}"
        raise ValueError(msg)


def check_count(name: str, value: object) -> None:
    """Refuse what is no whole number of at least 1.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        msg = f"{name} must be a whole number >= 1, not {value!r}"
        raise ValueError(msg)


def check_mailbox(name: str, value: object) -> None:
    """Refuse what is no `MailboxConfig`.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(value, MailboxConfig):
        msg = f"{name} must be a MailboxConfig, not {value!r}"
        raise ValueError(msg)  # noqa: TRY004 - every refused option is a ValueError
