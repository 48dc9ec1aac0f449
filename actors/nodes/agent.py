"""`Agent`: one node that answers by a model, or by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import pydantic_ai

from actors.nodes.callback import Callback, callback_name
from actors.nodes.execution import Execution
from actors.nodes.handle import Deps, Out
from actors.nodes.history import History
from actors.nodes.model_run import ModelRun
from actors.nodes.node import MessageNode
from actors.nodes.node_actor import UNLIMITED
from actors.nodes.request import RunRequest
from protocols.messages import ChatMessage


class Agent(MessageNode[Deps, Out]):
    """A node that answers by a model, or by a function."""

    def __init__(
        self,
        name: str = "agent",
        *,
        model: Any = None,
        output_type: Any = str,
        system_prompt: str = "",
        execution: Execution | None = None,
        session: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        if execution is None:
            inner = pydantic_ai.Agent(output_type=output_type, instructions=system_prompt or None, name=name)
            execution = ModelRun(inner, model=model, history=None if session is False else History())
        self.execution = execution

    @classmethod
    def from_callback(cls, function: Callable[..., Any], *, name: str | None = None, blocking: bool = False) -> Self:
        return cls(name or callback_name(function), execution=Callback(function, blocking=blocking))

    @property
    def max_concurrency(self) -> int:
        return UNLIMITED if isinstance(self.execution, Callback) else 1

    async def execute(self, request: RunRequest, asked: ChatMessage[Any]) -> ChatMessage[Any]:
        return await self.execution.answer(request, asked)
