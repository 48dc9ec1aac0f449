"""The page can be used by keyboard, on a telephone, in the dark, and in the time zone of its reader."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

import pytest

from tests.dashboard_page.conftest import watched
from tests.dashboard_page.demo_tables import PAGES, fill
from tests.dashboard_page.rows import NOW, actor_row, log_row

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.dashboard_page.conftest import Watched
    from tests.dashboard_page.fake_feed import FakeFeed

pytestmark = pytest.mark.asyncio(loop_scope="package")

_FOCUS = "() => document.activeElement.innerText"


async def test_the_keyboard_reaches_pages_rows_and_details(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(actors={f"a-{number}": actor_row(f"actor {number}") for number in range(500)})
    page = await tabs.open("#/tree")
    await page.get_by_text("500 rows").wait_for()
    await page.keyboard.press("Tab")
    assert await page.evaluate(_FOCUS) == "Skip to the page"
    await page.keyboard.press("Enter")
    assert await page.evaluate("() => document.activeElement.id") == "main"
    assert page.url.endswith("#/tree")
    focused = ""
    while focused != "actor 0":
        await page.keyboard.press("Tab")
        focused = await page.evaluate(_FOCUS)
        assert await page.evaluate(
            "() => document.activeElement.matches(':focus-visible') && document.activeElement !== document.body"
        )
    for key, name in [("ArrowDown", "actor 1"), ("End", "actor 499"), ("ArrowUp", "actor 498"), ("Home", "actor 0")]:
        await page.keyboard.press(key)
        await page.wait_for_function("(name) => document.activeElement.innerText === name", arg=name)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("aside")
    await page.keyboard.press("Escape")
    await page.wait_for_selector("aside", state="detached")


async def test_the_switch_sets_the_colours_and_the_system_is_the_default(browser: Browser, feed: FakeFeed) -> None:
    dark, light = "rgb(20, 22, 26)", "rgb(255, 255, 255)"
    background = "(colour) => getComputedStyle(document.body).backgroundColor === colour"
    async with watched(browser, feed, color_scheme="dark") as tabs:
        page = await tabs.open("#/costs")
        await page.wait_for_function(background, arg=dark)
        await page.get_by_label("Colours").select_option("Light")
        await page.wait_for_function(background, arg=light)
        await page.reload()
        await page.wait_for_selector("header .state.ready")
        await page.wait_for_function(background, arg=light)


async def test_a_screen_of_400_pixels_is_never_wider_than_itself(browser: Browser, feed: FakeFeed) -> None:
    fill(feed, "a-very-long-name-without-a-space-" * 20)
    async with watched(browser, feed, viewport={"width": 400, "height": 800}) as tabs:
        page = await tabs.open()
        for place in (*PAGES, "now/r-3", "tree/a-2", "flow/team", "problems/dead:d-1", "log/2", "conversations/c-1"):
            await page.goto(f"{tabs.url}#/{place}")
            await page.wait_for_selector(f"nav a[aria-current=page][href='#/{place.partition('/')[0]}']")
            await page.evaluate("() => new Promise(requestAnimationFrame)")
            assert await page.evaluate("() => document.documentElement.scrollWidth") <= 400, place


async def test_times_are_those_of_the_readers_zone(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(log={"1": log_row("started", at=NOW)})
    page = await tabs.open("#/log")
    there = dt.datetime.fromtimestamp(NOW, zoneinfo.ZoneInfo("Asia/Tokyo"))
    await page.get_by_role("link", name=there.strftime("%I:%M:%S %p")).wait_for()


async def test_filters_are_part_of_the_address(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(log={"1": log_row("one"), "2": log_row("two", level="error"), "3": log_row("three", level="error")})
    page = await tabs.open("#/log?level=error&q=t+two")
    rows = page.locator("tbody tr:not(.space)")
    await page.get_by_text("1 row", exact=True).wait_for()
    await page.get_by_label("Filter the log").fill("")
    await rows.nth(1).wait_for()
    assert page.url.endswith("#/log?level=error")
    await page.get_by_label("Level").select_option("all levels")
    await rows.nth(2).wait_for()


async def test_a_paused_log_stands_still(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(log={"1": log_row("one")})
    page = await tabs.open("#/log")
    await page.get_by_role("button", name="Pause").click()
    feed.put(log={"2": log_row("two")}, actors={"a-1": actor_row("root")})
    await page.wait_for_function("async () => (await import('./static/store.js')).store.rows('actors').size === 1")
    assert await page.get_by_text("1 row", exact=True).count() == 1
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_text("2 rows", exact=True).wait_for()


async def test_the_search_of_conversations_asks_the_server(tabs: Watched, feed: FakeFeed) -> None:
    fill(feed)
    page = await tabs.open("#/conversations")
    await page.get_by_role("link", name="What is new?").wait_for()
    await page.get_by_label("Search conversations").fill("old")
    await page.get_by_text("Nothing found.").wait_for()
    assert feed.queries[-1] == "old"
