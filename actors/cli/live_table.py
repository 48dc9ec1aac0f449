"""The live table of a run, for terminals."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.cli.report import HEAD, cells, rows
from actors.stats.projection import StatsSnapshot

_PERIOD = 0.1
"""Seconds between two pictures."""
_COLOURS = {"running": "cyan", "done": "green", "failed": "red", "restarting": "yellow", "idle": "dim"}


@asynccontextmanager
async def live_table(
    read: Callable[[], Awaitable[StatsSnapshot]], names: Sequence[str]
) -> AsyncGenerator[Callable[[str], object]]:
    """Show a table of the nodes until the end of the block. Yields a function that writes lines above it."""
    console = Console(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        task = asyncio.create_task(_refresh(live, read, names))
        try:
            yield lambda text: console.print(text, markup=False, highlight=False)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _refresh(live: Live, read: Callable[[], Awaitable[StatsSnapshot]], names: Sequence[str]) -> None:
    while True:
        live.update(picture(await read(), names), refresh=True)
        await asyncio.sleep(_PERIOD)


def picture(snapshot: StatsSnapshot, names: Sequence[str]) -> Table:
    """Return the table of one snapshot."""
    table = Table("state", *HEAD, box=None, pad_edge=False)
    for node in rows(snapshot, names, with_idle=True):
        state = Text(str(node.state), _COLOURS.get(node.state, ""))
        table.add_row(state, *(Text(cell) for cell in cells(node)))  # as text: a name may look like markup
    return table
