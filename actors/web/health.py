"""Health of a pool over HTTP: names, states and counts; never prompts, answers, settings or the text of an error."""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors.http.head_check import is_known_host, known_hosts
from actors.nodes.node import AnyNode
from actors.pool.pool import AgentPool
from actors.runtime.errors import RestartIntensityExceededError
from actors.supervision.replicas import workers_of
from protocols.checks import is_a
from protocols.control import ActorState
from protocols.errors import type_name

Answer = Callable[[Request], Awaitable[Response]]
NO_STORE: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
GONE: Final = "gone"
"""The state of a node without an actor."""


def health_routes(pool: AgentPool[Any], *, prefix: str = "/health", hosts: Sequence[str] = ()) -> list[Route]:
    """Return two routes that tell the state of the process.

    ``{prefix}/live`` answers 200 as long as a new process would do no better: the event loop runs, and the pool has not
    given up. After that it answers 503 with status ``dead``. ``{prefix}/ready`` answers 200 while the pool runs and
    every node has an actor: with status ``ready``, or ``degraded`` during restarts and while a service, such as the
    journal, is slow. Otherwise it answers 503 with status ``unavailable``, the names of the nodes without an actor, the
    services that fail, and the cause. So does a host of a cluster that is ``draining``, or has been ``disconnected``
    from its database for longer than its leases are good.

    Args:
        pool: the pool.
        prefix: path before the two names.
        hosts: names in the Host header that are answered, apart from ``localhost`` and addresses. Other names get 403,
            so that a web page cannot read the answers by pointing its own name at this machine.

    Example:
        ```python
        app.routes.extend(health_routes(pool, hosts=["agents.example.org"]))
        ```
    """
    check_pool(pool, "health_routes")

    async def live(_request: Request) -> Response:
        if pool.is_open and not pool.is_running:
            return JSONResponse({"status": "dead", "cause": _cause(pool, [], {})}, 503, NO_STORE)
        return JSONResponse({"status": "alive"}, headers=NO_STORE)

    async def ready(_request: Request) -> Response:
        state = readiness(pool)
        return JSONResponse(state, 503 if state["status"] == "unavailable" else 200, NO_STORE)

    answers = [(at.__name__, guarded(at, hosts, "health_routes")) for at in (live, ready)]
    return [Route(f"{prefix}/{name}", answer, methods=["GET"]) for name, answer in answers]


def readiness(pool: AgentPool[Any]) -> dict[str, Any]:
    """Return the state of a pool and of the actors of its nodes, on its event loop."""
    nodes = {name: _node(node) for name, node in pool.nodes.items()}
    gone = [name for name, node in nodes.items() if node["state"] == GONE]
    troubled = {name: health for name, health in pool.health.items() if health != "ready"}
    status = status_of(pool, {node["state"] for node in nodes.values()})
    state = {"status": status, "pool": pool.name, "is_running": pool.is_running, "gone": gone, "nodes": nodes}
    state |= {"services": troubled} if troubled else {}
    return state if status != "unavailable" else {**state, "cause": _cause(pool, gone, troubled)}


def _cause(pool: AgentPool[Any], gone: Sequence[str], troubled: Mapping[str, str]) -> str:
    """Return why a pool is unavailable, by names only: the text of an error may hold anything."""
    causes = (pool.end_cause, *(pool.nodes[name].home.end_cause() for name in gone))
    given_up = next((one.node for one in causes if isinstance(one, RestartIntensityExceededError)), None)
    if given_up is not None:
        return f"{pool.name} gave up on {given_up!r}"
    if not pool.is_open:
        return f"{pool.name} does not run"
    if not pool.is_running:
        return f"{pool.name} has ended: {type_name(pool.end_cause)}" if pool.end_cause else f"{pool.name} was stopped"
    ended = [f"{name} {health}" for name, health in troubled.items() if health != "degraded"]
    return "; ".join([*([f"no actor: {', '.join(gone)}"] if gone else []), *ended])


def status_of(pool: AgentPool[Any], states: Set[str]) -> str:
    """Return the status of a pool with nodes in these states."""
    health = set(pool.health.values())
    if GONE in states or health - {"ready", "degraded"} or not pool.is_running:
        return "unavailable"
    return "ready" if states <= {ActorState.RUNNING} and health <= {"ready"} else "degraded"


def _node(node: Any) -> dict[str, Any]:
    ref = node.home.find()
    if ref is None:
        return {"state": GONE, "restarts": 0, "waiting": 0}
    restarts = sum(one.incarnation - 1 for one in {ref, *(worker.ref for worker in workers_of((ref,)))})
    return {"state": state_of(node), "restarts": restarts, "waiting": ref.statistics().depth}


def state_of(node: AnyNode) -> str:
    """Return the state of the actor of a node, that of a replica if one does not run; `GONE` without an actor."""
    ref = node.home.find()
    if ref is None:
        return GONE
    return str(next((cell.state for cell in workers_of((ref,)) if cell.state != ActorState.RUNNING), ref.state))


def check_pool(pool: object, function: str) -> None:
    """Refuse what is not a pool with a TypeError that names the function it was given to."""
    if not is_a(pool, AgentPool):
        raise TypeError(f"{function} needs a pool, not {pool!r}; make it of a manifest by AgentPool('agents.yml')")


def guarded(answer: Answer, hosts: Sequence[str], routes: str) -> Answer:
    """Return an answer for known names in the Host header only; `routes` is the function that takes `hosts`."""
    known = known_hosts(hosts)

    async def guarded(request: Request) -> Response:
        host = request.headers.get("host")  # probes of HTTP/1.0 name none; a browser always does
        if host is not None and not is_known_host(host, known):
            text = f"this host name is not answered; pass it to {routes}(hosts=[...])"
            return JSONResponse({"error": text}, 403, NO_STORE)
        return await answer(request)

    return guarded
