"""`understage history show|stats|export|prune|forget FILE`: what the nodes of a manifest have said."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.option import AsJson, ManifestFile, group

if TYPE_CHECKING:
    from actors.cli.history_view import HistoryView

history = group("history", "Look at what the nodes of a manifest have said, and remove it.")

Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Only this agent or team.")]
Session = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Only this session.")]
Role = Annotated[str | None, typer.Option("--role", metavar="ROLE", help="Only user, assistant or system.")]
Containing = Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Only messages with this text.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Not before: hours ago, 7d, 90m, or 2026-01-31T12:00.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before that; as --since.")]


def _view(file: Path, **conditions: Any) -> "HistoryView":
    from actors.cli.history_view import HistoryView  # takes long to import

    return HistoryView(file, **conditions)


@history.command("show")
def show(  # noqa: PLR0913, PLR0917 - one parameter for each option; typer passes them by keyword
    file: ManifestFile,
    agent: Agent = None,
    role: Role = None,
    text: Containing = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Messages at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the latest messages, oldest first."""
    _view(file, agent=agent, role=role, text=text, since=since, until=until).show(limit, as_json=as_json)


@history.command("stats")
def stats(  # noqa: PLR0913, PLR0917 - one parameter for each option; typer passes them by keyword
    file: ManifestFile,
    agent: Agent = None,
    role: Role = None,
    text: Containing = None,
    since: Since = None,
    until: Until = None,
    by: Annotated[str, typer.Option("--by", help="agent, role, model, conversation or day.")] = "agent",
    as_json: AsJson = False,
) -> None:
    """Sum up messages, tokens and cost."""
    _view(file, agent=agent, role=role, text=text, since=since, until=until).stats(by, as_json=as_json)


@history.command("export")
def export(  # noqa: PLR0913, PLR0917 - one parameter for each option; typer passes them by keyword
    file: ManifestFile,
    agent: Agent = None,
    session: Session = None,
    role: Role = None,
    text: Containing = None,
    since: Since = None,
    until: Until = None,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help="jsonl, json or csv.")] = "jsonl",
) -> None:
    """Write all messages to standard output, oldest first."""
    _view(file, agent=agent, session=session, role=role, text=text, since=since, until=until).export(form)


@history.command("prune")
def prune(
    file: ManifestFile,
    days: Annotated[float | None, typer.Option("--days", metavar="D", help="Keep the last so many days.")] = None,
    most: Annotated[int | None, typer.Option("--most", metavar="N", help="Keep the latest N messages.")] = None,
    each: Annotated[
        int | None, typer.Option("--per-conversation", metavar="N", help="Keep the latest N of each conversation.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove old messages from all stores; without options what the manifest says under `retention`."""
    _view(file).prune(days, most, each, as_json=as_json)


@history.command("forget")
def forget(
    file: ManifestFile,
    session: Annotated[str, typer.Option("--session", metavar="NAME", help="The session to delete.")],
    agent: Agent = None,
    as_json: AsJson = False,
) -> None:
    """Delete what was said in a session from all stores."""
    _view(file, agent=agent, session=session).forget(as_json=as_json)
