"""`understage watch FILE`: run the triggers of a manifest until Ctrl+C."""

from pathlib import Path
from typing import Annotated, Final

import typer

from actors.cli.option import AsJson

PORT: Final = 8420
"""Port of the dashboard unless another one is named."""
_OPTION: Final = "--dashboard"


def as_typer_reads(words: list[str]) -> list[str]:
    """Return the words of a command line: ``--config FILE`` becomes FILE, ``--dashboard`` alone gets the usual port."""
    if words[:1] != ["watch"]:
        return words
    words = [word.removeprefix("--config=") for word in words if word != "--config"]
    if _OPTION not in words:
        return words
    at = words.index(_OPTION)
    before, after = words[:at], words[at + 1 :]
    is_given = bool(after) and after[0].rpartition(":")[2].isdigit()
    return words if is_given else [*before, f"{_OPTION}={PORT}", *after]


def watch(  # noqa: PLR0913, PLR0917 - one parameter for each option; typer passes them by keyword
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The manifest, such as agents.yml; also --config FILE.")],
    show_messages: Annotated[
        bool, typer.Option("--show-messages/--no-show-messages", help="Show answers and progress.")
    ] = True,
    as_json: AsJson = False,
    reload: Annotated[
        bool, typer.Option("--reload", help="Apply changes of the manifest to the running pool.")
    ] = False,
    health: Annotated[
        str | None, typer.Option("--health", metavar="[HOST:]PORT", help="Serve /health/live and /health/ready.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", metavar="[HOST:]PORT", help="Serve metrics to Prometheus.")
    ] = None,
    dashboard: Annotated[
        str | None,
        typer.Option(
            _OPTION,
            metavar="[[HOST:]PORT]",
            show_default=False,
            help=f"Show the pool as a web page, on this port: 0 for any free one, else {PORT}.",
        ),
    ] = None,
    grace: Annotated[float, typer.Option("--grace", metavar="S", help="Seconds that an orderly end may take.")] = 30.0,
) -> int:
    """Start all agents, teams and triggers, and stay until Ctrl+C or SIGTERM.

    The answer to each event goes to standard output, everything else to standard error. SIGHUP has the manifest be
    read again, --reload does so whenever it changes; what has not changed in it runs on undisturbed. Health, metrics
    and dashboard are for this machine only unless HOST says where to listen; with the same address they share it.
    """
    from actors.cli.watch import Watch

    return Watch(
        file, shows_messages=show_messages, as_json=as_json, reloads=reload, grace=grace, health=health,
        metrics=metrics, dashboard=dashboard,
    ).run()  # fmt: skip
