"""A run in a notebook: the output of its cell is brought up to date until the run has ended."""

import asyncio
import sys
from collections.abc import Coroutine
from importlib import import_module
from typing import Any, Final

from actors.stats.run_snapshot import RunSnapshot, html_table, text_table

_kept: Final[set[asyncio.Task[Any]]] = set()
"""What brings outputs up to date; the event loop itself does not hold on to it."""


def in_notebook() -> bool:
    """Whether the kernel of a notebook runs this code."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookScreen:
    """Keeps one table in the output of the cell up to date. Everything in it is escaped.

    Nothing is sent as long as nothing has changed.
    """

    def __init__(self) -> None:
        """Find the notebook.

        Raises:
            NotImplementedError: this is none; IPython then shows an object in another way.
        """
        if not in_notebook():
            text = (
                "NotebookScreen: no notebook runs this code; use TextScreen, or `actors.cli.stats_screen.StatsScreen`"
            )
            raise NotImplementedError(text)
        self._display: Any = import_module("IPython.display").display
        self._handle: Any = None
        self._shown: dict[str, str] = {}

    def show(self, run: RunSnapshot) -> None:
        """Show the run in place of what was shown before."""
        shown = {"text/html": html_table(run), "text/plain": text_table(run)}
        if shown == self._shown:
            return
        self._shown = shown
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def go_on(work: Coroutine[Any, Any, Any]) -> None:
    """Do this beside the cells on the running loop; without one it is not done."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        work.close()
        return
    task = loop.create_task(work, name="notebook")
    _kept.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[Any]) -> None:
    _kept.discard(task)
    if not task.cancelled():
        task.exception()  # a page that has gone is no error of the run
