"""How an agent does its work: by a model, or by a function."""

from typing import Any, Protocol

from actors.runs.request import RunRequest
from protocols.messages import ChatMessage


class Execution(Protocol):
    """Answers one message."""

    async def answer(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[Any]:
        """Do the work of one run and return the answer, complete; raise what went wrong."""
        ...
