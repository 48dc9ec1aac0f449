"""What viewers may do: cancel runs, stop and restart actors, fire triggers, decide about tool calls."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors.app.dead_letters import replay_dead_letter
from actors.app.trigger_service import TriggerService
from actors.dashboard.feed_table import name_of, shown
from actors.dashboard.pool_rows import FIRED, children_of, id_of
from actors.pool.pool import AgentPool
from actors.runtime.background_loop import current_system
from actors.runtime.cell import Cell
from actors.supervision.child_state import ChildState
from protocols.errors import UnderstageError
from protocols.triggers import TimeReached

PATIENCE: Final = 2.0
"""Seconds that an answer waits for the end of what it has begun."""
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409


class RefusedError(UnderstageError):
    """An action is not possible. The text says who, what, and what to do."""

    def __init__(self, text: str, status: int = _CONFLICT) -> None:
        super().__init__(text)
        self.status = status


class _Reason(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


class _Letters(msgspec.Struct, forbid_unknown_fields=True):
    ids: list[str]


class Actions:
    """The actions on one pool.

    Args:
        pool: the pool.
        can_act: False to refuse them all.
        replayed: called when dead letters were told again.
    """

    def __init__(self, pool: AgentPool[Any], *, can_act: bool, replayed: Callable[[], object]) -> None:
        self._pool = pool
        self._replayed = replayed
        self._can_act = can_act

    def routes(self) -> list[Route]:
        """Return the routes of the actions."""
        paths: dict[str, Callable[[Request], Awaitable[str]]] = {
            "/api/runs/{run}/cancel": self._cancel,
            "/api/actors/{id}/stop": self._stop,
            "/api/actors/{id}/restart": self._restart,
            "/api/dead/replay": self._replay,
            "/api/triggers/{name:path}/fire": self._fire,
            "/api/approvals/{run}/approve": self._approve,
            "/api/approvals/{run}/deny": self._deny,
            "/api/approvals/{run}/{call:path}/approve": self._approve,
            "/api/approvals/{run}/{call:path}/deny": self._deny,
        }
        return [Route(path, self._answering(act), methods=["POST"]) for path, act in paths.items()]

    def _answering(self, act: Callable[[Request], Awaitable[str]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not self._can_act:
                return JSONResponse({"error": "this dashboard only shows; make it with can_act=True"}, 403)
            if not self._pool.is_running:
                return JSONResponse({"error": f"pool {self._pool.name!r} does not run"}, 503)
            try:
                return JSONResponse({"ok": True, "text": await act(request)})
            except msgspec.DecodeError as error:
                return JSONResponse({"error": f"the body is not what this action takes: {error}"}, 400)
            except UnderstageError as error:
                return JSONResponse({"error": shown(str(error))}, getattr(error, "status", _CONFLICT))

        return answer

    async def _cancel(self, request: Request) -> str:
        run: str = request.path_params["run"]
        if not self._pool.cancel_run(run):
            raise RefusedError(f"run {name_of(run)!r} is not in flight: it has ended, or is unknown", _NOT_FOUND)
        return f"run {name_of(run)} is cancelled"

    async def _stop(self, request: Request) -> str:
        above, child = self._child(request)
        return await _within(above.ref.proxy().terminate_child(child.name), child.name, "is stopped", "is stopping")

    async def _restart(self, request: Request) -> str:
        above, child = self._child(request)
        if child.restart == "temporary":
            raise RefusedError(f"actor {child.name!r} is temporary: it does its work once; start another one")
        return await _within(above.ref.proxy().replace_child(child.spec), child.name, "runs anew", "is restarting")

    def _child(self, request: Request) -> tuple[Cell, ChildState]:
        """Return the supervisor of an actor, and what it knows of the actor."""
        wanted: str = request.path_params["id"]
        system = self._pool.system or current_system()
        for above, child in children_of(system):
            if id_of(child.cell) == wanted:
                return above, child
        for cell in tuple(system.cells):
            if id_of(cell) == wanted:
                raise RefusedError(
                    f"actor {cell.name!r} has no supervisor that could stop or restart it; stop its pool"
                )
        raise RefusedError(f"actor {name_of(wanted)!r} is unknown: it has ended for good", _NOT_FOUND)

    async def _replay(self, request: Request) -> str:
        ids = dict.fromkeys(msgspec.json.decode(await request.body() or b"{}", type=_Letters).ids)
        refused: list[str] = []
        for id in ids:
            try:
                await replay_dead_letter(self._pool, id)
            except UnderstageError as error:
                refused.append(str(error))
        self._replayed()
        told = f"{len(ids) - len(refused)} of {len(ids)} dead letters were told again"
        if refused or not ids:
            raise RefusedError(f"{told}: {'; '.join(refused[:3]) or 'name their ids'}")
        return told

    async def _fire(self, request: Request) -> str:
        name: str = request.path_params["name"]
        service = self._pool.service(TriggerService)
        known = {} if service is None else {trigger.full_name: trigger for trigger in service.triggers}
        trigger = known.get(name)
        if trigger is None:
            raise RefusedError(f"trigger {name_of(name)!r} is unknown: the pool has no such trigger now", _NOT_FOUND)
        spec: Any = trigger.settings
        if not isinstance(spec, FIRED):
            raise RefusedError(f"trigger {name_of(name)!r} is of type {spec.type!r}: its event cannot be made by hand")
        now = time.time()
        event = TimeReached(source=trigger.name, time=now, schedule="by hand", prompt=spec.prompt, due=now)
        ticket = await trigger.accept(event)
        return f"trigger {name_of(name)} has started run {ticket.run_id}"

    async def _approve(self, request: Request) -> str:
        self._pool.approve(request.path_params["run"], request.path_params.get("call"))
        return "the call is approved"

    async def _deny(self, request: Request) -> str:
        body = msgspec.json.decode(await request.body() or b"{}", type=_Reason)
        self._pool.deny(request.path_params["run"], request.path_params.get("call"), body.reason)
        return "the call is denied"


async def _within(done: Awaitable[object], who: str, ended: str, meanwhile: str) -> str:
    """Wait for the end of what was begun, but not for long."""
    waiting = asyncio.ensure_future(done)
    finished, _ = await asyncio.wait([waiting], timeout=PATIENCE)
    if not finished:
        waiting.add_done_callback(lambda late: late.cancelled() or late.exception())
        return f"{who} {meanwhile}"
    error = waiting.exception()
    if error is not None:
        raise RefusedError(str(error)) from error
    return f"{who} {ended}"
