"""The pool lives as long as the application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from actors.dashboard import dashboard
from actors.testing.models import slow_model
from actors.web import health_routes, lifespan, metrics_routes
from protocols.errors import NodeStartError
from tests.web.server import make_app, make_pool, serve_app

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


async def test_the_pool_runs_while_the_application_does(tmp_path: Path) -> None:
    pool = make_pool(tmp_path)
    app = FastAPI(lifespan=lifespan(pool))
    async with serve_app(app):
        assert pool.is_running
        assert app.state.pool is pool

    assert not pool.is_running


async def test_requests_in_hand_are_answered_before_the_pool_ends(tmp_path: Path) -> None:
    release = asyncio.Event()
    model = slow_model(release)
    async with serve_app(make_app(make_pool(tmp_path, model))) as stage, stage.client() as http:
        answer = asyncio.create_task(http.post("/ask/helper", content="hello"))
        await model.started.wait()
        stage.server.should_exit = True
        release.set()
        assert (await answer).text == "hello"

    assert model.cancelled == 0


async def test_an_application_whose_pool_cannot_start_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(tmp_path)

    async def broken() -> None:
        raise OSError("no such server")

    monkeypatch.setattr(pool["helper"], "open", broken)
    with pytest.raises(NodeStartError, match="no such server"):
        async with lifespan(pool)(FastAPI()):
            pass

    assert not pool.is_running


@pytest.mark.parametrize("function", [lifespan, health_routes, metrics_routes, dashboard])
def test_what_is_no_pool_is_refused_at_once(function: Any) -> None:
    with pytest.raises(TypeError, match=r"needs a pool, not 'agents.yml'; make it of a manifest"):
        function("agents.yml")
