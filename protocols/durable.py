"""`Durable`: how a node, or an actor, keeps what it has accepted until it has handled it."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Protocol, runtime_checkable

import msgspec

from protocols.checks import FLAG, POSITIVE, Check, check_fields, choice, declared_checks, list_of, whole
from protocols.errors import ConfigError, limited_text
from protocols.journal import NotDurableError
from protocols.keywords import named_keywords

Order = Literal["loose", "strict"]
"""What later messages do while one waits to be delivered again: pass it, or wait for it."""

Placement = Literal["single", "anywhere"]
"""Where a node of a cluster lives: in one process at a time, or in each that asks it."""

_MESSAGES: Final = list_of(
    "classes made with msgspec.Struct", lambda one: isinstance(one, type) and issubclass(one, msgspec.Struct)
)


@named_keywords
@dataclass(frozen=True, init=False)
class Durable:
    """How a node keeps what it has accepted in the journal of its pool, until it has handled it.

    An actor names the classes of the messages that it keeps in the journal of its system, see `actors.ActorJournal`.

    Example:
        >>> Durable(retries=2, order="strict").backoff
        5.0
    """

    messages: Annotated[tuple[type[Any], ...], _MESSAGES]
    """What an actor keeps; empty for a node. In the journal the name of its class tells what a message is."""
    retries: Annotated[int, whole(0)]
    """How often a message whose run has failed is delivered again, before it is a dead letter."""
    backoff: Annotated[float, POSITIVE]
    """Seconds between the failure of a run and the next delivery."""
    order: Annotated[Order, choice("loose", "strict")]
    """``strict`` if later messages wait for one that is to be delivered again; ``loose`` if they pass it."""
    steps: Annotated[bool, FLAG]
    """True to keep finished requests to models and calls of tools, so that a run that is delivered again does not pay
    for them twice. An actor has none."""
    expires: Annotated[float | None, POSITIVE]
    """Seconds after its acceptance after which a message is not delivered any more. None for no limit."""

    def __init__(
        self,
        *messages: type[Any],
        retries: int = 0,
        backoff: float = 5.0,
        order: Order = "loose",
        steps: bool = True,
        expires: float | None = None,
    ) -> None:
        """Refuse impossible values. Raises ConfigError."""
        given = {"retries": retries, "backoff": backoff, "order": order, "steps": steps, "expires": expires}
        vars(self).update(given, messages=messages)
        never_none = ("retries", "backoff", "order", "steps")
        check_fields(_CHECKS, self, lambda _, problem: ConfigError(f"durable: {problem}"), never_none=never_none)
        if len({kind.__name__ for kind in messages}) < len(messages):
            raise ConfigError("durable: two messages have the same name, which the journal tells them by; rename one")
        if messages and not steps:
            raise ConfigError("durable: steps are those of agents, so it has no effect for messages of an actor")


_CHECKS: Any = declared_checks(Durable)
DURABLE = Check(
    "True, False or Durable(retries, backoff, order, steps, expires); only actors name messages",
    lambda given: isinstance(given, bool) or (isinstance(given, Durable) and not given.messages),
)


def durable_of(given: object) -> Durable | None:
    """Return what a setting that `DURABLE` accepts stands for: True is the usual, None and False are nothing."""
    if isinstance(given, Durable):
        return given
    return Durable() if given else None


@runtime_checkable
class Keeper(Protocol):
    """Keeps what the durable actors of one system accept, as the engine sees it."""

    async def open(self, system: Any) -> None:
        """Begin, as the system is entered. What has to be closed is added to the phases of `system.shutdown`."""

    def keep(self, cell: Any) -> None:
        """Have a durable actor that is being made keep its messages; does nothing for its later incarnations.

        Raises:
            NotDurableError: it cannot be durable; the error says what to do.
        """


def keeper_of(given: object) -> Keeper:
    """Return what a system is given as its journal; None is a system without one. Raises ConfigError for another."""
    if given is not None and not isinstance(given, Keeper):
        raise ConfigError(
            f"the journal of a system must be an ActorJournal(path), not {limited_text(repr, given, 200)}"
        )
    return NoJournal() if given is None else given


class NoJournal:
    """The `Keeper` of a system without a journal: it has no durable actors."""

    async def open(self, system: Any) -> None:
        """Do nothing."""

    def keep(self, cell: Any) -> None:
        """Refuse the actor."""
        text = f"actor {cell.name!r} is durable, but its system {cell.system.name!r} has no journal; start it in `async"
        raise NotDurableError(f"{text} with ActorSystem({cell.system.name!r}, journal=ActorJournal(path)) as system`")
