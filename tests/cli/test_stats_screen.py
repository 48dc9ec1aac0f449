import io
from datetime import UTC, datetime

from rich.console import Console

from actors.cli.stats_screen import StatsScreen, stats_table
from actors.stats.message_totals import MessageTotalsSnapshot
from actors.stats.run_snapshot import RunSnapshot

DONE = RunSnapshot(
    "chain",
    MessageTotalsSnapshot(message_count=2, error_count=1),
    {"[b]": MessageTotalsSnapshot(message_count=2)},
    errors=(("c", "no [luck]", datetime(2026, 1, 1, tzinfo=UTC)),),
    done=True,
)


def test_the_table_shows_nodes_and_failures_literally() -> None:
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as captured:
        console.print(stats_table(DONE))

    assert "chain: done" in captured.get()
    assert "[b]" in captured.get()
    assert "c: no [luck]" in captured.get()


def test_the_screen_draws_until_the_run_is_done() -> None:
    page = io.StringIO()
    with StatsScreen(Console(file=page, force_terminal=True, width=100)) as screen:
        screen.show(RunSnapshot("chain", MessageTotalsSnapshot()))
        screen.show(DONE)

    assert "chain: running" in page.getvalue()
    assert "chain: done" in page.getvalue()
