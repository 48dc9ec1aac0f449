"""The lifespan of a web application with a pool."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from actors.pool.pool import AgentPool
from actors.web.health import check_pool


def lifespan(pool: AgentPool[Any]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Return the lifespan of an application that uses a pool.

    The pool starts before the first request and ends after the last answer: background runs stop, and accepted runs
    have ``exit_timeout`` seconds to end. ``app.state.pool`` is the pool. A pool that cannot start ends the server with
    the reason.

    Example:
        ```python
        pool = AgentPool("agents.yml")
        app = FastAPI(lifespan=lifespan(pool))
        app.add_middleware(CancelOnDisconnect)


        @app.post("/ask")
        async def ask(question: str) -> str:
            return (await pool["helper"].run(question)).text
        ```

    Raises:
        TypeError: it is not a pool.
    """
    check_pool(pool, "lifespan")

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncGenerator[None]:
        async with pool:
            app.state.pool = pool
            yield

    return live
