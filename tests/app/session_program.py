"""A program for tests that end it: asks each agent of a manifest, and some made in code, one thing.

It says as JSON what the models were given, then waits for its end: by SIGTERM it ends in order, by SIGKILL it does not.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors import AgentPool
from actors.app import HistoryService
from protocols.session import SessionQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.session import Session

IN_CODE: dict[str, Session] = {
    "code-none": None,
    "code-true": True,
    "code-false": False,
    "code-tokens": 100_000,
    "code-few-tokens": 1,
    "code-name": "support in code",
    "code-query": SessionQuery(is_restored=True, conversation="queried", limit=2),
    "code-config": {"conversation": "configured", "limit": 2},
}


def prompts(messages: Sequence[ModelMessage]) -> list[str]:
    """Return what users have said."""
    requests = [one for one in messages if isinstance(one, ModelRequest)]
    return [str(part.content) for one in requests for part in one.parts if isinstance(part, UserPromptPart)]


def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    """Tell what the model was given, answers included."""
    answers = [part.content for one in messages for part in one.parts if isinstance(part, TextPart)]
    return ModelResponse(parts=[TextPart(json.dumps({"prompts": prompts(messages), "answers": len(answers)}))])


async def main(file: str, words: str, *, is_flushed: bool) -> None:
    """Ask every agent, and wait."""
    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    async with AgentPool[Any](file, model=FunctionModel(answer)) as pool:
        for name, session in IN_CODE.items():
            await pool.add_agent(name, session=session)
        seen = {name: json.loads((await agent.run(words)).text) for name, agent in pool.agents.items()}
        history = pool.service(HistoryService)
        if is_flushed and history is not None:
            await history.flush()
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()
        await asked_to_end.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], is_flushed=sys.argv[3] == "flushed"))
