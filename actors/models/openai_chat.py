"""Read servers that speak the chat completions of OpenAI only nearly: what can be read is read."""

import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

from openai import AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import FinishReason, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings, OpenAIStreamedResponse
from pydantic_ai.profiles import DEFAULT_THINKING_TAGS
from pydantic_ai.usage import RequestUsage

from actors.models.byte_limit import LimitedBody, limit_response
from actors.models.failure import MALFORMED
from protocols.model_errors import StreamInterruptedError


class LenientChatModel(OpenAIChatModel):
    """A chat model that reads answers without ids, with arguments as objects, and thoughts cut at any place."""

    @classmethod
    def of(cls, model: OpenAIChatModel) -> "LenientChatModel":
        """Return a lenient model with the client and the settings of another one."""
        made = cls.__new__(cls)
        vars(made).update(vars(model))
        return made

    def _process_response(self, response: Any, **options: Any) -> ModelResponse:
        try:
            return super()._process_response(response, **options)
        except MALFORMED as error:
            raise _fault(self.model_name, error) from error

    def _validate_completion(self, response: ChatCompletion) -> Any:
        answer: Any = response
        choices: Any = answer.choices
        if not choices:
            told: object = getattr(answer, "error", None)
            problem = "has no choices" if told is None else f"is an error: {told}"
            raise UnexpectedModelBehavior(f"model {self.model_name!r}: the answer of its server {problem}")
        answer.id = str(answer.id or "")
        answer.object = "chat.completion"
        answer.model = answer.model or self.model_name
        _count(answer)
        for index, choice in enumerate(choices):
            choice.index = index
            _complete(choice.message)
        return super()._validate_completion(answer)

    async def _process_streamed_response(
        self,
        response: AsyncStream[ChatCompletionChunk],
        model_request_parameters: ModelRequestParameters,
        model_settings: OpenAIChatModelSettings | None = None,
    ) -> OpenAIStreamedResponse:
        body = limit_response(response.response)  # before its first piece is read
        try:
            made = await super()._process_streamed_response(response, model_request_parameters, model_settings)
        except MALFORMED as error:
            raise _fault(self.model_name, error) from error
        if isinstance(made, _LenientStream):
            made.body = body
        return made

    @property
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return _LenientStream


def _complete(message: Any) -> None:
    """Fill what a message of a server lacks."""
    message.role = "assistant"
    for call in message.tool_calls or ():
        call.id = str(call.id or "")  # pydantic_ai makes one for an empty id
        call.type = "function"
        call.function.arguments = _as_json(call.function.arguments)


def _count(answer: Any) -> None:
    """Fill the numbers that a server leaves out."""
    for name in ("prompt_tokens", "completion_tokens", "total_tokens") if answer.usage is not None else ():
        setattr(answer.usage, name, getattr(answer.usage, name, None) or 0)


def _as_json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments)


def _fault(model: str, error: Exception) -> UnexpectedModelBehavior:
    text = f"model {model!r}: its server sent a malformed answer: {type(error).__name__}: {error}"
    return UnexpectedModelBehavior(text)


@dataclass
class _LenientStream(OpenAIStreamedResponse):
    """A stream whose tags around thoughts may be cut, and whose tool calls may lack an index or share one."""

    body: LimitedBody | None = field(default=None, init=False)
    """What is read; None until it is known."""
    oddities: set[str] = field(default_factory=set[str], init=False)
    """What the server did that its protocol does not know, and that is clear all the same."""
    _is_thought: bool = field(default=False, init=False)
    _held: str = field(default="", init=False)
    """The end of the text so far that may be the start of a tag."""
    _latest: Choice | None = field(default=None, init=False)
    _places: dict[object, tuple[object, int]] = field(default_factory=dict[object, tuple[object, int]], init=False)
    """Id and place of the latest tool call of each index."""
    _begun: int = field(default=0, init=False)
    """Number of tool calls so far."""

    async def _get_event_iterator(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        try:
            async for event in super()._get_event_iterator():
                yield event
            for event in self._release():
                yield event
        except MALFORMED as error:
            raise _fault(self.model_name, error) from error

    def _missing_finish_reason(self) -> FinishReason:
        if self.body is not None and not self.body.is_done:  # HTTP knows no such end when the connection ends the body
            text = f"model {self.model_name!r}: the stream ended before its answer did, without a reason or '[DONE]'"
            raise StreamInterruptedError(text)
        self.oddities.add("'[DONE]' without a finish_reason")
        return super()._missing_finish_reason()

    def _map_usage(self, response: ChatCompletionChunk) -> RequestUsage:
        _count(response)
        return super()._map_usage(response)

    def _map_text_delta(self, choice: Choice) -> Iterator[ModelResponseStreamEvent]:
        self._latest, delta = choice, choice.delta
        if not isinstance(delta.content, str):
            yield from super()._map_text_delta(choice)
            return
        if delta.content and self._has_finish_reason and not choice.finish_reason:
            self.oddities.add("text after the finish_reason")
        for piece in self._pieces(delta.content):
            delta.content = piece
            yield from super()._map_text_delta(choice)
            setattr(delta, "annotations", None)  # noqa: B010 - an extra field, read once

    def _pieces(self, text: str) -> Iterator[str]:
        """Cut a text, so that a tag is a piece of its own. The start of a tag is held until its rest comes."""
        text, self._held = self._held + text, ""
        tags: tuple[str, str] = self._model_profile.get("thinking_tags", DEFAULT_THINKING_TAGS)
        while (tag := tags[self._is_thought]) in text:
            before, _, text = text.partition(tag)
            yield from (piece for piece in (before, tag) if piece)
            self._is_thought = not self._is_thought
        held = next(size for size in range(min(len(tag) - 1, len(text)), -1, -1) if text.endswith(tag[:size]))
        self._held = text[len(text) - held :]
        yield text[: len(text) - held]

    def _release(self) -> Iterator[ModelResponseStreamEvent]:
        """Pass on what is held: no tag came of it."""
        choice, held = self._latest, self._held
        if held and choice is not None:
            self._held, choice.delta.content = "", held
            yield from super()._map_text_delta(choice)

    def _map_tool_call_delta(self, choice: Choice) -> Iterator[ModelResponseStreamEvent]:
        if not choice.delta.tool_calls:
            return
        yield from self._release()
        for call in choice.delta.tool_calls:
            call.index = self._place(call)
            if call.function is not None and call.function.arguments is not None:
                call.function.arguments = _as_json(call.function.arguments)
        yield from super()._map_tool_call_delta(choice)

    def _place(self, call: Any) -> int:
        """Return the place of a tool call. A new id with a name begins another call, whatever the index."""
        named = call.function is not None and bool(call.function.name)
        known = self._places.get(call.index)
        if known is None or (named and (call.index is None or (call.id and call.id != known[0]))):
            self._begun += 1
            known = self._places[call.index] = (call.id, self._begun)
        return known[1]
