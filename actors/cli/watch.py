"""A pool that runs until a signal: triggers start runs, answers go to standard output."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from actors.app import App, TriggerAnswer, answer_fields, check_models, configure_logging, open_app, readable
from actors.cli.exit_code import CommandError, ExitCode, fail
from actors.cli.feed_client import socket_path
from actors.cli.loop import run
from actors.cli.manifest_watch import notifier_class
from actors.cli.option import is_debug, read_manifest
from actors.cli.output import write
from actors.cli.pool_exit import PoolEnd
from actors.cli.progress import STEPS, TROUBLE, line_of, to_stderr
from actors.cli.redaction import one_line
from actors.cli.reloading import Reloading
from actors.cli.shutdown import Shutdown
from actors.cli.web_server import Serve, web_servers
from actors.config.manifest import Manifest
from actors.pool.pool import AgentPool
from actors.runtime.errors import ActorStoppingError, RuntimeClosedError
from actors.runtime.system import ActorSystem
from actors.talk.signal import Signal
from protocols.events import StampedEvent

_PAUSE: Final = 0.1
"""Seconds between two questions to triggers of which one has failed."""


class WatchOutput:
    """Shows the events of a pool until it is closed.

    A closed output calls `on_failure` once, and `error` says why.
    """

    def __init__(self, *, shows_messages: bool, as_json: bool, on_failure: Callable[[], object]) -> None:
        self.error: CommandError | None = None
        """Why the output cannot be written; None while it can."""
        self.running: dict[str, str] = {}
        """The names of the triggers of running runs."""
        self._shows_messages = shows_messages
        self._as_json = as_json
        self._on_failure = on_failure

        self.answered: Signal[TriggerAnswer] = Signal("answered")
        """Called with the text for standard output."""
        if shows_messages:
            self.answered.connect(self._answer)

    def listen(self, system: ActorSystem) -> None:
        """Show the events of a system from now on."""
        system.events.subscribe(self._tell, STEPS if self._shows_messages else TROUBLE)

    def _answer(self, answer: TriggerAnswer) -> None:
        if self.error is not None:
            return
        try:
            write(_as_json(answer) if self._as_json else f"{answer.node}: {readable(answer.answer)}")
        except CommandError as error:
            self.error = error
            self._on_failure()

    def _tell(self, event: StampedEvent) -> None:
        trigger = self.running.get(event.run_id)
        is_trouble = event.run_id and isinstance(event, TROUBLE)
        where = f" ({f'trigger {one_line(trigger)}, ' if trigger else ''}run {event.run_id})" if is_trouble else ""
        to_stderr(line_of(event) + where)


def _as_json(given: TriggerAnswer) -> str:
    answer = given.answer
    document: dict[str, Any] = {
        "node": given.node,
        "trigger": given.trigger,
        "run_id": given.run_id,
        "event": given.event.__struct_config__.tag,
        **answer_fields(answer),
        "conversation_id": answer.conversation_id,
    }
    return json.dumps(document, ensure_ascii=False, default=str)


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


@dataclass(frozen=True)
class Watch:
    """The manifest, and what is shown."""

    manifest_file: Path
    shows_messages: bool = True
    as_json: bool = False
    reloads: bool = False
    """True if changes of the manifest are applied."""
    grace: float = 30.0
    """Seconds of the orderly end, before all work is cancelled."""
    health: str | None = None
    """``PORT`` or ``HOST:PORT`` of the health, 0 for any free port; None for none. The same for the next two."""
    metrics: str | None = None
    dashboard: str | None = None

    def run(self) -> int:
        """Run until a signal comes, or the pool ends by itself; return the exit code that belongs to it.

        Raises:
            Exception: what kept it from starting; `actors.cli.main` makes a message of it.
        """
        configure_logging(debug=is_debug.get(), warns=True)
        if not self.grace >= 0:
            fail(f"--grace must be a number of seconds >= 0, not {self.grace:g}")
        manifest = read_manifest(self.manifest_file)
        _check(manifest)
        if self.reloads:
            notifier_class()
        with web_servers({"health": self.health, "metrics": self.metrics, "dashboard": self.dashboard}) as serve:
            ending = run(self._watch(manifest, serve))
        to_stderr(f"understage: {ending.reason}")
        return ending.code

    async def _watch(self, manifest: Manifest, serve: Serve) -> Shutdown:
        ending = Shutdown(self.grace)
        output = WatchOutput(shows_messages=self.shows_messages, as_json=self.as_json, on_failure=ending.begin)
        with ending.listening():
            try:
                async with (
                    open_app(manifest, prepare=output.listen, answered=output.answered, running=output.running) as app,
                    monitored(app.pool, self.manifest_file, lambda: ending.reason),
                    serve(app.pool),
                    Announcement(app) as announcement,
                    self._reloading(app, announcement, ending),
                ):
                    PoolEnd(app, lambda verdict: ending.begin(verdict.code, verdict.text))
                    await ending.wait()
            except asyncio.CancelledError:
                if not ending.reason:
                    raise
        if output.error is not None:
            raise output.error
        return ending

    def _reloading(self, app: App, announcement: Announcement, ending: Shutdown) -> Reloading:
        return Reloading(
            app,
            self.manifest_file,
            watches_files=self.reloads,
            check=_check,
            reloaded=announcement.renew,
            hung_up=lambda: ending.begin(ExitCode.TERMINATED, "the terminal is gone"),
        )


def _check(manifest: Manifest) -> None:
    """Check the models that triggers can use."""
    started = (name for name, node in manifest.nodes.items() if any(trigger.enabled for trigger in node.triggers))
    check_models(manifest, *started)


@asynccontextmanager
async def monitored(pool: AgentPool[Any], file: Path, reason: Callable[[], str] = str) -> AsyncGenerator[None]:
    """Let `understage top` and `approvals` reach the pool, if possible; `reason` says why the block ends."""
    async with AsyncExitStack() as stack:
        try:
            from actors.dashboard import serve_monitor

            await stack.enter_async_context(serve_monitor(pool, socket_path(file), reason=reason))
        except ImportError as error:
            needed = f"{error.name}, which is not installed: pip install 'understage[web]'"
            to_stderr(f"understage: 'top' and 'approvals' need {needed}")
        except (CommandError, OSError) as error:
            to_stderr(f"understage: 'top' and 'approvals' cannot reach this pool: {error}")
        yield
