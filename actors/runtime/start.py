"""How one actor is started: options beside the arguments of its constructor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actors.runtime.mailbox import MailboxConfig

if TYPE_CHECKING:
    from actors.runtime.incarnation import Cell


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
        if self.name is not None and not self.name.strip():
            msg = f"actor name must not be empty, got {self.name!r}"
            raise ValueError(msg)
        if self.start_timeout is not None and not self.start_timeout > 0:
            msg = f"start_timeout must be > 0 seconds, not {self.start_timeout!r}"
            raise ValueError(msg)
        if self.max_concurrency is not None and self.max_concurrency < 1:
            msg = f"max_concurrency must be >= 1, not {self.max_concurrency!r}"
            raise ValueError(msg)


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
            if not getattr(self, name) > 0:
                msg = f"{name} must be > 0 seconds, not {getattr(self, name)!r}"
                raise ValueError(msg)
        for name in ("dead_letters", "blocking_threads", "stash"):
            if getattr(self, name) < 1:
                msg = f"{name} must be >= 1, not {getattr(self, name)!r}"
                raise ValueError(msg)
