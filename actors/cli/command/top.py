"""`understage top`: the tree and the counters of a running pool."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from actors.cli.exit_code import fail
from actors.cli.option import AsJson
from actors.cli.output import write


def top(
    path: Annotated[Path | None, typer.Argument(metavar="SOCKET", help="Socket of a running pool.")] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Manifest that is watched.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Show one moment and end.")] = False,
    interval: Annotated[float, typer.Option("--interval", metavar="S", help="Seconds between two looks.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Show the actors of a running pool, and what they do.

    On a terminal the picture moves until Ctrl+C or the end of the pool; with --json there is one line per moment.
    """
    from actors.cli.monitor_client import moments

    if not interval > 0:
        fail(f"--interval must be a number of seconds > 0, not {interval:g}")
    lines = moments(_socket(path, config), interval=interval, once=once)
    if as_json or once or not sys.stdout.isatty():
        for line in lines:
            write(line.decode() if as_json else _text(line))
    else:
        _live(lines)


def _socket(path: Path | None, config: Path | None) -> Path:
    from actors.cli.monitor_client import monitor_path

    if (path is None) == (config is None):
        fail("say which pool: either the path of its socket, or --config and its manifest")
    return path if path is not None else monitor_path(config or Path())


def _text(line: bytes) -> str:
    import msgspec

    from actors.cli.monitor_snapshot import Snapshot, view

    try:
        return view(msgspec.json.decode(line, type=Snapshot))
    except msgspec.DecodeError as error:
        fail(f"what answers there is no pool of this version: {error}")


def _live(lines: Iterator[bytes]) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(screen=True, auto_refresh=False) as live:
        for line in lines:
            live.update(Text(_text(line), no_wrap=True), refresh=True)
