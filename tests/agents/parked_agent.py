"""An agent whose model calls the tool `delete` for each name in the prompt, and what such a test looks at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.tools import Tool
from pydantic_ai.usage import RequestUsage

from actors.agents.agent import Agent
from actors.testing.models import ModelCall, RecordingModel
from actors.testing.settle import settle

if TYPE_CHECKING:
    pass

AnyRun = "asyncio.Task[ChatMessage[Any]]"


def deleting_model(**tools: str) -> RecordingModel:
    """Return a model that calls `delete` for each name behind the word, and then says what it was told."""

    async def respond(call: ModelCall) -> ModelResponse:
        await asyncio.sleep(0)
        usage = RequestUsage(input_tokens=90, output_tokens=10)
        last = call.messages[-1].parts
        told = [str(part.content) for part in last if isinstance(part, ToolReturnPart) and part.outcome != "retried"]
        word, *names = call.prompt.split()
        if told or not (word == "delete" or word in tools):
            return ModelResponse([TextPart("; ".join(told) or f"said {call.prompt}")], usage=usage)
        calls: list[Any] = [
            ToolCallPart("look" if name == "around" else tools.get(word, "delete"), {"name": name}, f"call-{name}")
            for name in names
        ]
        return ModelResponse(calls, usage=usage)

    return RecordingModel(respond)


class Files:
    """The tools of the agent, and what they did."""

    def __init__(self) -> None:
        self.deleted: list[str] = []
        self.looks = 0

    async def delete(self, name: str) -> str:
        """Delete a file."""
        self.deleted.append(name)
        return f"{name} is gone"

    async def look(self, name: str) -> str:
        """Look without asking."""
        self.looks += 1
        return f"seen {name}"


def parked_agent(files: Files, name: str = "clerk", **settings: Any) -> Agent[Any, Any]:
    tools = [Tool(files.delete, requires_approval=True), files.look]
    keywords: Any = {"model": deleting_model(), "tools": tools, **settings}
    return Agent(name, **keywords)


async def begun(node: Any, prompt: str, **options: Any) -> Any:
    """Begin a run, and return its task when everything rests."""
    run = asyncio.ensure_future(node.run(prompt, **options))
    await settle()
    return run


def run_of(agent: Agent[Any, Any], place: int = 0) -> str:
    return agent.pending()[place].run_id
