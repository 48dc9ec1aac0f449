"""The page on the real server: a pool at work is seen, acted upon, and lost and found again."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from actors.app.pool import AgentPool
from actors.config.load import parse_manifest
from actors.testing.models import scripted_model, tool_call
from tests.dashboard.client import TOKEN, site
from tests.dashboard_page.conftest import Watched, browsing
from tests.dashboard_page.demo_tables import PAGES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser
    from starlette.types import ASGIApp

pytestmark = pytest.mark.asyncio(loop_scope="package")


BASE = "/inside/agents"


def mounted(app: ASGIApp) -> ASGIApp:
    return Starlette(routes=[Mount(BASE, app)])


@asynccontextmanager
async def shown(browser: Browser, pool: AgentPool[None]) -> AsyncGenerator[Watched]:
    async with (
        site(pool, wrap=mounted, base=BASE) as server,
        browsing(browser, f"http://127.0.0.1:{server.port}{BASE}/") as tabs,
    ):
        yield tabs


async def test_a_pool_at_work_is_seen_and_an_actor_restarted(browser: Browser) -> None:
    async with AgentPool[None](model="offline") as pool:
        await pool.add_agent("writer")
        await pool.add_agent("<img src=x onerror=alert(1)>")
        async with shown(browser, pool) as tabs:
            page = await tabs.open(f"?token={TOKEN}#/tree")
            await page.get_by_role("link", name="<img src=x onerror=alert(1)>").wait_for()
            await pool["writer"].run("what is new?")
            for name in PAGES:
                await page.click(f"nav a[href='#/{name}']")
                await page.wait_for_selector(f"nav a[href='#/{name}'][aria-current=page]")
            await page.get_by_text("writer").first.wait_for()
            await page.click("nav a[href='#/tree']")
            await page.get_by_role("link", name="writer").click()
            await page.locator("aside").get_by_role("button", name="Restart writer").click()
            await page.locator("dialog .danger").click()
            await page.locator(".told").get_by_text("writer runs anew").wait_for()
            assert (await pool["writer"].run("and now?")).text


async def test_what_was_said_is_found_and_read(browser: Browser) -> None:
    manifest = parse_manifest("storage: {type: memory}\nagents: {clerk: {session: false}}")
    model = scripted_model([tool_call("look_up", word="<b>aurora</b>"), "It is a light."])

    def look_up(word: str) -> str:
        return f"{word} is a light in the north"

    async with AgentPool[None](manifest, model="offline") as pool:
        await pool.add_agent("reader", model=model, tools=[look_up])
        async with shown(browser, pool) as tabs:
            page = await tabs.open(f"?token={TOKEN}#/conversations")
            await pool["clerk"].run("What is the weather?")
            await pool["reader"].run("What is an aurora?")
            await page.get_by_label("Search conversations").fill("aurora")
            await page.get_by_role("link", name="What is an aurora?").click()
            await page.get_by_text("Tool look_up").click()
            await page.get_by_text('"word": "<b>aurora</b>"').wait_for()
            await page.get_by_text("is a light in the north").wait_for()


async def test_a_browser_without_the_token_sees_nothing(browser: Browser) -> None:
    async with AgentPool[None](model="offline") as pool, site(pool) as server:
        context = await browser.new_context()
        answer = await (await context.new_page()).goto(f"http://127.0.0.1:{server.port}/")
        assert answer is not None
        assert answer.status == 401
        await context.close()
