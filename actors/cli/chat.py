"""A chat with one node: prompts from standard input, answers on standard output, all else on standard error."""

import asyncio
import json
import math
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.app import App, answer_fields, check_models, configure_logging, open_app
from actors.cli.chat_reader import ChatReader, Terminal
from actors.cli.exit_code import CommandError, ExitCode, text_of
from actors.cli.loop import run
from actors.cli.option import is_debug
from actors.cli.output import write
from actors.cli.pool_exit import PoolEnd, PoolExitReason
from actors.cli.progress import to_stderr
from actors.cli.redaction import presentable
from actors.cli.report import report
from actors.cli.run_once import manifest_for
from actors.cli.shutdown import Shutdown
from actors.config.manifest import Manifest
from actors.runs.stream import RunStream
from actors.runtime.daemon_thread import in_daemon_thread
from protocols.ids import new_id
from protocols.messages import ChatMessage

HELP = '/quit ends, /reset forgets, /stats shows numbers, // begins a prompt with /; \\ or """ for several lines'
"""What can be typed besides prompts."""


@dataclass
class Chat:
    """The node of a chat, and its options."""

    manifest_file: Path
    node: str
    model: str | None = None
    timeout: float | None = None
    as_json: bool = False

    def run(self) -> int:
        """Chat until the end of standard input, or ``/quit``; return the exit code.

        Raises:
            Exception: it could not begin, or the output cannot be written.
        """
        configure_logging(debug=is_debug.get())
        manifest = manifest_for(self.manifest_file, [self.node], model=self.model, timeout=self.timeout)
        check_models(manifest, self.node)
        terminal = Terminal()
        with terminal.restored():
            code, reason = run(self._chat(manifest, terminal))
        if reason:
            to_stderr(f"understage: {reason}")
        return code

    async def _chat(self, manifest: Manifest, terminal: Terminal) -> tuple[ExitCode, str]:
        talk, end = _Talk(terminal), None
        with talk.listening():
            try:
                async with open_app(manifest, has_triggers=False) as app:
                    end = PoolEnd(app, talk.pool_ended)
                    await talk.go_on(ChatTurn(app, self.node, as_json=self.as_json, timeout=self.timeout), end)
            except asyncio.CancelledError:
                if not talk.reason:
                    raise
        if end is not None and (verdict := end.look()) is not None:
            return verdict.code, verdict.text
        has_failed = talk.failures and not (talk.reason or terminal.is_interactive)
        return ExitCode.FAILED if has_failed else talk.code, talk.reason


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


class _Talk(Shutdown):
    """The turns of a chat, one after the other. Ctrl+C cancels an answer, and ends the chat between answers."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(math.inf)
        self.failures = 0
        """Prompts without an answer."""
        self._terminal = terminal
        self._reader = ChatReader(terminal.read_line)
        self._line: asyncio.Task[str | None] | None = None
        self._is_reading = self._is_answering = self._is_over = False
        self._is_warned = False
        """True after the first Ctrl+C of a person who types, or during an answer."""

    async def go_on(self, turn: ChatTurn, end: PoolEnd) -> None:
        """Read and answer until the end."""
        if self._terminal.is_interactive:
            to_stderr(HELP)
        while not self._is_over and not self.reason and end.verdict is None:
            try:
                if (prompt := await self._read()) is None:
                    return
                self.failures += not await self._take(prompt, turn)
            except asyncio.CancelledError:
                if self._asked.is_set() or self._task is None:
                    raise
                self.failures += 1
            if self._task is not None and self._task.cancelling() and not self._asked.is_set():
                self._task.uncancel()  # also when the end of the answer has swallowed it: each signal is answered
                to_stderr("understage: cancelled")

    def pool_ended(self, verdict: PoolExitReason) -> None:
        """End the wait for the next prompt. An answer is given to its end."""
        if self._is_reading:
            self.begin(verdict.code, verdict.text)

    def insist(self, code: ExitCode, reason: str) -> None:
        """Cancel the answer at a first Ctrl+C, and ask a person who types for a second one."""
        is_typing = self._is_reading and self._terminal.is_interactive
        if code != ExitCode.INTERRUPTED or self.reason or self._is_warned or not (self._is_answering or is_typing):
            super().insist(code, reason)
            return
        self._signals, self._is_warned = 0, True
        if is_typing:
            to_stderr("\n(once more to end the chat)")
            self._terminal.show_line()
        elif self._task is not None:
            self._task.cancel()

    async def _read(self) -> str | None:
        """Return the next prompt; None at the end. A thread that still reads at the end is left behind."""
        self._is_reading, self._is_warned = True, False
        self._line = self._line or asyncio.create_task(in_daemon_thread(self._reader.next))
        try:
            await asyncio.wait([self._line])
        finally:
            self._is_reading = False
        line, self._line = self._line, None
        return line.result()

    async def _take(self, prompt: str, turn: ChatTurn) -> bool:
        """Answer a prompt or do a command. Return False for a prompt without an answer."""
        words = prompt.strip()
        self._is_answering, self._is_warned = True, False
        try:
            if words.startswith("/") and not words.startswith("//"):
                await self._command(words, turn)
            elif words:
                return await turn.ask(prompt.replace("//", "/", 1) if words.startswith("//") else prompt)
        finally:
            self._is_answering = False
        return True

    async def _command(self, words: str, turn: ChatTurn) -> None:
        match words:
            case "/quit":
                self._is_over = True
            case "/reset":
                await turn.reset()
            case "/stats":
                to_stderr(await turn.stats())
            case _:
                to_stderr(f"understage: unknown command {words.split()[0]!r}: {HELP}")
