"""What a server of OpenAI's two APIs sends: chat completions and responses, whole or as server-sent events."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from actors.testing.hostile_server import RecordedRequest, Response

JSON: Final = {"content-type": "application/json"}
EVENTS: Final = {"content-type": "text/event-stream"}
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""What the responses API says for a finish reason of chat completions."""


@dataclass(frozen=True)
class Answer:
    """An answer in the API of the request, as a stream if that was asked for. It is a reply of a script."""

    text: str | None = "hello"
    calls: Sequence[tuple[str, Any]] = ()
    """Tool calls: name, and arguments as values or as the text that is sent."""
    finish: str | None = "stop"
    """Why the model stopped, in the words of chat completions; None says nothing."""
    usage: tuple[int, int] | None = (11, 7)
    """Tokens of the input and the output; None says nothing."""
    pieces: int = 4
    """Number of pieces into which a stream cuts the text."""

    def __call__(self, request: RecordedRequest) -> Response:
        """Return the response to a request."""
        if not request.is_stream:
            return json_response(self.response(request) if request.is_responses else self.completion(request))
        if request.is_responses:
            return Response([event(one, kind=one["type"]) for one in self.events(request)], 200, EVENTS, "chunked")
        return Response([*map(event, self.chunks(request)), event("[DONE]")], 200, EVENTS, "chunked")

    def completion(self, request: RecordedRequest) -> dict[str, Any]:
        """Return a whole chat completion."""
        calls = {"tool_calls": list(self._tool_calls(request))} if self.calls else {}
        message = {"role": "assistant", "content": self.text, **calls}
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        return {**_head(request, "chat.completion"), "choices": [choice], **self._usage()}

    def chunks(self, request: RecordedRequest) -> Iterator[dict[str, Any]]:
        """Yield the chunks of a chat completion."""
        base = _head(request, "chat.completion.chunk")

        def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

        yield chunk({"role": "assistant", "content": ""})
        yield from (chunk({"content": piece}) for piece in self._pieces())
        for index, call in enumerate(self._tool_calls(request)):
            text = call["function"]["arguments"]
            begun = {**call, "index": index, "function": {**call["function"], "arguments": text[: len(text) // 2]}}
            yield chunk({"tool_calls": [begun]})
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": text[len(text) // 2 :]}}]})
        if self._finish is not None:
            yield chunk({}, self._finish)
        if self.usage is not None:
            yield {**base, "choices": [], **self._usage()}

    def response(self, request: RecordedRequest, status: str | None = None) -> dict[str, Any]:
        """Return a whole response of the responses API."""
        reason = _INCOMPLETE.get(self.finish or "")
        status = status or ("in_progress" if self.finish is None else "incomplete" if reason else "completed")
        content = {"type": "output_text", "text": self.text, "annotations": list[Any]()}
        output: list[dict[str, Any]] = []
        if self.text is not None:
            item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed"}
            output.append({**item, "content": [content]})
        for index, call in enumerate(self._tool_calls(request)):
            item = {"type": "function_call", "id": f"f{index}", "call_id": call["id"], "status": "completed"}
            output.append({**item, **call["function"]})
        base = {**_head(request, "response"), "created_at": 1, "status": status, "error": None, "metadata": None}
        options = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": list[Any]()}
        details = {"incomplete_details": {"reason": reason} if reason else None, "usage": self._response_usage()}
        return {**base, **options, **details, "output": output}

    def events(self, request: RecordedRequest) -> Iterator[dict[str, Any]]:
        """Yield the events of the responses API."""
        numbers, whole = count(), self.response(request)

        def made(kind: str, **rest: Any) -> dict[str, Any]:
            return {"type": f"response.{kind}", "sequence_number": next(numbers), **rest}

        yield made("created", response={**whole, "status": "in_progress", "output": [], "usage": None})
        for index, item in enumerate(whole["output"]):
            place = {"output_index": index, "item_id": item["id"]}
            empty: dict[str, Any] = {"content": []} if item["type"] == "message" else {"arguments": ""}
            yield made("output_item.added", output_index=index, item={**item, **empty, "status": "in_progress"})
            if item["type"] == "message":
                part = {**item["content"][0], "text": ""}
                yield made("content_part.added", **place, content_index=0, part=part)
                for piece in self._pieces():
                    yield made("output_text.delta", **place, content_index=0, delta=piece, logprobs=[])
                yield made("output_text.done", **place, content_index=0, text=self.text, logprobs=[])
            else:
                yield made("function_call_arguments.delta", **place, delta=item["arguments"])
                done = {"arguments": item["arguments"], "name": item["name"]}
                yield made("function_call_arguments.done", **place, **done)
            yield made("output_item.done", output_index=index, item=item)
        if self.finish is not None:
            yield made(whole["status"], response=whole)

    @property
    def _finish(self) -> str | None:
        return "tool_calls" if self.calls and self.finish == "stop" else self.finish

    def _tool_calls(self, request: RecordedRequest) -> Iterator[dict[str, Any]]:
        for index, (name, arguments) in enumerate(self.calls):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            function = {"name": name, "arguments": text}
            yield {"id": f"call_{request.number}_{index}", "type": "function", "function": function}

    def _pieces(self) -> list[str]:
        text = self.text or ""
        size = max(1, -(-len(text) // self.pieces))
        return [text[at : at + size] for at in range(0, len(text), size)]

    def _usage(self) -> dict[str, Any]:
        if self.usage is None:
            return {}
        given, made = self.usage
        return {"usage": {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}}

    def _response_usage(self) -> dict[str, Any] | None:
        if self.usage is None:
            return None
        (given, made), cached, reasoning = self.usage, {"cached_tokens": 0}, {"reasoning_tokens": 0}
        tokens = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
        return {**tokens, "input_tokens_details": cached, "output_tokens_details": reasoning}


def event(data: Mapping[str, Any] | str, *, kind: str | None = None) -> bytes:
    """Return a server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {kind}\n" if kind else "").encode() + f"data: {text}\n\n".encode()


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a value as JSON."""
    return Response([json.dumps(body, ensure_ascii=False).encode()], status, {**JSON, **(headers or {})})


def _head(request: RecordedRequest, kind: str) -> dict[str, Any]:
    return {"id": f"answer_{request.number}", "object": kind, "created": 1, "model": request.model}
