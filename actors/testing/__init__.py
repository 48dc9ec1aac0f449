"""Test kit, for users and for our own tests: probes, settle, manual clock, seeded schedules, leaks, a hostile server.

The fixtures are an opt-in plugin: ``pytest_plugins = ["actors.testing.fixtures"]``. Nothing here waits for time.
"""

from actors.testing.clock import ManualClock
from actors.testing.hostile_server import HostileServer, RecordedRequest, Response
from actors.testing.leak import Census
from actors.testing.openai_answer import Answer
from actors.testing.probe import TestProbe
from actors.testing.scheduler import DeterministicDispatcher, explore
from actors.testing.settle import settle

__all__ = [
    "Answer", "Census", "DeterministicDispatcher", "HostileServer", "ManualClock", "RecordedRequest", "Response",
    "TestProbe", "explore", "settle",
]  # fmt: skip
