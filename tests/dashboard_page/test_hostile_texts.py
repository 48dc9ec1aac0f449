"""Texts of models, tools and strangers are shown as they are, and are never anything but text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dashboard_page.demo_tables import PAGES, fill

if TYPE_CHECKING:
    from tests.dashboard_page.conftest import Watched
    from tests.dashboard_page.fake_feed import FakeFeed

pytestmark = pytest.mark.asyncio(loop_scope="package")

ATTACK = (
    "\u202e\"'`</title></script></svg></style><script>alert(1)</script>"
    "<img src=https://evil.example/x onerror=alert(2)>"
    "<a href='javascript:alert(3)'>x</a>${alert(4)}{{5}} javascript:alert(6) \x00\ud7ff __proto__ ../../api/x?y#z\u2066"
)
DETAILS = (
    "now/r-3",
    "tree/a-2",
    "problems/failures:f-2",
    "problems/dead:d-2",
    "problems/blocked:1",
    "approvals/r-3%2Fc-1",
    "log/2",
)


async def visit(tabs: Watched, places: tuple[str, ...]) -> int:
    """Open each place and everything on it that opens; return how many places had the attack as text."""
    page = await tabs.open()
    found = 0
    for place in places:
        await page.goto(f"{tabs.url}#/{place}")
        await page.wait_for_selector(f"nav a[aria-current=page][href='#/{place.partition('/')[0]}']")
        await page.evaluate("() => new Promise(requestAnimationFrame)")
        await page.locator("details, [title]").evaluate_all("all => all.forEach(each => { each.open = true; })")
        found += await page.evaluate("() => document.querySelector('main').innerText.includes('onerror=alert')")
        assert await page.locator("main :is(script, img, iframe), a[href^=javascript]").count() == 0
    return found


async def test_markup_in_every_field_stays_text(tabs: Watched, feed: FakeFeed) -> None:
    fill(feed, ATTACK)
    assert await visit(tabs, (*PAGES, *DETAILS)) >= len(DETAILS)


async def test_names_of_the_language_break_nothing(tabs: Watched, feed: FakeFeed) -> None:
    for name in ("__proto__", "constructor", "toString"):
        fill(feed, name)
    await visit(tabs, (*PAGES, "flow/__proto__", "tree/__proto__", "now/constructor", "now/%E0%A4%A", "log/%"))


async def test_a_transcript_shows_markup_as_text(tabs: Watched, feed: FakeFeed) -> None:
    fill(feed, ATTACK)
    page = await tabs.open("#/conversations/c-1")
    await page.locator(".transcript pre").first.wait_for()
    assert await page.locator(".transcript pre").first.text_content() == ATTACK


async def test_a_text_of_a_million_characters_is_cut_until_asked_for(tabs: Watched, feed: FakeFeed) -> None:
    fill(feed, "<b>" + "x" * 1_000_000)
    page = await tabs.open()
    for name in PAGES:
        await page.click(f"nav a[href='#/{name}']")
        await page.wait_for_selector(f"nav a[href='#/{name}'][aria-current=page]")
        assert await page.evaluate("() => document.body.innerText.length") < 60_000
    await page.goto(tabs.url + "#/approvals")
    await page.get_by_role("button", name="Show all 1,000,003 characters").click()
    await page.wait_for_function("() => document.querySelector('pre').textContent.length > 1_000_000")
