"""`understage hosts FILE` and `understage drain FILE HOST`: the processes of a clustered pool."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from actors.cli.exit_code import fail
from actors.cli.option import AsJson, ManifestFile


def _ask(file: Path, question: Callable[[Any], Any], *, as_json: bool) -> None:
    from actors.cli.cluster_view import ClusterView
    from actors.cli.journal_view import ask_journal

    ask_journal(file, question, as_json=as_json, view=ClusterView)


def hosts(file: ManifestFile, as_json: AsJson = False) -> None:
    """List the processes that share the nodes of a manifest, as their database knows them."""
    _ask(file, lambda view: view.hosts(), as_json=as_json)


def drain(
    file: ManifestFile,
    host: Annotated[
        str | None, typer.Argument(metavar="[HOST]", help="Name of a host, or the beginning of its id.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Empty all hosts; those that Ray runs end.")] = False,
    waits: Annotated[bool, typer.Option("--wait", help="Wait until it has no shards any more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a host give its durable nodes to the others, such as before its end."""
    if (host is None) is not is_all:
        fail("say which host: either its name or the beginning of its id, or --all")
    if host is None:
        _ask(file, lambda view: view.drain_all(waits=waits), as_json=as_json)
    else:
        _ask(file, lambda view: view.drain(host, waits=waits), as_json=as_json)
