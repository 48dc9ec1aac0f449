"""One turn of a chat on the event loop of the pool."""

import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from actors.app import App, answer_fields
from actors.cli.exit_code import CommandError, text_of
from actors.cli.output import write
from actors.cli.progress import to_stderr
from actors.cli.redaction import presentable
from actors.cli.report import report
from actors.runs.stream import RunStream
from protocols.ids import new_id
from protocols.messages import ChatMessage


class ChatTurn:
    """Asks a node, in one conversation."""

    def __init__(self, app: App, node: str, *, as_json: bool = False, timeout: float | None = None) -> None:
        self._app = app
        self._node = node
        self._as_json = as_json
        self._options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        self._conversation = new_id()

    async def ask(self, prompt: str) -> bool:
        """Write the answer to a prompt in pieces. True if there was an answer; failures are written, not raised.

        Raises:
            CommandError: the answer cannot be written.
        """
        try:
            await (self._answer_json(prompt) if self._as_json else self._answer_text(prompt))
        except CommandError:
            raise
        except Exception as error:
            self._fail(prompt, text_of(error))
            return False
        return True

    async def _answer_text(self, prompt: str) -> None:
        has_spoken = False
        try:
            async with self._app.pool[self._node].run_stream(prompt, **self._run_options()) as stream:
                # Somebody at a terminal reads along, and also what a model says before it calls a tool.
                async for piece in _read_along(stream) if sys.stdout.isatty() else stream.stream():
                    write(piece, end="")
                    has_spoken = True
        except CommandError:
            raise
        except BaseException:
            if has_spoken:
                write("")
            raise
        write("")

    async def _answer_json(self, prompt: str) -> None:
        message: ChatMessage[Any] = await self._app.pool[self._node].run(prompt, **self._run_options())
        self._write_json(
            prompt=prompt,
            **answer_fields(message),
            input_tokens=message.usage.input_tokens,
            output_tokens=message.usage.output_tokens,
            seconds=message.response_time,
            error=None,
        )

    def _fail(self, prompt: str, text: str) -> None:
        to_stderr(f"understage: {text}")
        if self._as_json:
            self._write_json(prompt=prompt, error=presentable(text))

    def _write_json(self, **fields: Any) -> None:
        document = {"node": self._node, "conversation_id": self._conversation, **fields}
        write(json.dumps(document, ensure_ascii=False, default=str))

    def _run_options(self) -> dict[str, Any]:
        return {"conversation_id": self._conversation, **self._options}

    async def reset(self) -> None:
        """Clear the memory of every agent, and begin a new conversation."""
        for agent in self._app.pool.agents.values():
            agent.reset()
        self._conversation = new_id()

    async def stats(self) -> str:
        """Return the statistics of the chat as a table."""
        return report(await self._app.read_stats(), list(self._app.pool)) or "nothing was said yet"


async def _read_along(stream: RunStream[Any]) -> AsyncIterator[str]:
    """Yield what is new in the text. A text that begins anew has a line of its own."""
    shown = ""
    async for text in stream.stream_text():
        yield text[len(shown) :] if text.startswith(shown) else f"\n{text}"
        shown = text
