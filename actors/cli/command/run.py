"""`understage run FILE NODE PROMPT...`: run one node once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from actors.cli.exit_code import fail
from actors.cli.option import AsJson, ManifestFile, complete_node


def run(  # noqa: PLR0913, PLR0917 - one parameter for each option; typer passes them by keyword
    file: ManifestFile,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Agent or team to run.", autocompletion=complete_node)],
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT...", help="What to do; - reads it.")] = None,
    files: Annotated[list[Path] | None, typer.Option("--file", metavar="PATH", help="A file; repeatable.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Model of every agent, such as openai:gpt-4.1.")] = None,
    as_json: AsJson = False,
    timeout: Annotated[float | None, typer.Option("--timeout", metavar="S", help="Seconds the run may take.")] = None,
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
