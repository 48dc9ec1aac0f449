"""A chat with one node: prompts from standard input, answers on standard output, all else on standard error."""

import asyncio
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from actors.app import check_models, configure_logging
from actors.cli.app_thread import AppThread
from actors.cli.chat_reader import ChatReader, Terminal
from actors.cli.chat_turn import ChatTurn
from actors.cli.exit_code import ExitCode
from actors.cli.option import is_debug
from actors.cli.progress import to_stderr
from actors.cli.run_once import manifest_for

HELP = '/quit ends, /reset forgets, /stats shows numbers, // begins a prompt with /; \\ or """ for several lines'
"""What can be typed besides prompts."""


class _TerminatedError(BaseException):
    """The process received SIGTERM."""


class _Wake:
    """Ends the wait for the next line: at SIGTERM, and when the pool ends by itself."""

    def __init__(self) -> None:
        self.is_reading = False
        self._is_called = False
        self._is_listening = False

    def call(self) -> None:
        """Wake the main thread if it waits for input. Other work is done to its end."""
        self._is_called = True
        if self._is_listening:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def _on_sigterm(self, _number: int, _frame: object) -> None:
        if not self._is_called or self.is_reading:
            raise _TerminatedError

    @contextmanager
    def listening(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._on_sigterm)
        self._is_listening = hasattr(signal, "pthread_kill")  # Windows has not
        try:
            yield
        finally:
            self._is_listening = False
            signal.signal(signal.SIGTERM, before)


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
        terminal, wake = Terminal(), _Wake()
        thread = AppThread(manifest, wake.call)
        failures, code, word = 0, ExitCode.OK, ""
        try:
            with wake.listening(), thread:
                turn = ChatTurn(thread.app, self.node, as_json=self.as_json, timeout=self.timeout)
                failures = _Talk(thread, turn, terminal, wake).go_on()
        except _TerminatedError:
            code, word = ExitCode.TERMINATED, "terminated"
        except KeyboardInterrupt:
            code, word = ExitCode.INTERRUPTED, "interrupted"
        if thread.verdict is not None:
            code, word = thread.verdict.code, thread.verdict.text
        if word:
            to_stderr(f"understage: {word}")
        elif failures and not terminal.is_interactive:
            code = ExitCode.FAILED
        return code


class _Talk:
    """The turns of a chat, one after the other."""

    def __init__(self, thread: AppThread, turn: ChatTurn, terminal: Terminal, wake: _Wake) -> None:
        self._thread = thread
        self._wake = wake
        self._turn = turn
        self._terminal = terminal
        self._reader = ChatReader(terminal.read_line)
        self._is_over = False

    def go_on(self) -> int:
        """Read and answer until the end. Return the number of prompts without an answer."""
        if self._terminal.is_interactive:
            to_stderr(HELP)
        failures = 0
        while not self._is_over and (prompt := self._read()) is not None:
            failures += not self._take(prompt)
        return failures

    def _read(self) -> str | None:
        """Return the next prompt; None at the end. The first Ctrl+C of a person asks once more."""
        self._wake.is_reading = True
        try:
            return None if self._thread.verdict is not None else self._reader.next()
        except KeyboardInterrupt:
            if not self._terminal.is_interactive:
                raise
            to_stderr("\n(once more to end the chat)")
            return self._reader.next()
        finally:
            self._wake.is_reading = False

    def _take(self, prompt: str) -> bool:
        """Answer a prompt or do a command. Return False for a prompt without an answer."""
        words = prompt.strip()
        if not words:
            return True
        if words.startswith("/") and not words.startswith("//"):
            self._command(words)
            return True
        if words.startswith("//"):
            prompt = prompt.replace("//", "/", 1)
        try:
            return self._thread.call(self._turn.ask(prompt))
        except (KeyboardInterrupt, asyncio.CancelledError):
            to_stderr("understage: cancelled")
            return False

    def _command(self, words: str) -> None:
        match words:
            case "/quit":
                self._is_over = True
            case "/reset":
                self._thread.call(self._turn.reset())
            case "/stats":
                to_stderr(self._thread.call(self._turn.stats()))
            case _:
                to_stderr(f"understage: unknown command {words.split()[0]!r}: {HELP}")
