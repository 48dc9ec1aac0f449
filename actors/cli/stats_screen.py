"""Statistics of a run on a terminal by rich: pass a `StatsScreen` to `RunStats.watch`."""

from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.stats.run_snapshot import RunSnapshot, failures, table_rows


def stats_table(run: RunSnapshot) -> RenderableType:
    """Return the statistics by node as a table of rich, with the failures below it."""
    head, *rows = table_rows(run)
    table = Table(title=Text(f"{run.name or 'run'}: {'done' if run.done else 'running'}"))
    for name in head:
        table.add_column(name, justify="left" if name == head[0] else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row), end_section=row is rows[-2] if len(rows) > 1 else False)
    failed = [Text(failure, style="red") for failure in failures(run)]
    return Group(table, *failed) if failed else table


class StatsScreen:
    """Keeps one table on the terminal up to date; see `RunStats.watch`.

    Example:
        ```python
        with StatsScreen() as screen:
            await stats.watch(screen)
        ```
    """

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console, auto_refresh=False)

    def show(self, run: RunSnapshot) -> None:
        """Draw the run in the place of the last drawing."""
        self._live.start()  # harmless when it has started
        self._live.update(stats_table(run), refresh=True)
        if run.done:
            self._live.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.stop()
