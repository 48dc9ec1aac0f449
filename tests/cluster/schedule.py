"""A node with a schedule in a simulated cluster: each second has one run, whoever dies, freezes or is drained."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

from actors import ActorSystem, delivery
from actors.app import trigger_service
from actors.config.load import parse_manifest
from actors.triggers.plan import plan_triggers
from actors.triggers.trigger import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cluster.laws import Ledger

TIMED = parse_manifest(
    """
allow_imports: [tests.cluster]
agents:
  t:
    durable: true
    type: callback
    callback: "tests.cluster.schedule:tick"
    triggers: [{type: time, name: cron, schedule: "* * * * * *", timezone: UTC, prompt: tick, make_up: all}]
"""
)


def tick(text: str) -> str:
    """Note a time of the schedule."""
    loop: Any = asyncio.get_running_loop()
    loop.process.cluster.ledger.finished.add(delivery().key)
    return text


async def _nothing(*_: object, **__: object) -> None:
    """Start no run."""


def planned(wall: Callable[[], float]) -> Any:
    """Have schedules go by a clock."""
    return mock.patch.object(trigger_service, "plan_triggers", partial(plan_triggers, wall=wall))


def inline(_: ActorSystem, function: Callable[..., Any]) -> Callable[..., Any]:
    """Take the place of `ActorSystem.in_thread`: no thread runs in a simulation."""

    async def call(*args: Any) -> Any:
        return function(*args)

    return call


def missed(ledger: Ledger) -> Iterator[str]:
    """Yield the times since the first one that have no run."""
    (settings,) = TIMED.nodes["t"].triggers
    id_of = Trigger(settings, _nothing, node="t").kept_id
    found = {id.hex() for (id,) in ledger.select("SELECT id FROM message WHERE mailbox = 'pool/t'")}
    now = ledger.database.now()
    times = {time for time in range(1_000, int(now)) if id_of(repr(float(time))) in found}
    if not times:
        yield "L9: the schedule never began"
    yield from (f"L9: {time} has no run" for time in range(min(times, default=int(now)), int(now)) if time not in times)
