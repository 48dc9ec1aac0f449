"""`understage journal status|open|move ... FILE`: what the durable nodes of a manifest have accepted."""

from typing import Annotated

import typer

from actors.cli.command.dead import Node, ask_journal
from actors.cli.option import AsJson, ManifestFile, group

journal = group("journal", "Look at what the durable nodes of a manifest have accepted.")


@journal.command("status")
def status(file: ManifestFile, as_json: AsJson = False) -> None:
    """Show how many messages are open, and how large the journal is."""
    ask_journal(file, lambda view: view.status(), as_json=as_json)


@journal.command("open")
def open_messages(
    file: ManifestFile,
    node: Node = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Messages at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the messages that are not handled yet, oldest first."""
    ask_journal(file, lambda view: view.open(node, limit), as_json=as_json)


@journal.command("move")
def move(
    old: Annotated[str, typer.Argument(help="A node, which may be gone from the manifest.")],
    new: Annotated[str, typer.Argument(help="The durable node that takes over.")],
    file: ManifestFile,
    as_json: AsJson = False,
) -> None:
    """Give messages, dead letters and memory of a node to another one, while no pool has the journal."""
    ask_journal(file, lambda view: view.move(old, new), as_json=as_json, as_guest=False)
