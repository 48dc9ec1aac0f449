"""A page that shows a running pool, live: what runs, what waits, what failed, what it costs.

Needs the extra ``web``; nothing listens unless the application is served.
"""

from actors.web.extra import WebExtraError

try:
    from actors.dashboard.app import dashboard, serve_monitor
except ModuleNotFoundError as error:
    WebExtraError.check(error)
    raise

__all__ = ["WebExtraError", "dashboard", "serve_monitor"]
