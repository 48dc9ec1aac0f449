"""Runs of a node, as they are kept."""

from typing import Any

from actors import Agent
from actors.runs.request import NO_OPTIONS, RunOptions, RunRequest
from protocols.delivery_tracker import DeliveryTracker


def _same(text: str) -> str:
    return text


CLERK: Any = Agent.from_callback(_same, name="clerk")


def request(*prompts: Any, **options: Any) -> RunRequest:
    """Return a run of the clerk."""
    given = RunOptions(**options) if options else NO_OPTIONS
    return RunRequest(CLERK, prompts, "1" * 32, "c1", DeliveryTracker(), given, "2" * 32, 3)
