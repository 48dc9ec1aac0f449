"""Models for tests: scripted, failing, slow and echoing.

All are real pydantic-ai models: they run on the event loop without a thread, stream, and report usage. Each keeps its
requests in `requests`, so that a test can read what a node sent. No model sleeps: a slow model waits for an event that
the test sets.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, infer_model, override_allow_model_requests
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.providers import infer_provider_class
from pydantic_core import to_json

from actors.prompts.content import prompt_text
from actors.testing.hostile_server import HostileServer

Answer = str | BaseModel | dict[str, object] | ModelResponse | BaseException
"""A text, values for the structured output, a complete response, or an exception to raise."""

_CHUNK = re.compile(r"\S+\s*|\s+")

Respond = Callable[["ModelCall"], Awaitable[Answer]]


@dataclass(frozen=True)
class ModelCall:
    """One request to a model."""

    messages: Sequence[ModelMessage]
    """The whole conversation."""
    info: AgentInfo
    """Tools, output types and settings of the request."""
    streamed: bool
    """True if the request asks for a stream."""

    @property
    def prompt(self) -> str:
        """The text of the last user prompt."""
        parts = (part for one in reversed(self.messages) if isinstance(one, ModelRequest) for part in one.parts)
        return next((prompt_text(part.content) for part in parts if isinstance(part, UserPromptPart)), "")

    @property
    def instructions(self) -> str:
        """The instructions of the request; may be empty."""
        return self.info.instructions or ""


class RecordingModel(FunctionModel):
    """A model whose answers come from an async function of the request."""

    def __init__(self, respond: Respond, *, name: str = "recording") -> None:
        self.requests: list[ModelCall] = []
        """All requests, oldest first, failed requests included."""
        self._respond = respond
        super().__init__(self._answer, stream_function=self._stream, model_name=name)

    @property
    def prompts(self) -> list[str]:
        """The texts of all prompts."""
        return [call.prompt for call in self.requests]

    async def _answer(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return await self._next(ModelCall(tuple(messages), info, streamed=False))

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        response = await self._next(ModelCall(tuple(messages), info, streamed=True))
        for index, part in enumerate(response.parts):
            if isinstance(part, ToolCallPart):
                yield {index: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}
            elif isinstance(part, TextPart):
                for chunk in _CHUNK.findall(part.content) or [""]:
                    yield chunk

    async def _next(self, call: ModelCall) -> ModelResponse:
        self.requests.append(call)
        answer = await self._respond(call)
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, ModelResponse) else ModelResponse([_part(answer, call.info)])


def scripted_model(answers: Iterable[Answer], *, name: str = "scripted") -> RecordingModel:
    """Return a model that gives *answers* one by one, and raises the exceptions among them.

    A request too many raises AssertionError.

    Raises:
        TypeError: *answers* is one text.
    """
    if isinstance(answers, str):
        raise TypeError(f"model {name!r} needs a list of answers, not the text {answers!r}; write [{answers!r}]")
    script = list(answers)

    async def respond(call: ModelCall) -> Answer:
        place = len(model.requests) - 1
        if place >= len(script):
            return AssertionError(f"model {name!r} has {len(script)} answer(s) and was asked again: {call.prompt!r}")
        return script[place]

    model = RecordingModel(respond, name=name)
    return model


def failing_model(
    error: BaseException, *, times: int | None = None, then: Answer = "recovered", name: str = "failing"
) -> RecordingModel:
    """Return a model that raises *error* for the first *times* requests (None: always), and then answers *then*."""

    async def respond(call: ModelCall) -> Answer:
        return error if times is None or len(model.requests) <= times else then

    model = RecordingModel(respond, name=name)
    return model


def slow_model(release: asyncio.Event, answer: Answer | None = None, *, name: str = "slow") -> "SlowModel":
    """Return a model that answers when *release* is set; without an *answer* it repeats the prompt."""
    return SlowModel(release, answer, name=name)


def echo_model(template: str = "{prompt}", *, name: str = "echo") -> RecordingModel:
    """Return a model that repeats its prompt, or fills *template*, which may name ``prompt`` and ``instructions``."""

    async def respond(call: ModelCall) -> Answer:
        return template.format(prompt=call.prompt, instructions=call.instructions)

    return RecordingModel(respond, name=name)


class SlowModel(RecordingModel):
    """A model that waits for an event before it answers."""

    def __init__(self, release: asyncio.Event, answer: Answer | None, *, name: str) -> None:
        self.started = asyncio.Event()
        """Set when the first request has arrived."""
        self.waiting = 0
        """Number of waiting requests."""
        self.cancelled = 0
        """Number of requests that were cancelled while they waited."""
        self._release = release
        self._says = answer
        super().__init__(self._when_released, name=name)

    async def _when_released(self, call: ModelCall) -> Answer:
        self.started.set()
        self.waiting += 1
        try:
            await self._release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return call.prompt if self._says is None else self._says


@asynccontextmanager
async def served_model(
    server: HostileServer, name: str = "m", *, api: Literal["chat", "responses"] = "chat", key: str = "no-key"
) -> AsyncGenerator[Model]:
    """Yield pydantic-ai's model of OpenAI as a client of a server. Requests to models are allowed meanwhile.

    For a model that the code under test makes itself, set ``OPENAI_BASE_URL`` to the `url` of the server.
    """
    made: Any = infer_provider_class("openai")
    async with made(base_url=server.url, api_key=key) as provider:
        with override_allow_model_requests(True):
            yield infer_model(f"openai-{api}:{name}", provider_factory=lambda _: provider)


def tool_call(tool: str, /, **arguments: object) -> ModelResponse:
    """Return the answer that calls one tool, for `scripted_model`."""
    return ModelResponse([ToolCallPart(tool, dict(arguments))])


def _part(answer: str | BaseModel | dict[str, object], info: AgentInfo) -> ModelResponsePart:
    if isinstance(answer, str):
        return TextPart(answer)
    filled = to_json(answer).decode()
    return ToolCallPart(info.output_tools[0].name, filled) if info.output_tools else TextPart(filled)
