"""The command `understage`: its commands, and the one place where an error becomes a message and an exit code.

The commands are in the files of `actors.cli.command`. A command imports slow libraries (pydantic_ai, rich) itself, so
`--help` answers at once.
"""

import contextlib
import io
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from actors.cli.command.approval import approvals, approve, deny
from actors.cli.command.cluster import drain, hosts
from actors.cli.command.dead import dead
from actors.cli.command.history import history
from actors.cli.command.journal import journal
from actors.cli.command.manifest import graph, init, list_nodes, schema, validate
from actors.cli.command.run import chat, job, run
from actors.cli.command.top import top
from actors.cli.command.watch import as_typer_reads, watch
from actors.cli.exit_code import ExitCode, code_of, stuck, text_of
from actors.cli.option import is_debug
from actors.cli.output import ReaderGoneError, write
from actors.cli.redaction import RedactedStream
from protocols.plain_text import visible
from protocols.redaction import redact

PROGRAM = "understage"

_CALLED_WRONGLY: type[Exception] = typer.BadParameter.__bases__[0]  # typer brings its own copy of click, or imports it

app = typer.Typer(
    name=PROGRAM,
    help="Run supervised teams of agents.",
    epilog=(
        "Exit codes: 0 done, 1 the run failed, 2 called wrongly (also: manifest, file, model), 3 an exit condition was "
        "true, 4 the pool was given up, 130 interrupted, 143 terminated."
    ),
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,  # rich takes longer to import than all the rest
    pretty_exceptions_enable=False,
)
app.command("run")(run)
app.command("watch")(watch)
app.command("chat")(chat)
app.command("job")(job)
app.command("init")(init)
app.command("list")(list_nodes)
app.command("validate")(validate)
app.command("schema")(schema)
app.command("graph")(graph)
app.command("top")(top)
app.command("approvals")(approvals)
app.command("approve")(approve)
app.command("deny")(deny)
app.command("hosts")(hosts)
app.command("drain")(drain)
app.add_typer(history)
app.add_typer(dead)
app.add_typer(journal)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        write(f"{PROGRAM} {version(PROGRAM)}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show logs and tracebacks; may stand anywhere.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Run supervised teams of agents."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit the process."""
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is when the shell closed it
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end of the process
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):  # PYTHONUNBUFFERED: half a text may be written
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(sys.stdout.fileno(), "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    code = call(sys.argv[1:] if arguments is None else arguments)
    if sys.stdout is not None and not _is_flushed():  # pyright: ignore[reportUnnecessaryComparison]
        # The interpreter flushes once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if stuck or _has_threads():
        os._exit(code)  # the interpreter would wait for them
    sys.exit(code)


def _has_threads() -> bool:
    """True if a thread, such as a blocking function or a reader of standard input, would disturb the end."""
    others = (one for one in threading.enumerate() if one is not threading.main_thread())
    return any(not one.daemon or one.name.startswith(PROGRAM) for one in others)


def _is_flushed() -> bool:
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


def call(arguments: Sequence[str]) -> int:
    """Run the command line in this process and return its exit code. Errors go to standard error."""
    redact.begin()
    with contextlib.redirect_stderr(RedactedStream(sys.stderr)):
        return _call(arguments)


def _call(arguments: Sequence[str]) -> int:
    words = _without_debug(list(arguments))
    is_debug.set(len(words) < len(arguments))
    words = as_typer_reads(words)
    try:
        result: object = app(words, prog_name=PROGRAM, standalone_mode=False)
    except _CALLED_WRONGLY as error:
        _say(_usage_text(error))
        return ExitCode.USAGE
    except (KeyboardInterrupt, typer.Abort):
        _say(f"{PROGRAM}: interrupted")
        return ExitCode.INTERRUPTED
    except ReaderGoneError as error:
        return error.code
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):  # so typer ends when nobody reads its own texts
            raise
        return ExitCode.BROKEN_PIPE
    except Exception as error:
        if is_debug.get():
            _say("".join(traceback.format_exception(error)).rstrip())
        _say(f"{PROGRAM}: {text_of(error)}")
        return code_of(error)
    return result if isinstance(result, int) else ExitCode.OK


def _without_debug(arguments: list[str]) -> list[str]:
    """Remove the option that every command knows; words after ``--`` are text."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [word for word in arguments[:end] if word != "--debug"] + arguments[end:]


def _usage_text(error: Exception) -> str:
    text = str(getattr(error, "format_message", error.__str__)())
    if text.startswith("Usage:"):  # called without anything: the text is the help
        return text
    context = getattr(error, "ctx", None)
    hint = f"; see '{context.command_path} --help'" if context is not None else ""
    return f"{PROGRAM}: {text.rstrip('.')}{hint}"


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"{visible(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads it
        pass
