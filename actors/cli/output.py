"""Standard output: the answer and nothing else."""

from __future__ import annotations

import sys

from actors.cli.exit_code import CommandError, ExitCode
from actors.cli.redaction import for_stdout


class ReaderGoneError(CommandError):
    """The reader closed the output."""

    def __init__(self) -> None:
        super().__init__("nobody reads the output any more", ExitCode.BROKEN_PIPE)


def write(text: str, end: str = "\n") -> None:
    """Write text and a line break (or `end`) to standard output. Control characters do not reach a terminal.

    Raises:
        ReaderGoneError: the reader closed the output.
        CommandError: the text cannot be written.
    """
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is when the shell closed it
        problem = "standard output is closed"
        raise CommandError(problem, ExitCode.FAILED)
    try:
        sys.stdout.write(for_stdout(text) + end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGoneError from None
    except UnicodeEncodeError as error:
        problem = f"the output cannot be written as {sys.stdout.encoding}: {error}; set PYTHONIOENCODING=utf-8"
        raise CommandError(problem, ExitCode.FAILED) from error
    except OSError as error:
        problem = f"the output cannot be written: {error.strerror or error}"
        raise CommandError(problem, ExitCode.FAILED) from error
