"""Standard output: the answer and nothing else."""

from __future__ import annotations

import sys

from actors.cli.exit_code import CommandError, ExitCode
from actors.cli.redaction import for_stdout


class ReaderGoneError(CommandError):
    """Whoever read the output has closed it; there is nobody to tell, and nothing to say."""

    def __init__(self) -> None:
        """Take the exit code of a broken pipe."""
        super().__init__("nobody reads the output any more", ExitCode.BROKEN_PIPE)


def write(text: str, end: str = "\n") -> None:
    """Write text and a line break (or another `end`) to standard output, now; to a terminal only what can be seen.

    Raises:
        ReaderGoneError: the reader has gone.
        CommandError: it cannot be written.
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
