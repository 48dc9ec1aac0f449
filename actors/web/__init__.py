"""A pool inside a web service: lifespan, disconnected clients, health, a server that ends in order.

Needs the extra ``web``; nothing listens unless `serve` is called.
"""

from actors.web.extra import WebExtraError

try:
    from actors.http import BodyLimit, CancelOnDisconnect, serve
    from actors.web.errors import error_handlers
    from actors.web.health import health_routes
    from actors.web.life import lifespan
    from actors.web.metrics import metrics_routes
    from actors.web.trace_context import TraceContext
except ModuleNotFoundError as error:
    WebExtraError.check(error)
    raise

__all__ = [
    "BodyLimit", "CancelOnDisconnect", "TraceContext", "WebExtraError", "error_handlers", "health_routes", "lifespan",
    "metrics_routes", "serve",
]  # fmt: skip
