"""Announce what a running pool watches."""

import asyncio
from typing import Final, Self

from actors.app import App
from actors.cli.progress import to_stderr
from actors.runtime.errors import ActorStoppingError, RuntimeClosedError

_PAUSE: Final = 0.1
"""Seconds between two questions to triggers of which one has failed."""


class Announcement:
    """Announces the triggers of a pool, and again when they have changed."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._said: list[str] = []
        self._task: asyncio.Task[None] | None = None

    def renew(self) -> None:
        """Announce the triggers when all of them run, unless the text is the last one said."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._announce(), name="announcement")

    async def __aenter__(self) -> Self:
        self.renew()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _announce(self) -> None:
        while self._app.triggers.plan.triggers:
            try:
                await self._app.triggers.ready(None)
            except (ActorStoppingError, RuntimeClosedError):  # the pool ends
                return
            except Exception:  # it failed, which is shown, and will be started again
                await asyncio.sleep(_PAUSE)
            else:
                break
        lines = self._lines()
        if lines != self._said:
            self._said = lines
            for line in lines:
                to_stderr(line)

    def _lines(self) -> list[str]:
        plan = self._app.triggers.plan
        if not plan.triggers:
            return ["understage: no trigger of the manifest is switched on, so nothing will happen; Ctrl+C ends it"]
        names = ", ".join(trigger.full_name for trigger in plan.triggers)
        hooks = [f"understage: webhooks on {site.url}" for site in plan.sites]
        return [*hooks, f"understage: watching {names}; Ctrl+C ends it"]
