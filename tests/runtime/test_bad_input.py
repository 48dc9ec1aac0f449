"""What makes no sense is refused where it is written, says what was given, and leaves nothing half-started."""

from __future__ import annotations

import asyncio
from math import nan
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions, SystemConfig
from protocols.control import StopMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.system import ActorSystem


class Does(AsyncioActor):
    """Does what its messages say."""

    async def on_receive(self, message: Any) -> Any:
        """Call the message with this actor."""
        return message(self)

    @staticmethod
    def call(verb: str, other: object) -> Callable[[Does], Any]:
        """Return the message that makes the actor call a method of its own."""
        return lambda actor: getattr(actor, verb)(other)


def alive(_actor: Does) -> str:
    """Show that messages are handled."""
    return "alive"


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (StartOptions, {"name": 3}, "actor name must be a text that is not empty, not 3"),
        (StartOptions, {"name": b"x"}, "actor name must be a text"),
        (StartOptions, {"start_timeout": "1"}, "start_timeout must be seconds > 0, not '1'"),
        (StartOptions, {"start_timeout": nan}, "start_timeout must be seconds > 0, not nan"),
        (StartOptions, {"max_concurrency": "2"}, "max_concurrency must be a whole number >= 1, not '2'"),
        (StartOptions, {"max_concurrency": True}, "max_concurrency must be a whole number >= 1, not True"),
        (StartOptions, {"mailbox": 100}, "mailbox must be a MailboxConfig, not 100"),
        (SystemConfig, {"ask_timeout": None}, "ask_timeout must be seconds > 0, not None"),
        (SystemConfig, {"grace": nan}, "grace must be seconds > 0, not nan"),
        (SystemConfig, {"dead_letters": 1.5}, "dead_letters must be a whole number >= 1, not 1.5"),
        (SystemConfig, {"mailbox": "big"}, "mailbox must be a MailboxConfig, not 'big'"),
        (MailboxConfig, {"priority": 3}, "mailbox priority must be a function of the message, not 3"),
        (MailboxConfig, {"key": "id", "overflow": "coalesce"}, "mailbox key must be a function of the message"),
        (MailboxConfig, {"starvation_bound": 1.5}, "starvation_bound must be a whole number >= 1, not 1.5"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_what_was_given(
    kind: Any, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        kind(**options)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"mailbox": 5}, "Odd.mailbox must be a MailboxConfig, not 5"),
        ({"max_concurrency": 0}, "Odd.max_concurrency must be a whole number >= 1, not 0"),
        ({"max_concurrency": -1}, "Odd.max_concurrency must be a whole number >= 1, not -1"),
        ({"ask_timeout": -1}, "Odd.ask_timeout must be seconds > 0, not -1"),
    ],
)
async def test_a_class_that_says_nonsense_about_itself_is_not_started(
    actor_system: ActorSystem, attributes: dict[str, Any], told: str
) -> None:
    kind = type("Odd", (Does,), attributes)
    with pytest.raises(ValueError, match=told):
        actor_system.start(kind, name="odd")

    assert actor_system.get("odd") is None
    assert actor_system.tree() == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout": -1}, "seconds >= 0, or None to wait for ever, not -1"),
        ({"timeout": nan}, "not nan"),
        ({"timeout": "5"}, "not '5'"),
        ({"mode": "sometimes"}, "stop mode must be 'drain' or 'now', not 'sometimes'"),
    ],
)
async def test_a_stop_that_makes_no_sense_stops_nothing(
    actor_system: ActorSystem, options: dict[str, Any], told: str
) -> None:
    ref = actor_system.start(Does)
    with pytest.raises(ValueError, match=told):
        ref.stop(**options)
    with pytest.raises(ValueError, match=told):
        await actor_system.stop_all(**options)
    if "timeout" in options:
        with pytest.raises(ValueError, match=told):
            await actor_system.close(**options)

    assert not actor_system.is_closing
    assert await ref.ask(alive) == "alive"


@pytest.mark.parametrize("other", ["x", None, 3, AsyncioActor])
@pytest.mark.parametrize("verb", ["watch", "unwatch", "link"])
async def test_only_actors_can_be_watched_or_linked(actor_system: ActorSystem, verb: str, other: object) -> None:
    ref = actor_system.start(Does)
    with pytest.raises(TypeError, match="is no actor ref; give what `start` returned"):
        await ref.ask(Does.call(verb, other))


@pytest.mark.parametrize("target", [3, None, "print"])
async def test_only_refs_and_functions_can_subscribe(actor_system: ActorSystem, target: object) -> None:
    with pytest.raises(TypeError, match="is no ActorRef and no function of one event"):
        actor_system.events.subscribe(target)


async def test_an_ask_that_makes_no_sense_is_not_sent(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Does)
    for timeout in (-1, nan, "5", True):
        wrong: Any = timeout
        with pytest.raises(ValueError, match="seconds >= 0, or None"):
            ref.ask(alive, timeout=wrong)
    await asyncio.sleep(0)

    assert actor_system.tree()[0].accepted == 0


def test_stop_modes_go_by_their_words() -> None:
    assert StopMode("drain") is StopMode.DRAIN
