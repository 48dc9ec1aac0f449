"""Every page shows the rows of its table, links each of them, and keeps up with the feed."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

import pytest

from tests.dashboard_page.demo_tables import PAGES, fill
from tests.dashboard_page.rows import NOW, pool_row, run_row, trigger_row

if TYPE_CHECKING:
    from tests.dashboard_page.conftest import Watched
    from tests.dashboard_page.fake_feed import FakeFeed

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_every_page_shows_the_rows_of_its_tables(tabs: Watched, feed: FakeFeed) -> None:
    fill(feed)
    page = await tabs.open()
    for name in PAGES:
        await page.click(f"nav a[href='#/{name}']")
        await page.wait_for_selector(f"nav a[href='#/{name}'][aria-current=page]")
        await page.locator("main").get_by_text("What is new?").locator("visible=true").first.wait_for()


async def test_every_row_has_a_link_that_shows_all_its_fields(tabs: Watched, feed: FakeFeed) -> None:
    fill(feed)
    page = await tabs.open()
    for place, words in {
        "#/now/r-2": "input tokens",
        "#/tree/a-2": "incarnation",
        "#/flow/team": "budget",
        "#/problems/failures:f-1": "error type",
        "#/problems/dead:d-1": "message type",
        "#/triggers/writer%2Fnightly": "accepted",
        "#/log/2": "level",
    }.items():
        await page.goto(tabs.url + place)
        await page.locator("aside dt").get_by_text(words).wait_for()
    await page.goto(tabs.url + "#/conversations/c-1")
    await page.locator(".transcript li").nth(1).wait_for()


async def test_runs_stand_below_who_asked_them_and_change_with_the_feed(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(runs={"r-1": run_row("team"), "r-2": run_row("writer", "r-1")})
    page = await tabs.open()
    links = page.locator("tbody .first a")
    await links.nth(1).wait_for()
    assert await links.all_inner_texts() == ["team", "writer"]
    indents = await page.locator("tbody .first").evaluate_all("all => all.map(each => each.style.paddingLeft)")
    assert indents == ["0px", "16px"]
    feed.put(runs={"r-2": run_row("writer", "r-1", step="tool search")})
    await page.get_by_text("tool search").wait_for()
    feed.remove("runs", "r-1", "r-2")
    await page.get_by_text("Nothing runs.").wait_for()


async def test_a_trigger_says_when_it_is_due_what_came_last_and_whether_it_fails(tabs: Watched, feed: FakeFeed) -> None:
    rows = [
        trigger_row("reader", "notes", next=None, state="failing"),
        trigger_row("writer", "nightly", event="a file"),
    ]
    feed.put(triggers={f"{row['node']}/{row['name']}": row for row in rows})
    page = await tabs.open("#/triggers")
    notes, nightly = page.get_by_role("row", name="reader/notes"), page.get_by_role("row", name="writer/nightly")
    await notes.get_by_text("when it comes").wait_for()
    await notes.locator(".state.failing").wait_for()
    await nightly.get_by_text("M a file").wait_for()
    assert await nightly.get_by_text("when it comes").count() == 0


async def test_what_is_counted_from_the_first_viewer_on_says_since_when(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(pool={"pool": pool_row(since=NOW)})
    there = dt.datetime.fromtimestamp(NOW, zoneinfo.ZoneInfo("Asia/Tokyo")).strftime("since %I:%M:%S %p")
    page = await tabs.open()
    for name, many in {"problems": 2, "costs": 1, "log": 1}.items():
        await page.goto(f"{tabs.url}#/{name}")
        await page.get_by_text(there).nth(many - 1).wait_for()


async def test_the_head_of_each_page_names_what_does_not_run(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(pool={"pool": pool_row(dropped_events=7)})
    page = await tabs.open("#/log")
    assert await page.locator("header .facts").inner_text() == "3 actors, 7 events dropped"
    feed.put(pool={"pool": pool_row(status="unavailable", trouble="<b>writer</b> is gone")})
    await page.locator("header").get_by_text("3 actors, <b>writer</b> is gone").wait_for()


async def test_elapsed_times_tick_without_a_message(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(runs={"r-1": run_row("team")})
    page = await tabs.open()
    cell = page.locator("tbody tr[data-active] td.number").first
    before = await cell.inner_text()
    assert "min" in before
    await page.wait_for_function(
        "([cell, before]) => cell.innerText !== before", arg=[await cell.element_handle(), before]
    )
