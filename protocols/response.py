"""Answers of teams: one response per member, and the list of them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Generic, TypeVar

from protocols.errors import error_text
from protocols.json_value import JsonValue
from protocols.messages import ChatMessage

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class AgentResponse(JsonValue, Generic[T_co], frozen=True):
    """What one member of a team answered, or why it did not."""

    agent_name: str
    """Name of the member."""
    message: ChatMessage[T_co] | None
    """The answer; None when the member failed."""
    timing: float | None = None
    """Seconds of wall clock the member took."""
    error: str | None = None
    """Text of the failure; None when the member succeeded."""

    @property
    def success(self) -> bool:
        """Whether the member answered."""
        return self.error is None

    @property
    def response(self) -> T_co | None:
        """Content of the answer; None when the member failed."""
        return self.message.content if self.message is not None else None


class TeamResponse(list[AgentResponse[T]], Generic[T]):
    """The answers of a team: a list of the successes (`responses`), and the failures by member.

    Example:
        >>> answer = ChatMessage("done", "assistant", name="a")
        >>> response = TeamResponse([AgentResponse("a", answer)], errors={"b": ValueError("no")})
        >>> len(response), response.success, response.failed_agents
        (1, False, ['b'])
    """

    def __init__(
        self,
        responses: Iterable[AgentResponse[T]] = (),
        start_time: datetime | None = None,
        errors: Mapping[str, Exception] | None = None,
    ) -> None:
        super().__init__(responses)
        self.end_time = datetime.now(UTC)
        """When the last member had finished: the moment this object was made."""
        self.start_time = start_time or self.end_time
        """When the execution began."""
        self.errors: dict[str, Exception] = dict(errors or {})
        """Exceptions of the members that failed, by name."""

    @property
    def duration(self) -> float:
        """Seconds from the start of the execution to its end."""
        return (self.end_time - self.start_time).total_seconds()

    @property
    def success(self) -> bool:
        """Whether no member failed."""
        return not self.errors

    @property
    def failed_agents(self) -> list[str]:
        """Names of the members that failed."""
        return list(self.errors)

    def by_agent(self, name: str) -> AgentResponse[T] | None:
        """Return the response of one member, with `error` set if it failed; None for an unknown name."""
        for response in self:
            if response.agent_name == name:
                return response
        error = self.errors.get(name)
        return None if error is None else AgentResponse(name, None, error=error_text(error))

    def format_durations(self) -> str:
        """Render the time of every member and of the whole in one line."""
        parts = [f"{item.agent_name}: {item.timing:.2f} s" for item in self if item.timing is not None]
        return ", ".join([*parts, f"total: {self.duration:.2f} s"])

    def to_chat_message(self) -> ChatMessage[str]:
        """Merge the answers into one message of blocks ``[name]: content`` separated by empty lines."""
        answered = [(item.agent_name, item.message) for item in self if item.message is not None]
        return ChatMessage(
            "\n\n".join(f"[{name}]: {message.text}" for name, message in answered),
            "assistant",
            associated_messages=tuple(message for _, message in answered),
            metadata={
                "type": "team_response",
                "agents": [item.agent_name for item in self],
                "duration": self.duration,
                "success_count": sum(item.success for item in self),
            },
        )
