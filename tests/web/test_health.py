"""Health: what is told, to whom, and what is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from actors import AgentPool
from actors.config.load import parse_manifest
from actors.pool.registry import NodeRegistry
from actors.pool.services import Health, PoolService
from actors.testing.models import failing_model
from actors.testing.settle import settle
from actors.web.health import readiness
from tests.support.waiting import wait_until
from tests.web.server import make_app, make_pool, serve_app

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

CANARY = "sk-canary-0123456789"


async def get(path: str, folder: Path, *, host: str = "localhost", **health: Any) -> tuple[int, dict[str, Any]]:
    async with serve_app(make_app(make_pool(folder), **health)) as stage, stage.client() as http:
        answer = await http.get(path, headers={"host": host})
        return answer.status_code, answer.json()


async def test_a_process_that_answers_is_alive(tmp_path: Path) -> None:
    assert await get("/health/live", tmp_path) == (200, {"status": "alive"})


async def test_a_running_pool_is_ready_and_tells_the_state_of_every_node(tmp_path: Path) -> None:
    status, state = await get("/health/ready", tmp_path)

    running = {"state": "running", "restarts": 0, "waiting": 0}
    assert status == 200
    assert state == {
        "status": "ready",
        "pool": "web",
        "is_running": True,
        "gone": [],
        "nodes": dict.fromkeys(("helper", "other", "both"), running),
    }


async def test_a_pool_that_does_not_run_is_not_ready(tmp_path: Path) -> None:
    app = make_app(make_pool(tmp_path))
    client = TestClient(app, base_url="http://localhost")  # without its context no lifespan runs
    answer = await asyncio.to_thread(client.get, "/health/ready")

    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


async def test_a_probe_of_http_1_0_names_no_host(tmp_path: Path) -> None:
    async with serve_app(make_app(make_pool(tmp_path))) as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(b"GET /health/live HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_node_that_is_gone_makes_the_pool_unavailable(tmp_path: Path) -> None:
    pool = make_pool(tmp_path)
    async with serve_app(make_app(pool)) as stage, stage.client() as http:
        await pool["other"].ref().stop()
        answer = await http.get("/health/ready")

    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["gone"]) == ("unavailable", ["other"])


class Journal(PoolService):
    """A service whose health a test sets."""

    now: Health = "ready"

    @property
    def health(self) -> Health:
        return self.now


async def test_a_service_that_is_slow_or_broken_is_told(tmp_path: Path) -> None:
    journal = Journal()

    def made(_pool: NodeRegistry) -> Journal:
        return journal

    pool = make_pool(tmp_path, services=[made])
    async with serve_app(make_app(pool)) as stage, stage.client() as http:
        answers = {}
        for journal.now in ("ready", "degraded", "unavailable"):
            answer = await http.get("/health/ready")
            answers[journal.now] = answer.status_code, answer.json()["status"], answer.json().get("services")

    assert answers == {
        "ready": (200, "ready", None),
        "degraded": (200, "degraded", {"Journal": "degraded"}),
        "unavailable": (503, "unavailable", {"Journal": "unavailable"}),
    }


async def test_restarts_are_counted_and_no_secret_is_told(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, failing_model(ValueError(f"wrong key {CANARY}")))
    pool["helper"].crash_on = (ValueError,)
    async with serve_app(make_app(pool)) as stage, stage.client() as http:
        failed = await http.post("/ask/helper", content=f"my key is {CANARY}")
        ref = pool["helper"].ref()
        await wait_until(lambda: ref.incarnation == 2 and ref.state == "running")
        await settle()
        answer = await http.get("/health/ready")

    assert failed.status_code == 500
    assert answer.json()["nodes"]["helper"]["restarts"] == 1
    assert CANARY not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", ""])
async def test_a_name_that_somebody_else_points_here_is_refused(tmp_path: Path, path: str, host: str) -> None:
    status, answer = await get(path, tmp_path, host=host)

    assert status == 403
    assert "health_routes(hosts=" in answer["error"]


@pytest.mark.parametrize(
    "host", ["localhost:1", "127.0.0.1:8000", "10.2.3.4", "[::1]:8000", "LOCALHOST", "mine.example"]
)
async def test_addresses_and_named_hosts_are_answered(tmp_path: Path, host: str) -> None:
    assert (await get("/health/live", tmp_path, host=host, hosts=["mine.example"]))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(tmp_path: Path, method: str) -> None:
    async with serve_app(make_app(make_pool(tmp_path))) as stage, stage.client() as http:
        assert (await http.request(method, "/health/ready")).status_code == 405


@pytest.mark.parametrize("names", [("only",), ("only", "other")])
async def test_a_pool_that_gave_up_is_dead_until_another_process_takes_its_place(names: tuple[str, ...]) -> None:
    agents = ", ".join(f"{name}: {{}}" for name in names)
    text = f"agents: {{{agents}}}\nsupervision: {{intensity: {{limit: 0, period: 60}}}}"
    pool = AgentPool[None](parse_manifest(text), model=failing_model(ValueError("broken")))
    async with serve_app(make_app(pool)) as stage, stage.client() as http:
        before = [(await http.get(f"/health/{name}")).status_code for name in ("live", "ready")]
        assert (before, pool.is_running, pool.end_cause) == ([200, 200], True, None)
        pool["only"].crash_on = (ValueError,)
        with pytest.raises(ValueError, match="broken"):
            await pool["only"].run("x")
        await wait_until(lambda: not pool.is_running)
        live, ready = await http.get("/health/live"), await http.get("/health/ready")

        cause = "pool gave up on 'only'"
        assert (live.status_code, live.json()) == (503, {"status": "dead", "cause": cause})
        assert (ready.status_code, ready.json()["cause"], ready.json()["gone"]) == (503, cause, list(names))
        assert (ready.json()["is_running"], pool.is_open) == (False, True)
        assert "broken" not in live.text + ready.text


async def test_an_unavailable_pool_always_says_why(tmp_path: Path) -> None:
    journal = Journal()

    def made(_pool: NodeRegistry) -> Journal:
        return journal

    pool = make_pool(tmp_path, services=[made])
    assert readiness(pool)["cause"] == "web does not run"
    async with serve_app(make_app(pool)) as stage, stage.client() as http:
        assert "cause" not in (await http.get("/health/ready")).json()
        journal.now = "unavailable"
        assert (await http.get("/health/ready")).json()["cause"] == "Journal unavailable"
        await pool["other"].ref().stop()
        assert (await http.get("/health/ready")).json()["cause"] == "no actor: other; Journal unavailable"
        pool.fail(ValueError(CANARY))
        await wait_until(lambda: not pool.is_running)
        answer = await http.get("/health/ready")
        assert (await http.get("/health/live")).status_code == 503

    assert answer.json()["cause"] == "web has ended: ValueError"
    assert CANARY not in answer.text
    assert readiness(pool)["cause"] == "web does not run"
