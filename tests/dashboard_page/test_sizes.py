"""What the page holds and how often it draws do not grow with the pool or with time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dashboard_page.rows import actor_row, log_row, run_row

if TYPE_CHECKING:
    from tests.dashboard_page.conftest import Watched
    from tests.dashboard_page.fake_feed import FakeFeed

pytestmark = pytest.mark.asyncio(loop_scope="package")

_STORE = "(await import('./static/store.js')).store"


@pytest.mark.parametrize("count", [1_000, 10_000])
async def test_only_the_actors_in_view_are_in_the_document(tabs: Watched, feed: FakeFeed, count: int) -> None:
    feed.put(actors={f"a-{number}": actor_row(f"actor {number}", "a-0" if number else "") for number in range(count)})
    page = await tabs.open("#/tree")
    await page.get_by_text(f"{count:,} rows").wait_for()
    assert await page.locator("*").count() < 1_500
    await page.locator(".table").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    await page.get_by_role("link", name=f"actor {count - 1}", exact=True).wait_for()
    assert await page.locator("*").count() < 1_500
    feed.put(actors={f"a-{count - 1}": actor_row("changed", "a-0")})
    await page.get_by_role("link", name="changed").wait_for()


async def test_a_hundred_thousand_log_rows_leave_two_thousand(tabs: Watched, feed: FakeFeed) -> None:
    page = await tabs.open("#/log")
    for start in range(0, 100_000, 5_000):
        rows = {str(number): log_row(f"event {number}") for number in range(start, start + 5_000)}
        feed.send({"log": {"set": rows}})
    await page.get_by_role("link").nth(0).wait_for()
    await page.get_by_text("event 99999").wait_for()
    assert await page.evaluate(f"async () => {_STORE}.rows('log').size") == 2_000
    assert await page.locator("*").count() < 1_500


async def test_a_burst_of_messages_is_drawn_twice_a_second(tabs: Watched, feed: FakeFeed) -> None:
    page = await tabs.context.new_page()
    await page.clock.install()
    await page.goto(tabs.url)
    await page.clock.run_for(2_000)
    before = await page.evaluate(f"async () => {_STORE}.redraws")
    for number in range(100):
        feed.put(runs={"r-1": run_row(f"writer {number}")})
    await page.wait_for_function(f"async () => {_STORE}.rows('runs').get('r-1')?.node === 'writer 99'")
    await page.clock.run_for(10_000)
    drawn = await page.evaluate(f"async () => {_STORE}.redraws") - before
    assert 10 <= drawn <= 20
    await page.get_by_role("link", name="writer 99").wait_for()


async def test_a_hidden_page_draws_nothing(tabs: Watched, feed: FakeFeed) -> None:
    page = await tabs.open()
    await page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.hiddenNow ?? true })")
    before = await page.evaluate(f"async () => {_STORE}.redraws")
    feed.put(runs={"r-1": run_row("writer")})
    await page.wait_for_function(f"async () => {_STORE}.rows('runs').size === 1")
    assert await page.evaluate(f"async () => {_STORE}.redraws") <= before + 1  # one may have been due already
    await page.evaluate("() => { window.hiddenNow = false; document.dispatchEvent(new Event('visibilitychange')); }")
    await page.get_by_role("link", name="writer").wait_for()
