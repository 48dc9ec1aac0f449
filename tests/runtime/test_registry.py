"""`actors.ActorRegistry`: Pykka's registry over the default systems; see test_pykka_compat.py for what both share."""

from __future__ import annotations

import asyncio
from functools import partial

import pykka

from actors.runtime.background_loop import background_system
from actors.runtime.registry import ActorRegistry
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from tests.support.actors import Echo


def test_the_registries_of_the_two_kinds_are_apart(background: None) -> None:
    ref = Echo.start()
    system = background_system()
    assert pykka.ActorRegistry.get_all() == []
    assert system.get_by_urn(ref.actor_urn) == ref
    assert system.get_by_class(Echo) == system.get_by_class_name("Echo") == [ref]
    assert ActorRegistry.get_all() == [ref]
    ref.stop()
    assert system.get_by_urn(ref.actor_urn) is None


def test_the_registry_knows_children_and_the_class_behind_a_factory_and_stops_supervisors_first(
    background: None,
) -> None:
    spec = ChildSpec(partial(Echo, 1), name="child", restart="permanent")
    supervisor = Supervisor.start([spec], intensity=RestartIntensity(limit=0, period=1))
    (child,) = ActorRegistry.get_by_class(Echo)
    assert (child.name, child.actor_class) == ("child", Echo)
    assert ActorRegistry.stop_all() == [True]
    assert not supervisor.is_alive()
    assert not child.is_alive()


async def test_on_a_loop_the_registry_stops_without_blocking_it() -> None:
    refs = [Echo.start(), Echo.start()]
    assert ActorRegistry.get_all() == refs
    assert await asyncio.gather(*ActorRegistry.stop_all()) == [True, True]
