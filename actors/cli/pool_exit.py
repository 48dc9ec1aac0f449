"""Why a running pool ends by itself: a true exit condition, or a supervisor that gave up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from actors.app import App
from actors.cli.exit_code import ExitCode, text_of
from actors.runtime.errors import ActorStoppingError, RuntimeClosedError
from actors.runtime.shutdown import STOP_ACTORS
from actors.stats.projection import StatsSnapshot
from protocols.errors import TalkError
from protocols.events import ActorStopped, ChildGaveUp, StampedEvent

_PHASE: Final = "say-why"
"""A phase before the actors stop, so the statistics can still be asked."""


@dataclass(frozen=True, slots=True)
class PoolExitReason:
    """Why a pool ends by itself."""

    code: ExitCode
    text: str


class PoolEnd:
    """Notices the end of a pool, its reason, and its last statistics.

    Args:
        app: the running pool.
        told: called once with the reason, on the event loop of the pool.
    """

    def __init__(self, app: App, told: Callable[[PoolExitReason], object] | None = None) -> None:
        self.verdict: PoolExitReason | None = None
        """None while the pool runs."""
        self._app = app
        self._told = told
        self._name = app.pool.name  # that of its supervisor, which a reload does not change
        self._why = ""
        self._numbers: StatsSnapshot | None = None
        app.system.events.subscribe(self._on_event, [ActorStopped, ChildGaveUp])
        if app.system.is_closing:
            self._closing()
            return
        app.system.shutdown.add_phase(_PHASE, before=(STOP_ACTORS,))
        app.system.shutdown.add_task(_PHASE, "verdict", self._closing)
        app.system.shutdown.add_task(_PHASE, "numbers", self._keep_numbers)
        if app.pool.nodes and self._is_empty():  # a trigger was quicker
            self._given_up()

    def look(self) -> PoolExitReason | None:
        """Return why the pool ended by itself; asked at its end, since a late message may be the cause."""
        self._closing()
        return self.verdict

    async def read_stats(self) -> StatsSnapshot | None:
        """Return the statistics of now, or the last ones of a stopped pool; None without any."""
        try:
            return await self._app.read_stats()
        except (ActorStoppingError, RuntimeClosedError):
            return self._numbers

    async def _keep_numbers(self) -> None:
        self._numbers = await self.read_stats()

    def _closing(self) -> None:
        """Read the reason of a closing system; an end from outside has none."""
        reason = self._app.system.exit_reason
        if isinstance(reason, TalkError):
            self._say(ExitCode.EXIT_CONDITION, str(reason))
        elif reason is not None:
            self._say(ExitCode.FAILED, f"a handler has ended the program: {text_of(reason)}")

    def _on_event(self, event: StampedEvent) -> None:
        if event.actor != self._name:
            return
        if isinstance(event, ChildGaveUp):
            self._why = f"{event.child!r} broke too often ({event.restarts} times, the last time: {event.reason})"
        elif isinstance(event, ActorStopped) and event.reason == "crash" and self._is_empty():
            self._given_up()

    def _given_up(self) -> None:
        causes = (node.home.end_cause() for node in self._app.pool.nodes.values())
        why = self._why or next((text_of(one) for one in causes if one is not None), "its nodes broke too often")
        self._say(ExitCode.GAVE_UP, f"the pool {self._name!r} has given up: {why}; nothing runs any more")

    def _is_empty(self) -> bool:
        """True if no node has an actor. An actor with the pool's name may be a node."""
        return not any(node.home.find() is not None for node in self._app.pool.nodes.values())

    def _say(self, code: ExitCode, text: str) -> None:
        if self.verdict is None:
            self.verdict = PoolExitReason(code, text)
            if self._told is not None:
                self._told(self.verdict)
