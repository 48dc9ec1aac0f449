"""Agents on the manual clock of a test."""

from typing import Any

import pytest
from pydantic_ai.models import Model

from actors import Agent
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from tests.support.policy import Start


@pytest.fixture
def start(actor_system: ActorSystem, manual_clock: ManualClock) -> Start:
    """Start an agent on the manual clock."""

    def agent(model: Model, **settings: Any) -> Agent[Any, Any]:
        keywords: Any = {"timeout": None, **settings}
        made: Agent[Any, Any] = Agent("a", model=model, session=False, **keywords)
        actor_system.start(made.factory())
        return made

    return agent
