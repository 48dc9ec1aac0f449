"""`Transcript`: what one run of a team has produced so far."""

from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from actors.nodes.handoff import Handoff
from protocols.messages import ChatMessage
from protocols.response import AgentResponse, TeamResponse


class Transcript:
    """Answers and failures of the members in one run. Only that run's handlers write it."""

    __slots__ = ("errors", "handoff", "responses", "start_time", "started", "step")

    def __init__(self, handoff: Handoff | None = None) -> None:
        self.start_time = datetime.now(UTC)
        self.started = perf_counter()
        self.responses: list[AgentResponse[Any]] = []
        """Successes in the order in which they came."""
        self.errors: dict[str, Exception] = {}
        """Failures by member."""
        self.step = ""
        """Member that works now, or was the last to; only for chains."""
        self.handoff = handoff
        """Who is given every answer while the run goes on."""

    def passed(self, name: str, answer: ChatMessage[Any], seconds: float) -> AgentResponse[Any]:
        """Note an answer."""
        response = AgentResponse(name, answer, seconds)
        self.responses.append(response)
        return response

    def failed(self, name: str, error: Exception) -> None:
        """Note a failure."""
        self.errors[name] = error

    @property
    def answers(self) -> list[ChatMessage[Any]]:
        """The answers in the order in which they came."""
        return [response.message for response in self.responses if response.message is not None]

    @property
    def error_texts(self) -> dict[str, str]:
        """Text of every failure, by member."""
        return {name: str(error) or type(error).__name__ for name, error in self.errors.items()}

    def response(self) -> TeamResponse[Any]:
        """Return what there is as the answer of `execute`."""
        return TeamResponse(self.responses, self.start_time, self.errors)
