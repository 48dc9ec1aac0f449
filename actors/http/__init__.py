"""One hardened HTTP server for webhooks, dashboard and interop. Importing this room needs starlette and uvicorn."""

from actors.http.body_limit import BodyLimit, LimitedBody
from actors.http.disconnect import CancelOnDisconnect
from actors.http.server import application, bind, private_socket, running_server, serve

__all__ = [
    "BodyLimit", "CancelOnDisconnect", "LimitedBody", "application", "bind", "private_socket", "running_server",
    "serve",
]  # fmt: skip
