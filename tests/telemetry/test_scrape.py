"""Prometheus scrapes a pool over a real server on loopback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from actors import Agent, AgentPool
from actors.runtime.background_loop import current_system
from actors.stats.stats_actor import StatsActor
from actors.testing.models import failing_model, slow_model
from actors.web import lifespan, metrics_routes
from tests.telemetry.pools import in_prometheus
from tests.web.server import serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

CANARY = "canary-0123456789"


@pytest.fixture
async def pool(no_leaked_actors: None) -> AsyncGenerator[AgentPool[Any]]:
    stats = await current_system().start(StatsActor).ready()
    yield AgentPool[Any]()
    await stats.stop(block=False)


def app_of(pool: AgentPool[Any], **options: Any) -> Starlette:
    return Starlette(routes=metrics_routes(pool, **options), lifespan=lifespan(pool))


async def test_a_scrape_tells_what_the_runs_did_and_nothing_else(pool: AgentPool[Any]) -> None:
    async with serve_app(app_of(pool)) as stage, stage.client() as http:
        await pool.add_agent("a", model="offline", system_prompt=CANARY)
        await pool.add_agent("bad", model=failing_model(ValueError(CANARY)))
        await pool["a"].run(CANARY, session=CANARY)
        with pytest.raises(ValueError, match=CANARY):
            await pool["bad"].run(CANARY)
        answer = await http.get("/metrics")

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert in_prometheus(answer.text)["understage.run.failed"] == {"a": 0, "bad": 1}
    assert CANARY not in answer.text


async def test_a_scrape_waits_for_no_run(pool: AgentPool[Any]) -> None:
    release = asyncio.Event()
    async with serve_app(app_of(pool)) as stage, stage.client() as http:
        model = slow_model(release, "yes")
        agent = await pool.add_agent("a", model=model)
        runs = [asyncio.ensure_future(agent.run("x")) for _ in range(3)]
        await model.started.wait()
        numbers = in_prometheus((await http.get("/metrics")).text)
        release.set()
        await asyncio.gather(*runs)

    assert numbers["understage.run.active"] == {"a": 1}
    assert numbers["understage.mailbox.depth"]["a"] == 2


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example", 403), ("mine.example:9", 200), ("127.0.0.1", 200), ("", 403)]
)
async def test_other_names_of_this_machine_are_refused(pool: AgentPool[Any], host: str, status: int) -> None:
    async with serve_app(app_of(pool, hosts=["mine.example"])) as stage, stage.client() as http:
        answer = await http.get("/metrics", headers={"host": host})

    assert answer.status_code == status
    assert ("metrics_routes(hosts=" in answer.text) == (status == 403)


async def test_nothing_can_be_changed_and_the_path_is_free(pool: AgentPool[Any]) -> None:
    async with serve_app(app_of(pool, path="/internal/numbers")) as stage, stage.client() as http:
        answers = [
            await http.post("/internal/numbers"),
            await http.get("/internal/numbers"),
            await http.get("/metrics"),
        ]

    assert [answer.status_code for answer in answers] == [405, 200, 404]


async def test_scrapes_at_the_same_time_are_answered(pool: AgentPool[Any]) -> None:
    async with serve_app(app_of(pool)) as stage, stage.client() as http:
        await pool.add_node(Agent.from_callback(str.upper, name="a"))
        answers = await asyncio.gather(*(http.get("/metrics") for _ in range(20)))

    assert {answer.status_code for answer in answers} == {200}


async def test_a_pool_that_does_not_run_has_no_metrics() -> None:
    client = TestClient(app_of(AgentPool[Any]()), base_url="http://localhost")  # without its context no lifespan runs
    answer = await asyncio.to_thread(client.get, "/metrics")

    assert (answer.status_code, answer.text) == (503, "the pool does not run\n")


def test_without_the_library_the_extra_is_named_when_the_routes_are_made() -> None:
    code = (
        "import sys\nsys.modules['prometheus_client'] = None\nfrom actors.web import metrics_routes\n"
        "try:\n    metrics_routes(None)\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    words = "needs prometheus_client, which is not installed; install the extra: pip install 'understage[prometheus]'"
    assert done.stdout.strip() == f"actors.web {words}"
