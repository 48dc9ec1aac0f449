"""The page has the truth of the server again after a gap, a loss or a refusal, in every tab, over one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dashboard_page.conftest import watched
from tests.dashboard_page.rows import log_row, pool_row, run_row
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.dashboard_page.conftest import Watched
    from tests.dashboard_page.fake_feed import FakeFeed

pytestmark = pytest.mark.asyncio(loop_scope="package")

TABS = 7
"""One more than a browser allows connections to one server."""


async def test_a_gap_brings_a_fresh_snapshot(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(runs={"r-1": run_row("reader"), "r-2": run_row("writer")})
    page = await tabs.open()
    del feed.tables["runs"]["r-1"]
    feed.lose()
    feed.put(runs={"r-3": run_row("critic")})
    await page.get_by_role("link", name="critic").wait_for()
    assert await page.locator("tbody .first a").all_inner_texts() == ["writer", "critic"]
    assert feed.opened == 2
    assert feed.open_streams == 1


async def test_a_snapshot_in_the_middle_of_a_stream_takes_the_place_of_everything(
    tabs: Watched, feed: FakeFeed
) -> None:
    feed.put(runs={"r-1": run_row("reader")})
    page = await tabs.open()
    feed.tables["runs"] = {f"r-{number}": run_row(f"writer {number}") for number in range(600)}
    feed.seq += 10
    feed.snapshot()
    await page.get_by_text("600 in flight").wait_for()
    feed.remove("runs", "r-0")
    await page.get_by_text("599 in flight").wait_for()
    assert feed.opened == 1


async def test_a_lost_connection_is_told_and_comes_back_by_itself(tabs: Watched, feed: FakeFeed) -> None:
    page = await tabs.open()
    feed.refusal = 503
    feed.hang_up()
    await page.get_by_text("Connection lost since").wait_for()
    feed.tables["pool"] = {"pool": pool_row(name="another")}
    feed.refusal = 0
    await page.wait_for_selector(".banner", state="detached")
    await page.get_by_text("another", exact=True).wait_for()


async def test_a_refused_browser_is_told_what_to_do(tabs: Watched, feed: FakeFeed) -> None:
    page = await tabs.open()
    feed.refusal = 401
    feed.hang_up()
    await page.get_by_text("open the address with the token").wait_for()


async def test_a_connection_without_a_sign_of_life_is_given_up(tabs: Watched, feed: FakeFeed) -> None:
    page = await tabs.open()
    await page.evaluate(
        """async () => {
            const { Feed } = await import("./static/feed.js");
            window.states = [];
            const tell = (message) => window.states.push(message.state ?? message.kind);
            new Feed("./api/stream", tell, { silence: 50, retry: 10 });
        }"""
    )
    # A browser that is kept waiting may find the first connection silent too: it is the order that counts.
    await page.wait_for_function("() => window.states.join(' ').includes('snapshot live lost snapshot')")


@pytest.mark.parametrize("missing", ["nothing", "SharedWorker"])
async def test_seven_tabs_share_one_stream_also_after_the_first_is_closed(
    browser: Browser, feed: FakeFeed, missing: str
) -> None:
    async with watched(browser, feed) as tabs:
        await tabs.context.add_init_script(f"delete window.{missing}")
        pages = [await tabs.open("#/log") for _ in range(TABS)]
        assert feed.open_streams == 1
        await pages.pop(0).close()
        await wait_until(lambda: feed.open_streams == 1)
        feed.put(log={"1": log_row("seen by all")})
        for page in pages:
            await page.bring_to_front()
            await page.get_by_text("seen by all").wait_for()
        await wait_until(lambda: feed.open_streams == 1)
