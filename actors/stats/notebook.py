"""A run in a notebook: the output of its cell is updated until the run ends."""

import asyncio
import sys
from collections.abc import Coroutine
from importlib import import_module
from typing import Any, Final

from actors.stats.run_snapshot import RunSnapshot, html_table, text_table

_kept: Final[set[asyncio.Task[Any]]] = set()
"""Tasks that update outputs, kept here because the event loop holds tasks only weakly."""


def in_notebook() -> bool:
    """Return True if the kernel of a notebook runs this code."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookScreen:
    """Updates one table in the output of the cell, when the run has changed. All texts are escaped."""

    def __init__(self) -> None:
        """Find the notebook.

        Raises:
            NotImplementedError: no notebook runs this code; IPython then shows an object in another way.
        """
        if not in_notebook():
            other = "TextScreen, or `actors.cli.stats_screen.StatsScreen`"
            raise NotImplementedError(f"NotebookScreen: no notebook runs this code; use {other}")
        self._display: Any = import_module("IPython.display").display
        self._handle: Any = None
        self._shown: dict[str, str] = {}

    def show(self, run: RunSnapshot) -> None:
        """Show the run in place of the last snapshot."""
        shown = {"text/html": html_table(run), "text/plain": text_table(run)}
        if shown == self._shown:
            return
        self._shown = shown
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def go_on(work: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine in the background of the running loop; without a loop it is not run."""
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
        task.exception()  # a closed page is not an error of the run
