"""`understage dead list|show|replay|discard ... FILE`: messages that durable nodes could not handle."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.cli.option import AsJson, ManifestFile, group

dead = group("dead", "Look at messages that durable nodes could not handle, and deliver them again.")

Node = Annotated[str | None, typer.Option("--node", metavar="NAME", help="Only those of this agent or team.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id, as `dead list` shows it, or its beginning.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids, as `dead list` shows them.")]


def ask_journal(file: Path, question: Callable[[Any], Any], **options: Any) -> None:
    """Ask the journal of a manifest; see `actors.cli.journal_view.ask_journal`, which takes long to import."""
    from actors.cli import journal_view

    journal_view.ask_journal(file, question, **options)


@dead.command("list")
def list_dead(file: ManifestFile, node: Node = None, as_json: AsJson = False) -> None:
    """List the dead letters, in the order of their deaths."""
    ask_journal(file, lambda view: view.dead(node), as_json=as_json)


@dead.command("show")
def show(id: Id, file: ManifestFile, as_json: AsJson = False) -> None:
    """Show one dead letter: what was asked, and why it could not be handled."""
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
    ask_journal(file, lambda view: view.replay(ids or (), node, is_all=is_all), as_json=as_json)


@dead.command("discard")
def discard(ids: Ids, file: ManifestFile, as_json: AsJson = False) -> None:
    """Delete dead letters."""
    ask_journal(file, lambda view: view.discard(ids or ()), as_json=as_json)
