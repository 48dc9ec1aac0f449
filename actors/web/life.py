"""The life of a pool as the life of a web application."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.applications import Starlette

    from actors.pool.pool import AgentPool


def lifespan(pool: AgentPool[Any]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Return the lifespan of an application that uses a pool.

    The pool starts before the first request is taken, and ends after the last one was answered: background runs stop,
    accepted runs have ``exit_timeout`` seconds of the pool to end. It is also ``app.state.pool``. A pool that cannot
    start ends the server with the reason.

    Example:
        ```python
        pool = AgentPool("agents.yml")
        app = FastAPI(lifespan=lifespan(pool))
        app.add_middleware(CancelOnDisconnect)


        @app.post("/ask")
        async def ask(question: str) -> str:
            return (await pool["helper"].run(question)).text
        ```
    """

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncGenerator[None]:
        async with pool:
            app.state.pool = pool
            yield

    return live
