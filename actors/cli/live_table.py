"""The live table of a run, for terminals."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.cli.report import HEAD, cells, rows
from actors.stats.projection import StatsSnapshot
from protocols.clock import Clock, pause

_PERIOD = 0.1
"""Seconds between two looks at the numbers."""
_COLOURS = {"running": "cyan", "done": "green", "failed": "red", "restarting": "yellow", "idle": "dim"}
_TIME = HEAD.index("time")


@asynccontextmanager
async def live_table(
    read: Callable[[], Awaitable[StatsSnapshot]], names: Sequence[str], clock: Clock
) -> AsyncGenerator[Callable[[str], object]]:
    """Show a table of the nodes until the end of the block. Yields a function that writes lines above it.

    The time of a node that works moves by whole seconds of the clock.
    """
    console = Console(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        task = asyncio.create_task(_refresh(live, read, names, clock))
        try:
            yield lambda text: console.print(text, markup=False, highlight=False)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _refresh(
    live: Live, read: Callable[[], Awaitable[StatsSnapshot]], names: Sequence[str], clock: Clock
) -> None:
    began: dict[tuple[str, int], float] = {}
    while True:
        snapshot = await read()
        # A node that works is known by how many of its runs have ended: the next one begins anew.
        working = [(one.name, one.counters.runs - one.running) for one in snapshot.nodes if one.running]
        began = {key: began.get(key, clock.now()) for key in working}
        elapsed = {name: clock.now() - since for (name, _), since in began.items()}
        live.update(picture(snapshot, names, elapsed), refresh=True)
        await pause(clock, _PERIOD)


def picture(
    snapshot: StatsSnapshot, names: Sequence[str], elapsed: Mapping[str, float] = MappingProxyType({})
) -> Table:
    """Return the table of one snapshot; `elapsed` has the seconds of the runs under way by the names of nodes."""
    table = Table("state", *HEAD, box=None, pad_edge=False)
    for node in rows(snapshot, names, with_idle=True):
        shown = list(cells(node))
        if node.name in elapsed:
            shown[_TIME] = f"{node.counters.busy_time + elapsed[node.name]:.0f} s"
        state = Text(str(node.state), _COLOURS.get(node.state, ""))
        table.add_row(state, *(Text(cell) for cell in shown))  # as text: a name may look like markup
    return table
