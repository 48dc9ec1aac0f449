"""Continue the traces of requests in the runs that they start."""

from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from actors.pool.pool import AgentPool


class TraceContext:
    """Middleware that continues the trace which a request names (``traceparent``), if the pool is traced.

    Example:
        ```python
        app.add_middleware(TraceContext, pool=pool)
        ```
    """

    def __init__(self, app: ASGIApp, pool: AgentPool[Any]) -> None:
        self._app = app
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and self._pool.tracing is not None:
            self._pool.tracing.continued(scope["headers"])
        await self._app(scope, receive, send)
