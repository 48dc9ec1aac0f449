"""Exit codes of the command line, and which error leads to which."""

from __future__ import annotations

import signal
from enum import IntEnum

from protocols.errors import ConfigError, ModelError, NodeNotFoundError, PromptError


class ExitCode(IntEnum):
    """What `understudy` tells the shell."""

    OK = 0
    FAILED = 1
    """The run failed, or took longer than it was allowed to."""
    USAGE = 2
    """It was called wrongly: unknown command, node or model, faulty manifest, unreadable file, empty prompt, no key."""
    EXIT_CONDITION = 3
    """An exit condition of a connection was true, and everything ended in order."""
    GAVE_UP = 4
    """The nodes broke so often that their supervisor gave them up."""
    INTERRUPTED = 128 + signal.SIGINT
    """Ctrl+C."""
    BROKEN_PIPE = 128 + 13  # signal.SIGPIPE, which Windows does not have
    """Whoever read the output had gone."""
    TERMINATED = 128 + signal.SIGTERM
    """It was asked to end."""


_USAGE_ERRORS = (ConfigError, ModelError, NodeNotFoundError, PromptError)


class CommandError(Exception):
    """A command cannot go on; the text is for the user, and says what to do."""

    def __init__(self, text: str, code: ExitCode = ExitCode.USAGE) -> None:
        """Take the text and the exit code."""
        super().__init__(text)
        self.code = code


def code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, CommandError):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return ExitCode.USAGE if isinstance(error, _USAGE_ERRORS) else ExitCode.FAILED


def text_of(error: BaseException) -> str:
    """Return an error as one message for people: what went wrong, and at which node."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = str(error) or type(error).__name__
    if type(error).__module__.partition(".")[0] in _OURS:
        return text
    where = ", ".join(note for note in getattr(error, "__notes__", ()) if "\n" not in note)
    return f"{type(error).__name__}: {text}{f' ({where})' if where else ''}"


_OURS = frozenset({"actors", "protocols"})
