"""Log lines and events of a crash name the actor, the run, and what the sender had bound."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from structlog.contextvars import bound_contextvars

from actors.runtime.actor import AsyncioActor
from actors.testing import settle
from protocols.events import ActorCrashed

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


class Order:
    """A message that belongs to a run."""

    def __init__(self, run_id: object) -> None:
        self._run_id = run_id

    @property
    def run_id(self) -> object:
        """The run, or an error."""
        if isinstance(self._run_id, BaseException):
            raise self._run_id
        return self._run_id


class Breaks(AsyncioActor):
    """Raises on every message."""

    def on_receive(self, message: object) -> None:
        """Raise."""
        raise ValueError("broken")


async def line_about(system: ActorSystem, caplog: pytest.LogCaptureFixture, message: object) -> Any:
    """Return the log line of a crash on this message."""
    with caplog.at_level(logging.ERROR, logger="understage"):
        system.start(Breaks, name="breaks").tell(message)
        await settle()
    (record,) = [record for record in caplog.records if record.message.startswith("actor crashed: ")]
    return record


async def test_the_line_and_the_event_of_a_crash_name_actor_and_run(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[ActorCrashed] = []
    actor_system.events.subscribe(events.append, [ActorCrashed])
    line = await line_about(actor_system, caplog, Order("run-7"))

    assert (line.actor, line.run_id, line.message_type) == ("breaks", "run-7", "Order")
    assert "actor breaks, error ValueError: broken" in line.message
    assert "run_id run-7" in line.message
    assert [(event.actor, event.run_id) for event in events] == [("breaks", "run-7")]


@pytest.mark.parametrize("run_id", [None, 7, "", RuntimeError("no run"), SystemExit()])
async def test_a_message_without_a_run_is_reported_without_one(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture, run_id: object
) -> None:
    line = await line_about(actor_system, caplog, Order(run_id))

    assert line.actor == "breaks"
    assert not hasattr(line, "run_id")


async def test_what_the_sender_had_bound_is_in_the_line_but_never_replaces_what_the_engine_says(
    actor_system: ActorSystem, caplog: pytest.LogCaptureFixture
) -> None:
    with bound_contextvars(
        tenant="north", actor="somebody", error="none", system="other", now=3, name="x", message="y"
    ):
        line = await line_about(actor_system, caplog, "message")

    assert (line.tenant, line.actor, line.error) == ("north", "breaks", "ValueError: broken")
