"""A pool inside a web service: its life, requests whose clients have gone, health, a server that ends in order.

Needs the extra ``web``; nothing listens unless `serve` is called.
"""

from actors.web.extra import WebExtraError

try:
    from actors.web.body_limit import BodyLimit
    from actors.web.disconnect import CancelOnDisconnect
    from actors.web.health import health_routes
    from actors.web.life import lifespan
    from actors.web.service import serve
except ModuleNotFoundError as error:
    if not WebExtraError.is_about(error):
        raise
    raise WebExtraError.of(error) from error

__all__ = ["BodyLimit", "CancelOnDisconnect", "WebExtraError", "health_routes", "lifespan", "serve"]
