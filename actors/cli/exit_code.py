"""Exit codes of the command line, and the errors that lead to them."""

import signal
from enum import IntEnum
from typing import NoReturn

from actors.config.yaml.problem import InvalidManifestError
from protocols.errors import ConfigError, ModelError, NodeNotFoundError, PromptError
from protocols.model_errors import ModelCallError


class ExitCode(IntEnum):
    """The exit codes of `understage`."""

    OK = 0
    FAILED = 1
    """The run failed, or exceeded its time."""
    USAGE = 2
    """Wrong use: unknown command, node or model, faulty manifest, unreadable file, empty prompt, no key."""
    EXIT_CONDITION = 3
    """An exit condition of a connection was true; everything stopped in order."""
    GAVE_UP = 4
    """A supervisor gave up: its nodes crashed too often, or the journal works no more."""
    INTERRUPTED = 128 + signal.SIGINT
    """Ctrl+C."""
    BROKEN_PIPE = 128 + 13  # signal.SIGPIPE, which Windows does not have
    """The reader closed the output."""
    TERMINATED = 128 + signal.SIGTERM
    """The process received SIGTERM."""


stuck: list[str] = []
"""Names of abandoned tasks and threads of `actors.cli.loop`; the process must end without waiting for them."""
_USAGE_ERRORS = (ConfigError, ModelError, NodeNotFoundError, PromptError)


class CommandError(Exception):
    """A command fails. The text says what to do."""

    def __init__(self, text: str, code: ExitCode = ExitCode.USAGE) -> None:
        super().__init__(text)
        self.code = code


def fail(text: str, code: ExitCode = ExitCode.USAGE) -> NoReturn:
    """End the command with this text."""
    raise CommandError(text, code)


def code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    is_usage = isinstance(error, _USAGE_ERRORS) and not isinstance(error, ModelCallError)  # that was no wrong call
    return ExitCode.USAGE if is_usage else ExitCode.FAILED


def text_of(error: BaseException) -> str:
    """Return an error as one message for people: the cause and the node."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = str(error) or type(error).__name__
    if isinstance(error, InvalidManifestError):
        return text
    text = "\n  ".join(text.splitlines())  # no line of it looks like one of ours
    if type(error).__module__.partition(".")[0] in _OURS:
        return text
    where = ", ".join(note for note in getattr(error, "__notes__", ()) if "\n" not in note)
    return f"{type(error).__name__}: {text}{f' ({where})' if where else ''}"


_OURS = frozenset({"actors", "protocols"})
