"""How an agent answers: by a model (`ModelRun`), or by a function (`Callback`)."""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from actors.agents.memory import Memory
from actors.agents.settings import AgentSettings
from actors.runs.job import Job
from actors.runs.request import Answer, RunRequest
from protocols.messages import ChatMessage


class Execution:
    """Answers the messages of one agent. The defaults are those of a function."""

    has_model: ClassVar[bool] = False
    """True if a model answers."""
    model: Model | str | None = None
    """The model or its name. None for the default model, and for a function."""
    tools: FunctionToolset[Any] | None = None
    """The agent's own tools. None for a function."""
    toolsets: Sequence[AbstractToolset[Any]] = ()
    """Further collections of tools, entered while the agent is open."""
    memory: Memory | None = None
    """What the agent remembers. None for an agent that does not remember."""

    def answer(self, request: RunRequest, asked: ChatMessage[Any]) -> Answer:
        """Do the work of one run and return the complete answer. Raises what went wrong."""
        raise NotImplementedError

    def variant(self, settings: AgentSettings, model: Model | str | None, output_type: Any) -> "Execution":
        """Return an execution with the same tools, other settings and a memory of its own."""
        return self

    def job_problem(self, job: Job[Any], agent: str, model: Model | str | None) -> str | None:
        """Return why the agent cannot do a job with a model. None if nothing is known against it."""
        return None

    def answer_problem(self, job: Job[Any], agent: str) -> str | None:
        """Return why the answers cannot be what a job requires. None if nothing is known against them."""
        return None
