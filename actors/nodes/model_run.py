"""Runs of a model: the only place that calls `pydantic_ai.Agent`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import pydantic_ai
from pydantic_ai.messages import ModelMessage, UserContent
from pydantic_ai.models import Model
from pydantic_ai.run import AgentRunResult, AgentRunResultEvent
from pydantic_ai.usage import UsageLimits

from actors.nodes.answer import message_of
from actors.nodes.history import History
from actors.nodes.models import default_model_name, resolve_model
from actors.nodes.prompts import load_user_content
from actors.nodes.request import EventSink, RunRequest
from protocols.messages import ChatMessage

_NO_LIMITS = UsageLimits(request_limit=None)


class ModelRun:
    """Answers by a model of pydantic_ai, and remembers what was said."""

    def __init__(
        self,
        agent: pydantic_ai.Agent[Any, Any],
        *,
        model: Model | str | None = None,
        deps: Any = None,
        usage_limits: UsageLimits | None = None,
        history: History | None = None,
    ) -> None:
        """Take the agent (without a model), the model, and what a run uses unless it says otherwise.

        Without a history every run starts anew.
        """
        self.agent = agent
        self.model = model
        self.deps = deps
        self.usage_limits = usage_limits or _NO_LIMITS
        self.history = history
        self._resolved: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Model]] = WeakKeyDictionary()

    async def answer(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[Any]:
        """Run the model once; on success the exchange joins the history, unless the run said not to."""
        started = perf_counter()
        result = await self._result(request, await self._prompt(request, asked))
        if self.history is not None and request.options.store_history is not False:
            self.history.add(result.new_messages())
        return message_of(result, request, asked, perf_counter() - started)

    async def _prompt(self, request: RunRequest, asked: ChatMessage[Any]) -> str | Sequence[UserContent]:
        notes = request.node.take_context()
        content: object = asked.content
        if isinstance(content, str) and not notes and content.strip():
            return content
        return await load_user_content([*notes, asked])

    async def _result(self, request: RunRequest, prompt: str | Sequence[UserContent]) -> AgentRunResult[Any]:
        keywords = self._keywords(request)
        if request.sink is None:
            return await self.agent.run(prompt, **keywords)
        return await self._streamed(prompt, keywords, request.sink)

    async def _streamed(
        self, prompt: str | Sequence[UserContent], keywords: dict[str, Any], sink: EventSink
    ) -> AgentRunResult[Any]:
        result: AgentRunResult[Any] | None = None
        async with self.agent.run_stream_events(prompt, **keywords) as events:
            async for event in events:
                if isinstance(event, AgentRunResultEvent):
                    result = event.result
                else:
                    await sink.put(event)
        assert result is not None, "a stream of events ends with its result"
        return result

    def _keywords(self, request: RunRequest) -> dict[str, Any]:
        options = request.options
        return {
            "model": self.resolve(options.model if options.model is not None else self.model, request.node.name),
            "message_history": self._history(request),
            "output_type": options.output_type,
            "deps": self.deps if options.deps is None else options.deps,
            "usage_limits": options.usage_limits or self.usage_limits,
            "usage": options.usage,
            "instructions": options.instructions,
            "toolsets": options.toolsets,
            "model_settings": options.model_settings,
            "conversation_id": request.conversation_id,
            "infer_name": False,
        }

    def _history(self, request: RunRequest) -> Sequence[ModelMessage] | None:
        if request.options.message_history is not None:
            return request.options.message_history
        return self.history.messages if self.history is not None else None

    def resolve(self, model: Model | str | None, node: str) -> Model:
        """Return the model for a name on the running loop; its client is shared by all runs there."""
        if isinstance(model, Model):
            return model
        name = default_model_name() if model is None else model
        known = self._resolved.setdefault(asyncio.get_running_loop(), {})
        found = known.get(name)
        if found is None:
            found = known[name] = resolve_model(name, node=node)
        return found
