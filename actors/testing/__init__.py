"""Test kit, for users and for our own tests: probes, clocks, models, networks, seeded schedules, leaks, a bad provider.

The fixtures are an opt-in plugin: ``pytest_plugins = ["actors.testing.fixtures"]``. Nothing here waits for time. The
replies of a provider on a bad day are functions of `faults`.
"""

from actors.testing import faults
from actors.testing.clock import ManualClock
from actors.testing.hostile_server import HostileServer, RecordedRequest, Response
from actors.testing.leak import Census
from actors.testing.models import (
    ModelCall,
    RecordingModel,
    SlowModel,
    echo_model,
    failing_model,
    scripted_model,
    served_model,
    slow_model,
    tool_call,
)
from actors.testing.network import SimulatedNetwork
from actors.testing.openai_answer import Answer
from actors.testing.probe import TestProbe
from actors.testing.scheduler import DeterministicDispatcher, explore
from actors.testing.settle import settle

__all__ = [
    "Answer", "Census", "DeterministicDispatcher", "HostileServer", "ManualClock", "ModelCall", "RecordedRequest",
    "RecordingModel", "Response", "SimulatedNetwork", "SlowModel", "TestProbe", "echo_model", "explore",
    "failing_model", "faults", "scripted_model", "served_model", "settle", "slow_model", "tool_call",
]  # fmt: skip
