"""The metrics of a pool for Prometheus over HTTP."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors.pool.pool import AgentPool
from actors.runtime.background_loop import current_system
from actors.telemetry.snapshot import PoolMetrics
from actors.web.extra import WebExtraError
from actors.web.health import NO_STORE, check_pool, guarded


def metrics_routes(pool: AgentPool[Any], *, path: str = "/metrics", hosts: Sequence[str] = ()) -> list[Route]:
    """Return the route that Prometheus scrapes: the metrics of docs/telemetry.md, never the text of a run or an error.

    Args:
        pool: the pool. Several processes have an endpoint each.
        path: of the route.
        hosts: names in the Host header that are answered, as for `health_routes`.

    Raises:
        WebExtraError: the extra ``prometheus`` is not installed.
    """
    try:
        from actors.telemetry.prometheus import exposition
    except ModuleNotFoundError as error:
        WebExtraError.check(error)
        raise
    check_pool(pool, "metrics_routes")
    metrics = PoolMetrics(pool)

    async def scrape(request: Request) -> Response:
        if not pool.is_open:
            return Response("the pool does not run\n", 503, NO_STORE, "text/plain")
        in_thread = (pool.system or current_system()).in_thread
        text, kind = await in_thread(exposition)(await metrics.read(), request.headers.get("accept", ""))
        return Response(text, 200, {**NO_STORE, "content-type": kind})

    return [Route(path, guarded(scrape, hosts, "metrics_routes"), methods=["GET"])]
