"""`understudy history show|stats|export|prune FILE`: what the nodes of a manifest have said."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.option import AsJson, ManifestFile

history = typer.Typer(
    name="history",
    help="Look at what the nodes of a manifest have said, and remove it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only this agent or team.")]
Containing = Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Only messages with this text.")]
Since = Annotated[float | None, typer.Option("--since", metavar="HOURS", help="Only the last so many hours.")]


@history.command("show")
def show(
    file: ManifestFile,
    agent: Agent = None,
    text: Containing = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Messages at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the latest messages, oldest first."""
    from actors.cli.history_view import HistoryView

    HistoryView(file, agent=agent, text=text, since=since).show(limit, as_json=as_json)


@history.command("stats")
def stats(
    file: ManifestFile,
    agent: Agent = None,
    text: Containing = None,
    since: Since = None,
    by: Annotated[str, typer.Option("--by", help="agent, role, model, conversation or day.")] = "agent",
    as_json: AsJson = False,
) -> None:
    """Sum up messages, tokens and cost."""
    from actors.cli.history_view import HistoryView

    HistoryView(file, agent=agent, text=text, since=since).stats(by, as_json=as_json)


@history.command("export")
def export(file: ManifestFile, agent: Agent = None, text: Containing = None, since: Since = None) -> None:
    """Write all messages to standard output, oldest first, as one JSON document per line."""
    from actors.cli.history_view import HistoryView

    HistoryView(file, agent=agent, text=text, since=since).export()


@history.command("prune")
def prune(
    file: ManifestFile,
    days: Annotated[float | None, typer.Option("--days", metavar="D", help="Keep the last so many days.")] = None,
    most: Annotated[int | None, typer.Option("--most", metavar="N", help="Keep the latest N messages.")] = None,
    as_json: AsJson = False,
) -> None:
    """Remove old messages; without options what the manifest says under `retention`."""
    from actors.cli.history_view import HistoryView

    HistoryView(file).prune(days, most, as_json=as_json)
