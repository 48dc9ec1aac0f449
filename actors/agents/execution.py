"""How an agent answers: by a model (`ModelRun`), or by a function (`Callback`)."""

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from actors.agents.session_mailbox import AFTER_ALL
from actors.agents.sessions import Sessions
from actors.agents.settings import AgentSettings
from actors.runs.job import Job
from actors.runs.reconfigure import Reconfigure
from actors.runs.request import AddContext, Answer, RunRequest, Settle
from protocols.messages import ChatMessage
from protocols.session import OWN


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
    deps_type: Any = object
    """Type of the dependencies, as the agent was declared."""
    sessions: Sessions | None = None
    """What the agent remembers, by session. None for an agent that does not remember."""

    def answer(self, request: RunRequest, asked: ChatMessage[Any]) -> Answer:
        """Do the work of one run and return the complete answer. Raises what went wrong."""
        raise NotImplementedError

    @property
    def answer_type(self) -> Any:
        """Type of the answers, or an output specification. None if it is not known."""
        return None

    def models(self) -> Sequence[Model]:
        """Return the models that runs on the running event loop have used."""
        return ()

    def variant(self, settings: AgentSettings, model: Model | str | None, output_type: Any) -> "Execution":
        """Return an execution with the same tools, other settings and a memory of its own."""
        return self

    def forget(self, session: str) -> None:
        """Forget what is in memory of a session."""
        if self.sessions is not None:
            self.sessions.forget(session)

    def follow(self, before: "Execution") -> None:
        """Read the stored sessions as the execution does that this one replaces."""
        if self.sessions is not None and before.sessions is not None:
            self.sessions.load = before.sessions.load

    def message_key(self, message: object) -> Hashable:
        """Return whose memory a message uses: its turn comes after those that use the same one."""
        if self.sessions is None:
            return None
        if isinstance(message, RunRequest):
            return message.options.memory
        if isinstance(message, AddContext):
            return message.session or OWN
        return AFTER_ALL if isinstance(message, Settle | Reconfigure) else None

    def job_problem(self, job: Job[Any], agent: str, model: Model | str | None) -> str | None:
        """Return why the agent cannot do a job with a model. None if nothing is known against it."""
        return None

    def answer_problem(self, job: Job[Any], agent: str) -> str | None:
        """Return why the answers cannot be what a job requires. None if nothing is known against them."""
        return None
