"""Commands that run a node: `understage run FILE NODE PROMPT...`, `job FILE NODE JOB`, `chat FILE NODE`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from actors.cli.exit_code import fail
from actors.cli.option import AsJson, ManifestFile, Model, complete_job, complete_node

Node = Annotated[str, typer.Argument(metavar="NODE", help="Agent or team to run.", autocompletion=complete_node)]
Timeout = Annotated[float | None, typer.Option("--timeout", metavar="S", help="Seconds an answer may take.")]


def run(  # noqa: PLR0913, PLR0917 - one parameter for each option; typer passes them by keyword
    file: ManifestFile,
    node: Node,
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT...", help="What to do; - reads it.")] = None,
    files: Annotated[list[Path] | None, typer.Option("--file", metavar="PATH", help="A file; repeatable.")] = None,
    model: Model = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    chaos: Annotated[
        str | None,
        typer.Option("--chaos", metavar="NAME", help="Break this node in mid-run."),
    ] = None,
) -> int:
    """Run an agent or a team once.

    The answer goes to standard output, everything else to standard error.
    """
    from actors.cli.run_once import RunOnce

    once = RunOnce(file, node, texts=_texts(prompt or []), files=files or [], model=model, timeout=timeout, chaos=chaos)
    return once.run(as_json=as_json)


def _texts(words: list[str]) -> list[str]:
    if words != ["-"]:
        return [" ".join(words)] if words else []
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - so it is when the shell closed it
        fail("standard input is closed; give the prompt as an argument, or pipe it in")
    try:
        given = sys.stdin.read()
        given.encode()  # in some locales Python keeps what it cannot read as half characters
    except UnicodeError as error:
        fail(f"standard input is not text in {sys.stdin.encoding}: {error}")
    return [given]


def job(
    file: ManifestFile,
    node: Node,
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job of the manifest.", autocompletion=complete_job)],
    model: Model = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
) -> int:
    """Have an agent or a team do a job of the manifest once.

    The answer goes to standard output, everything else to standard error.
    """
    from actors.cli.run_once import JobOnce

    return JobOnce(file, node, model=model, timeout=timeout, job=job).run(as_json=as_json)


def chat(
    file: ManifestFile,
    node: Node,
    model: Model = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
) -> int:
    r"""Talk to an agent or a team; it remembers what was said.

    A line is a prompt. One that ends in \ continues in the next; three double quotes begin and end a block of lines.
    /quit ends, /reset makes it forget, /stats shows numbers, // begins a prompt with /. Ctrl+C cancels an answer.
    Prompts may be piped in.
    """
    from actors.cli.chat import Chat

    return Chat(file, node, model=model, timeout=timeout, as_json=as_json).run()
