"""One Chromium for all tests of the page, a server for each, and a page that fails its test on any offence."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.dashboard_page.fake_feed import FakeFeed
from tests.dashboard_page.rows import pool_row
from tests.web.server import serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser, BrowserContext, Page, Request

REQUIRED = "UNDERSTAGE_REQUIRE_SERVERS"
_WATCH = """
window.offences = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.offences.push(`policy ${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="package")
def chromium() -> str:
    """The path of the browser; without one the tests are skipped, but fail where it is required."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        reason = "no chromium is installed"
        if os.environ.get(REQUIRED) or os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser(chromium: str) -> AsyncGenerator[Browser]:
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        opened = await driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        await opened.close()


@dataclass
class Watched:
    """A browser with pages open on one server, and all that these have done wrong."""

    context: BrowserContext
    url: str
    offences: list[str] = field(default_factory=list[str])

    async def open(self, place: str = "#/now") -> Page:
        """Open a tab, and wait until it has the feed."""
        page = await self.context.new_page()
        page.on("console", lambda message: self._note(message.type, f"console: {message.text}"))
        page.on("pageerror", lambda error: self.offences.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.offences.append(f"dialog: {dialog.message}"))
        page.on("request", self._check)
        await page.goto(self.url + place)
        await page.wait_for_selector("header .state.ready")
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and "Failed to load resource" not in text:
            self.offences.append(text)

    def _check(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.offences.append(f"request: {request.url}")

    async def close(self) -> None:
        for page in self.context.pages:
            self.offences += await page.evaluate("window.offences")
        await self.context.close()
        assert self.offences == []


@pytest.fixture
def feed() -> FakeFeed:
    made = FakeFeed()
    made.put(pool={"pool": pool_row()})
    return made


@asynccontextmanager
async def browsing(browser: Browser, url: str, **options: Any) -> AsyncGenerator[Watched]:
    """Give tabs with one set of cookies; at the end all that they have done wrong fails the test."""
    settings: dict[str, Any] = {"locale": "en-US", "timezone_id": "Asia/Tokyo", **options}
    context = await browser.new_context(**settings)
    context.set_default_timeout(30_000)
    await context.add_init_script(_WATCH)
    tabs = Watched(context, url)
    try:
        yield tabs
        await tabs.close()
    finally:
        await context.close()


@asynccontextmanager
async def watched(browser: Browser, feed: FakeFeed, **options: Any) -> AsyncGenerator[Watched]:
    async with serve_app(feed.app(), timeout_graceful_shutdown=1) as server:
        async with browsing(browser, f"http://127.0.0.1:{server.port}/board/", **options) as tabs:
            yield tabs
        feed.hang_up()


@pytest_asyncio.fixture(loop_scope="package")
async def tabs(browser: Browser, feed: FakeFeed) -> AsyncGenerator[Watched]:
    async with watched(browser, feed) as opened:
        yield opened
