"""Who gets through: names, tokens, origins, sizes, and how many."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from actors.app.pool import AgentPool
from actors.dashboard import app as apps
from actors.dashboard import dashboard
from actors.dashboard.guard import Guard
from actors.http import bind, running_server
from actors.web import lifespan
from tests.dashboard.client import TOKEN, site
from tests.support.waiting import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

GETS = ["/", "/static/app.js", "/static/nothing", "/api/stream", "/api/conversations", "/nothing"]
ACTION = "/api/runs/r1/cancel"
ACTIONS = ["runs/r/cancel", "actors/a/stop", "actors/a/restart", "triggers/a/b/fire", "dead/replay"]
DECISIONS = ["approvals/r/c/approve", "approvals/r/c/deny"]


@pytest.fixture
async def pool() -> AsyncGenerator[AgentPool[None]]:
    async with AgentPool[None](model="offline") as opened:
        yield opened


async def test_without_the_token_nothing_is_answered_static_files_as_well(pool: AgentPool[None]) -> None:
    async with site(pool) as shown:
        name = next(iter(shown.http.cookies))
        shown.http.cookies.clear()
        answers = [
            await shown.http.request("POST" if path == ACTION else "GET", path + query, headers=headers)
            for path in (*GETS, ACTION)
            for query, headers in (
                ("", {}),
                ("?token=wrong-token-of-16", {}),
                ("?token=", {}),
                ("?token=%ff%00", {}),
                ("", {"cookie": f"{name}=wrong-token-of-16"}),
                ("", {"cookie": f"understage-other={TOKEN}"}),
            )
        ]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers.get("set-cookie") for answer in answers} == {None}
    assert TOKEN not in "".join(answer.text for answer in answers)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "local host"])
async def test_a_foreign_host_is_refused_even_with_the_token(pool: AgentPool[None], host: str) -> None:
    headers = {"host": host, "origin": f"http://{host}"}
    async with site(pool) as shown:
        for path in (*GETS, ACTION):
            answer = await shown.http.request(
                "POST" if path == ACTION else "GET", f"{path}?token={TOKEN}", headers=headers
            )
            assert answer.status_code == 403, path


async def test_without_a_token_nothing_that_comes_by_a_network_is_answered() -> None:
    opened = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{opened.getsockname()[1]}"
    app = Guard(Starlette(routes=[Route("/", PlainTextResponse("secret"))]), token=None)
    async with running_server(app, opened), httpx2.AsyncClient(base_url=url, trust_env=False) as http:
        cookie = f"understage-{hashlib.sha256(b'').hexdigest()[:12]}="
        answers = [
            await http.get("/", params=query, headers=headers)
            for query in ({}, {"token": ""}, {"token": "None"})
            for headers in ({}, {"cookie": cookie}, {"x-forwarded-for": ""})
        ]

    assert {answer.status_code for answer in answers} == {401}


async def test_known_hosts_are_answered(pool: AgentPool[None]) -> None:
    async with site(pool, hosts=["Agents.example"]) as shown:
        for host in ("localhost", "[::1", "127.0.0.1", "[::1]:8420", "agents.example", "AGENTS.example:8420"):
            answer = await shown.http.get("/nothing", headers={"host": host})
            assert answer.status_code == 404, host


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", "//", "http://[", "file://"],
)
async def test_only_a_page_of_this_dashboard_may_act(pool: AgentPool[None], origin: str | None) -> None:
    async with site(pool) as shown:
        answer = await shown.http.post(ACTION, headers={} if origin is None else {"origin": origin})

    assert answer.status_code == 403
    assert "Origin" in answer.json()["error"]


async def test_the_token_becomes_a_cookie_and_leaves_the_address(pool: AgentPool[None]) -> None:
    async with site(pool) as shown:
        shown.http.cookies.clear()
        answer = await shown.http.get(f"/?a=1&token={TOKEN}&b=%26")
        (cookie,) = answer.headers.get_list("set-cookie")
        evil = await shown.http.get(f"//evil.example/?token={TOKEN}")

    assert (answer.status_code, answer.headers["location"]) == (303, "/?a=1&b=%26")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert not evil.headers.get("location", "/").startswith("//")


async def test_a_plus_in_a_token_need_not_be_escaped(pool: AgentPool[None]) -> None:
    token = "c29tZQ+dG9rZW4+/=="
    async with site(pool, token=token) as shown:  # the token stands in the address as it is
        assert (await shown.http.get("/api/conversations")).status_code == 200


@pytest.mark.parametrize("path", GETS[:-3])
async def test_every_answer_has_the_headers(pool: AgentPool[None], path: str) -> None:
    async with site(pool) as shown:
        answer = await shown.http.get(path)

    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_what_the_api_answers_is_not_stored(pool: AgentPool[None]) -> None:
    async with site(pool) as shown:
        answer = await shown.http.get("/api/conversations")

    assert answer.headers["cache-control"] == "no-store"


async def test_a_large_body_is_refused(pool: AgentPool[None]) -> None:
    async with site(pool) as shown:
        status, _ = await shown.post("approvals/r/c/deny", {"reason": "x" * apps.MOST_BODY})

    assert status == 413


async def test_a_page_that_only_shows_refuses_every_action(pool: AgentPool[None]) -> None:
    async with site(pool, can_act=False) as shown:
        async with shown.stream() as frames:
            await frames.next()
        for path in (*ACTIONS, *DECISIONS):
            status, answer = await shown.post(path)
            assert (status, "only shows" in answer["error"]) == (403, True)

    assert frames.tables["pool"]["pool"]["can_act"] is False


async def test_more_viewers_than_the_most_are_refused(pool: AgentPool[None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "MOST_STREAMS", 1)
    async with site(pool) as shown, shown.stream() as frames:
        await frames.next()
        answer = await shown.http.get("/api/stream")

    assert answer.status_code == 503


@pytest.mark.parametrize("version", ["2.3", "2.4"])
async def test_a_viewer_that_takes_nothing_is_left(
    pool: AgentPool[None], monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(apps, "STALLED", 0.0)
    sent: list[str] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message["type"])
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    app = dashboard(pool, token=TOKEN)
    async with site(pool) as shown:
        (cookie,) = shown.http.cookies.items()
    headers = [(b"host", b"localhost"), (b"cookie", "=".join(cookie).encode())]
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": version}, "method": "GET", "headers": headers}
    async with asyncio.timeout(TIMEOUT):
        await app({**scope, "path": "/api/stream", "query_string": b"", "root_path": ""}, receive, send)

    assert sent == ["http.response.start", "http.response.body"]
    assert app.state.feed.viewers == 0


async def test_it_can_be_mounted_below_any_path() -> None:
    pool = AgentPool[None](model="offline")
    async with pool:

        def wrap(app: Any) -> Starlette:
            return Starlette(routes=[Mount("/deep/agents", app)], lifespan=lifespan(pool))

        async with site(pool, wrap=wrap, base="/deep/agents") as shown, shown.stream() as frames:
            await frames.next()
            (cookie,) = shown.http.cookies.jar
            status, _ = await shown.post("runs/unknown/cancel")

    assert cookie.path == "/deep/agents"
    assert status == 404


@pytest.mark.parametrize("host", ["", "*", "https://ops.example", "ops.example:443", "ops example", "ops\n"])
async def test_a_host_that_no_browser_names_is_refused_when_the_page_is_made(pool: AgentPool[None], host: str) -> None:
    with pytest.raises(ValueError, match=r"give a name alone, such as 'ops\.example\.org'"):
        dashboard(pool, hosts=["fine.example", host])


async def test_a_single_host_may_be_given_as_it_is(pool: AgentPool[None]) -> None:
    async with site(pool, hosts="ops.example") as shown:
        answers = [await shown.http.get("/nothing", headers={"host": host}) for host in ("ops.example", "o")]

    assert [answer.status_code for answer in answers] == [404, 403]


@pytest.mark.parametrize("token", ["short", "", 5, "\u4e2d" * 20, "with a line\nof its own", "\ud800" * 20])
async def test_an_impossible_token_is_refused_and_a_new_one_is_made(pool: AgentPool[None], token: Any) -> None:
    with pytest.raises(ValueError, match="16 or more printable characters of ASCII"):
        dashboard(pool, token=token)
    assert dashboard(pool).state.token != dashboard(pool).state.token


async def test_a_pool_that_does_not_run_is_answered_with_503() -> None:
    async with site(AgentPool[None](model="offline")) as shown:
        assert (await shown.http.get("/api/stream")).status_code == 503
        for path in (*ACTIONS, *DECISIONS):
            status, answer = await shown.post(path)
            assert (status, answer["error"]) == (503, "pool 'pool' does not run")
