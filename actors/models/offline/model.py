"""The model `offline`: it answers with sentences of its input, without key, network or language model.

In full:

* It reads the sources of the prompt: ``<document name="...">`` blocks (also those of earlier prompts of the
  conversation), answers of team members, results of tools. Without any it reads the prompt itself.
* It takes the most informative sentences of each source (`actors.models.offline.ranking`). It prefers sentences that
  the instructions and the question ask for: shared words, topics such as obligations, risks, dates
  (`actors.models.offline.topics`), and a number such as "three points" (`actors.models.offline.briefing`).
  Sources keep their names: ``- sentence [name]``.
* It fills structured output as `pydantic_ai.models.test.TestModel` does: the smallest value that the schema accepts.
* It calls a tool only if the question names the tool, once per question, with arguments filled in the same way.
* The same input gives the same answer. Responses say ``model_name="offline"``, ``provider_name="understage"``.
* Usage is an estimate: one token for every word and every punctuation mark.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage
from pydantic_core import to_json

from actors.models.offline.briefing import DEFAULT_SENTENCES, briefing
from actors.models.offline.conversation import Conversation
from actors.models.offline.sentences import PromptText, read
from actors.runtime.daemon_thread import in_daemon_thread
from actors.runtime.log import warn_once

MODEL_NAME = "offline"
SYSTEM = "understage"

_FORMATS = {
    "date-time": "2024-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT0S",
    "email": "offline@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
_THREAD_FROM = 200_000  # characters; longer input would block the event loop for more than 20 ms
_TOKEN = re.compile(r"\w+|[^\w\s]")
_CHUNK = re.compile(r"\S+\s*|\s+")
_PROFILE = ModelProfile(supports_json_schema_output=True, supports_json_object_output=True, supports_image_input=False)


class OfflineModel(Model):
    """A deterministic model without requirements; see the module for its rules.

    Example:
        >>> from pydantic_ai import Agent
        >>> agent = Agent(OfflineModel(), instructions="One sentence.")
        >>> agent.run_sync("Cats sleep for many hours of every single day. Good.").output
        'Cats sleep for many hours of every single day.'
    """

    def __init__(self, *, sentences: int = DEFAULT_SENTENCES, settings: ModelSettings | None = None) -> None:
        """Refuse a number of `sentences` per source that is not positive with a ValueError."""
        if sentences < 1:
            raise ValueError(f"offline model: sentences must be at least 1, not {sentences!r}")
        self.sentences = sentences
        """Sentences taken from each source unless the instructions say otherwise."""
        super().__init__(settings=settings, profile=_PROFILE)

    @property
    def model_name(self) -> str:
        """Always ``offline``."""
        return MODEL_NAME

    @property
    def system(self) -> str:
        """Always ``understage``."""
        return SYSTEM

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Answer at once."""
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts, usage = await self._answer(messages, parameters)
        return ModelResponse(
            parts=parts, usage=usage, model_name=MODEL_NAME, provider_name=SYSTEM, finish_reason="stop"
        )

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Answer word by word."""
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        parts, usage = await self._answer(messages, parameters)
        yield _OfflineStream(parameters, answer=parts, spent=usage)

    async def _answer(
        self, messages: Sequence[ModelMessage], parameters: ModelRequestParameters
    ) -> tuple[list[ModelResponsePart], RequestUsage]:
        conversation = Conversation.of(messages)
        if len(conversation.everything) >= _THREAD_FROM:
            return await in_daemon_thread(self._answer_now, conversation, parameters)
        return self._answer_now(conversation, parameters)

    def _answer_now(
        self, conversation: Conversation, parameters: ModelRequestParameters
    ) -> tuple[list[ModelResponsePart], RequestUsage]:
        parts = self._parts(conversation, parameters)
        return parts, RequestUsage(
            input_tokens=tokens(conversation.everything),
            output_tokens=sum(tokens(_written(part)) for part in parts),
            cost=Decimal(0),
        )

    def _parts(self, conversation: Conversation, parameters: ModelRequestParameters) -> list[ModelResponsePart]:
        reading = read(conversation.prompt)
        calls = _named_tools(reading, conversation, parameters)
        if calls:
            return [_call(tool) for tool in calls]
        schema = parameters.output_object
        if parameters.output_mode != "text":
            schemas = (
                [schema.json_schema] if schema else [tool.parameters_json_schema for tool in parameters.output_tools]
            )
            names = ", ".join(str(one.get("title", one.get("type"))) for one in schemas)
            warn_once(f"model 'offline' invents the values of structured output ({names}): it is not a language model")
        if parameters.output_mode in {"native", "prompted"} and schema is not None:
            return [TextPart(to_json(_filled(schema.json_schema)).decode())]
        if parameters.output_tools and not parameters.allow_text_output:
            return [_call(parameters.output_tools[0])]
        text = briefing(reading, conversation.instructions, self.sentences)
        return [TextPart("\n".join([text, *conversation.unreadable]).strip())]


def tokens(text: str) -> int:
    """Estimate the tokens of *text*: one for every word and every punctuation mark."""
    return sum(1 for _ in _TOKEN.finditer(text))


def _call(tool: ToolDefinition) -> ToolCallPart:
    return ToolCallPart(tool.name, _filled(tool.parameters_json_schema))


def _filled(schema: dict[str, Any]) -> Any:
    from pydantic_ai.models.test import TestModel  # takes 40 ms to load

    return TestModel().gen_tool_args(ToolDefinition(name="output", parameters_json_schema=_with_examples(schema)))


def _with_examples(schema: Any) -> Any:
    """Return the schema with an example for each text of a known format, because `TestModel` knows only dates."""
    if isinstance(schema, list):
        return [_with_examples(one) for one in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_examples(value) for key, value in cast("dict[str, Any]", schema).items()}
    example = _FORMATS.get(found["format"]) if isinstance(found.get("format"), str) else None
    return found if example is None else {"examples": [example], **found}


def _named_tools(
    reading: PromptText, conversation: Conversation, parameters: ModelRequestParameters
) -> list[ToolDefinition]:
    question = reading.question.replace("_", " ")
    return [
        tool
        for tool in parameters.function_tools
        if tool.name not in conversation.called
        and re.search(rf"\b{re.escape(tool.name.replace('_', ' '))}\b", question, re.IGNORECASE)
    ]


def _written(part: ModelResponsePart) -> str:
    if isinstance(part, ToolCallPart):
        return part.args_as_json_str()
    return part.content if isinstance(part, TextPart) else ""


class _StreamClosed(Exception):  # noqa: N818 - ends a cancelled stream; not a failure
    """The consumer cancelled the stream."""


@dataclass
class _OfflineStream(StreamedResponse):
    answer: list[ModelResponsePart] = field(default_factory=list[ModelResponsePart])
    spent: RequestUsage = field(default_factory=RequestUsage)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self._usage = self.spent
        self.finish_reason = "stop"

    @property
    def model_name(self) -> str:
        return MODEL_NAME

    @property
    def provider_name(self) -> str:
        return SYSTEM

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self.began

    async def close_stream(self) -> None:
        """Nothing is open."""

    def get_stream_cancel_errors(self) -> tuple[type[BaseException], ...]:
        return (_StreamClosed,)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for index, part in enumerate(self.answer):
            for event in self._events(index, part):
                yield event
                await asyncio.sleep(0)  # others may run between two words, as with a real stream
                if self.cancelled:
                    raise _StreamClosed

    def _events(self, index: int, part: ModelResponsePart) -> Iterator[ModelResponseStreamEvent]:
        if isinstance(part, ToolCallPart):
            yield self._parts_manager.handle_tool_call_part(
                vendor_part_id=index,
                tool_name=part.tool_name,
                args=part.args_as_json_str(),
                tool_call_id=part.tool_call_id,
            )
        elif isinstance(part, TextPart):
            for chunk in _CHUNK.findall(part.content) or [""]:
                yield from self._parts_manager.handle_text_delta(vendor_part_id=index, content=chunk)
