"""`understage dead list|show|replay|discard ... FILE`: messages that durable nodes could not handle."""

from typing import Annotated

import typer

from actors.cli.option import AsJson, ManifestFile

dead = typer.Typer(
    name="dead",
    help="Look at messages that durable nodes could not handle, and deliver them again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Node = Annotated[str | None, typer.Option("--node", metavar="NAME", help="Only those of this agent or team.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id, as `dead list` shows it, or its beginning.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids, as `dead list` shows them.")]


@dead.command("list")
def list_dead(file: ManifestFile, node: Node = None, as_json: AsJson = False) -> None:
    """List the dead letters, in the order of their deaths."""
    from actors.cli.journal_view import ask_journal

    ask_journal(file, lambda view: view.dead(node), as_json=as_json)


@dead.command("show")
def show(id: Id, file: ManifestFile, as_json: AsJson = False) -> None:
    """Show one dead letter: what was asked, and why it could not be handled."""
    from actors.cli.journal_view import ask_journal

    ask_journal(file, lambda view: view.show(id), as_json=as_json)


@dead.command("replay")
def replay(
    *,
    ids: Ids = None,
    file: ManifestFile,
    is_all: Annotated[bool, typer.Option("--all", help="All of them, or all of one node.")] = False,
    node: Node = None,
    as_json: AsJson = False,
) -> None:
    """Have dead letters delivered again, by a pool that runs or by the next one; they keep their ids."""
    from actors.cli.journal_view import ask_journal

    ask_journal(file, lambda view: view.replay(ids or (), node, is_all=is_all), as_json=as_json)


@dead.command("discard")
def discard(ids: Ids, file: ManifestFile, as_json: AsJson = False) -> None:
    """Delete dead letters."""
    from actors.cli.journal_view import ask_journal

    ask_journal(file, lambda view: view.discard(ids or ()), as_json=as_json)
