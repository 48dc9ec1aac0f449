"""`understage top`: the tree and the counters of a running pool."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.exit_code import fail
from actors.cli.option import AsJson
from actors.cli.output import write

if TYPE_CHECKING:
    from actors.cli.feed_client import Tables


def top(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE|SOCKET", help="Manifest that is watched, or socket of a pool.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The same as FILE.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Show one moment and end.")] = False,
    interval: Annotated[float, typer.Option("--interval", metavar="S", help="Seconds between two looks.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show the actors of a running pool, and what they do.

    On a terminal the picture moves until Ctrl+C or the end of the pool; with --json there is one line per moment.
    """
    import asyncio

    from actors.cli.feed_client import follow
    from actors.cli.progress import to_stderr
    from actors.cli.tree_view import view

    if not interval > 0:
        fail(f"--interval must be a number of seconds > 0, not {interval:g}")
    socket = _socket(path, config)
    if as_json or once or not sys.stdout.isatty():
        ended = asyncio.run(follow(socket, _write_json if as_json else _write, interval=interval, once=once))
    else:
        from rich.live import Live
        from rich.text import Text

        with Live(screen=True, auto_refresh=False) as live:

            def draw(tables: "Tables") -> None:
                live.update(Text(view(tables, live.console.width), no_wrap=True), refresh=True)

            ended = asyncio.run(follow(socket, draw, interval=interval))
    if ended:
        to_stderr(f"understage: {ended}")


def _socket(path: Path | None, config: Path | None) -> Path:
    from actors.cli.feed_client import socket_path

    if (path is None) == (config is None):
        fail("say which pool: its manifest, or the path of its socket")
    if path is not None and not path.is_file():
        return path
    return socket_path(path or config or Path())


def _write(tables: "Tables") -> None:
    from actors.cli.tree_view import view

    write(view(tables, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


def _write_json(tables: "Tables") -> None:
    import msgspec

    from actors.cli.tree_view import document

    write(msgspec.json.encode(document(tables)).decode())
