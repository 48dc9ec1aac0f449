"""The page on the real server: a pool at work is seen, acted upon, and lost and found again."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from actors.app.pool import AgentPool
from tests.dashboard.client import site
from tests.dashboard_page.conftest import Watched, browsing
from tests.dashboard_page.demo_tables import PAGES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="package")


@asynccontextmanager
async def shown(browser: Browser, pool: AgentPool[None]) -> AsyncGenerator[Watched]:
    async with site(pool) as server, browsing(browser, f"http://127.0.0.1:{server.port}/") as tabs:
        yield tabs


async def test_a_pool_at_work_is_seen_and_an_actor_restarted(browser: Browser) -> None:
    async with AgentPool[None](model="offline") as pool:
        await pool.add_agent("writer")
        await pool.add_agent("<img src=x onerror=alert(1)>")
        async with shown(browser, pool) as tabs:
            page = await tabs.open("?token=a-token-of-this-test#/tree")
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


async def test_a_browser_without_the_token_sees_nothing(browser: Browser) -> None:
    async with AgentPool[None](model="offline") as pool, site(pool) as server:
        context = await browser.new_context()
        answer = await (await context.new_page()).goto(f"http://127.0.0.1:{server.port}/")
        assert answer is not None
        assert answer.status == 401
        await context.close()
