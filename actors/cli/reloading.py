"""Apply a changed manifest to a running pool, on request."""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

from actors.app import App, make_importable
from actors.cli.exit_code import CommandError, text_of
from actors.cli.manifest_watch import ManifestWatch
from actors.cli.option import read_manifest
from actors.cli.progress import to_stderr
from actors.cli.redaction import one_line
from actors.cli.reload_signal import reload_signal
from actors.config.manifest import Manifest
from actors.runtime.daemon_thread import in_daemon_thread


class Reloading:
    """Reloads the manifest of a pool, one request after the other; requests during a reload count as one.

    A request is SIGHUP, and a change of the files if they are watched. A manifest that cannot be applied changes
    nothing: one line says why.

    Args:
    app: the running pool.
    file: its manifest.
    watches_files: True if a change of the manifest, or of a file it inherits from, is a request.
    check: called with a manifest before it is applied; refuses it by raising.
    reloaded: called after a manifest was applied.
    hung_up: called instead of a reload when SIGHUP comes from a closed terminal.
    """

    def __init__(
        self,
        app: App,
        file: Path,
        *,
        watches_files: bool,
        check: Callable[[Manifest], object],
        reloaded: Callable[[], object],
        hung_up: Callable[[], object],
    ) -> None:
        self._app = app
        self._file = file
        self._check = check
        self._reloaded = reloaded
        self._hung_up = hung_up
        self._due = asyncio.Event()
        self._watch = ManifestWatch(self.request) if watches_files else None
        self._task: asyncio.Task[None] | None = None

    def request(self) -> None:
        """Request a reload."""
        self._due.set()

    async def __aenter__(self) -> Self:
        """Start watching.

        Raises:
            CommandError: a library is missing, or the folders cannot be watched.
        """
        if self._watch is not None:
            await self._watch.watch(self._app.pool.manifest.files)
        self._task = asyncio.create_task(self._run(), name="reload")
        reload_signal.heard = partial(asyncio.get_running_loop().call_soon_threadsafe, self._on_hangup)
        if reload_signal.has_come:
            self._on_hangup()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        reload_signal.heard = bool  # does nothing
        if self._watch is not None:
            await self._watch.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _on_hangup(self) -> None:
        if reload_signal.is_terminal_gone():
            self._hung_up()
        else:
            self.request()

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._reload()
            except Exception as error:
                to_stderr(f"understage: not reloaded, everything goes on as before: {self._why(error)}")
            if self._watch is not None:  # links may lead elsewhere now, to a manifest that has to be mended
                try:
                    await self._watch.watch(self._app.pool.manifest.files)
                except CommandError as error:
                    to_stderr(f"understage: {error}; 'kill -HUP {os.getpid()}' still reloads")

    def _why(self, error: Exception) -> str:
        problems = text_of(error).splitlines()
        more = f" (and {len(problems) - 1} more; see 'understage validate {self._file}')" if problems[1:] else ""
        return one_line(problems[0] + more)

    async def _reload(self) -> None:
        manifest = await in_daemon_thread(read_manifest, self._file)
        make_importable(manifest)
        self._check(manifest)
        done = await self._app.pool.reload(manifest)
        to_stderr(f"understage: reloaded: {one_line(str(done))}")
        self._reloaded()
