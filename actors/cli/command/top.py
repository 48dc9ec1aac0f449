"""`understage top`: the tree and the counters of a running pool."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.exit_code import ExitCode, fail
from actors.cli.option import AsJson
from actors.cli.output import write
from actors.cli.progress import to_stderr

if TYPE_CHECKING:
    from actors.cli.monitor_client import MonitorClient


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
    from actors.cli.monitor_client import MonitorClient

    if not interval > 0:
        fail(f"--interval must be a number of seconds > 0, not {interval:g}")
    with MonitorClient(_socket(path, config)) as client:
        moments = _moments(client, interval, once=once)
        if as_json:
            for line in moments:
                write(line.decode())
        elif once or not sys.stdout.isatty():
            for line in moments:
                write(_text(line))
        else:
            _live(moments)


def _socket(path: Path | None, config: Path | None) -> Path:
    from actors.cli.monitor_client import monitor_path

    if (path is None) == (config is None):
        fail("say which pool: either the path of its socket, or --config and its manifest")
    return path if path is not None else monitor_path(config or Path())


def _moments(client: "MonitorClient", interval: float, *, once: bool) -> Iterator[bytes]:
    line = client.read()
    if line is None:
        fail(
            "the pool has closed the connection at once; it has as many viewers as it takes, or it is ending",
            ExitCode.FAILED,
        )
    while line is not None:
        yield line
        if once:
            return
        time.sleep(interval)
        line = client.read()
    to_stderr("understage: the pool has ended")


def _text(line: bytes) -> str:
    import msgspec

    from actors.cli.monitor_snapshot import Snapshot, view

    try:
        return view(msgspec.json.decode(line, type=Snapshot))
    except msgspec.DecodeError as error:
        fail(f"what answers there is no pool of this version: {error}")


def _live(moments: Iterator[bytes]) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(screen=True, auto_refresh=False) as live:
        for line in moments:
            live.update(Text(_text(line), no_wrap=True), refresh=True)
