"""What a type of trigger consists of, and what its sources are built from."""

import importlib.util
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from actors.config.trigger import TriggerSpec
from actors.runtime.mailbox import MailboxConfig
from actors.triggers.schedule.progress import ScheduleProgress
from actors.triggers.trigger import Trigger
from actors.triggers.webhook.replay_journal import ReplayJournal
from protocols.triggers import ConnectionFlow, RunKeeper, RunStarter, TriggerExtraError

S = TypeVar("S", bound=TriggerSpec)


@dataclass(frozen=True)
class TriggerRequest:
    """One trigger of a node."""

    node: str
    """Name of the node."""
    settings: TriggerSpec
    """The trigger of the manifest."""
    starter: RunStarter
    """Starts runs of the node."""
    flow: ConnectionFlow | None = None
    """For a connection trigger: tells what happens on connections."""
    condition: Callable[[Any], object] | None = None
    """For a connection trigger with a condition: a function of what `ConnectionFact.freeze` returned. It returns any
    truth value, or an awaitable of one."""
    keeper: RunKeeper | None = None
    """Keeps runs of the node while it is durable."""


@dataclass(frozen=True)
class TriggerChild:
    """One actor to be supervised. Children are equal when nothing about them has changed."""

    name: str
    """Unique among the children of a plan."""
    settings: tuple[TriggerSpec, ...]
    """The triggers that the actor serves."""
    triggers: tuple[Trigger, ...]
    """Their handles."""
    actor_class: Callable[..., Any] = field(compare=False, repr=False)
    args: tuple[Any, ...] = field(compare=False, repr=False)
    mailbox: MailboxConfig | None = field(default=None, compare=False, repr=False)
    backoff: float = 0.2
    """Seconds before the first restart."""
    site: Any = field(default=None, compare=False, repr=False)
    """Where the source listens, with a `url`; None for a source that does not listen."""

    def spec(self, **fields: Any) -> dict[str, Any]:
        """Return the fields of a `ChildSpec`: permanent, because a source that ends by itself has failed.

        Args:
            fields: further fields, such as ``backoff=Backoff(min=child.backoff)`` and ``shutdown``.
        """
        return {
            "actor_class": self.actor_class, "args": self.args, "name": self.name, "mailbox": self.mailbox,
            "restart": "permanent", **fields,
        }  # fmt: skip


@dataclass(frozen=True)
class SourceSpec:
    """How the source of one or several triggers is made."""

    actor_class: Callable[..., Any]
    """Makes the `TriggerSource`."""
    args: tuple[Any, ...] = ()
    """Arguments of the constructor."""
    name: str | None = None
    """Name of the actor; that of the trigger by default."""
    site: Any = None
    """Where the source listens, with a `url`."""


@dataclass(frozen=True)
class BuildContext:
    """What a type of trigger may look at to build its sources."""

    root: Path
    """Folder of the manifest."""
    wall: Callable[[], float]
    """The wall clock, in seconds since 1970 UTC."""
    journal: ReplayJournal | None
    """Keeps what webhooks have accepted."""
    progress: ScheduleProgress | None
    """Keeps how far cron lines have come."""
    requests: Mapping[str, TriggerRequest]
    """The requests of the plan, by the full name of the trigger."""
    previous: Sequence[TriggerChild]
    """The actors before a reload."""


@dataclass(frozen=True)
class TriggerType(Generic[S]):
    """One type of trigger: what a manifest says about it, and how its sources are built.

    See docs/add-a-trigger.md for a complete example.
    """

    spec: type[S]
    """The section of the manifest; its `type` holds the names of the type."""
    build: Callable[[Sequence[tuple[Trigger, S]], BuildContext], SourceSpec]
    """Returns the source of triggers that share one."""
    shared_by: Callable[[S, BuildContext], Hashable] | None = None
    """Triggers with the same value share a source; None for a source of its own for each trigger."""
    libraries: tuple[str, ...] = ()
    """Modules of the extra `triggers` that the source imports."""

    def require_libraries(self, name: str) -> None:
        """Check that the libraries are installed.

        Args:
            name: name of the type, for the error.

        Raises:
            TriggerExtraError: One is missing.
        """
        missing = [library for library in self.libraries if importlib.util.find_spec(library) is None]
        if missing:
            raise TriggerExtraError(
                f"a trigger of type {name!r} needs {', '.join(missing)}, which is not installed; "
                "install the extra: pip install 'understage[triggers]'"
            )
