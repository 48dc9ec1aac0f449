"""What a person may do from the page: asked for first, sent as the contract says, and the answer told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dashboard_page.demo_tables import fill
from tests.dashboard_page.rows import approval_row, letter_row, pool_row, trigger_row

if TYPE_CHECKING:
    from tests.dashboard_page.conftest import Watched
    from tests.dashboard_page.fake_feed import FakeFeed

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize(
    ("place", "button", "sent"),
    [
        ("#/now/r-2", "Cancel", "runs/r-2/cancel"),
        ("#/tree/a-2", "Stop", "actors/a-2/stop"),
        ("#/tree/a-2", "Restart", "actors/a-2/restart"),
        ("#/problems/dead:d-1", "Replay", "dead/replay"),
        ("#/triggers/writer%2Fnightly", "Fire now", "triggers/writer/nightly/fire"),
    ],
)
async def test_an_action_is_done_after_a_confirmation_only(
    tabs: Watched, feed: FakeFeed, place: str, button: str, sent: str
) -> None:
    fill(feed)
    feed.answer = (200, {"ok": True, "text": "it is done"})
    page = await tabs.open(place)
    opener = page.locator("aside .actions button").get_by_text(button, exact=True)
    await opener.click()
    await page.get_by_role("button", name="Leave it").click()
    await page.wait_for_selector("dialog", state="detached")
    await opener.click()
    await page.keyboard.press("Escape")
    await page.wait_for_selector("dialog", state="detached")
    assert await page.locator("aside").count() == 1
    assert feed.posts == []
    await opener.click()
    await page.locator("dialog .danger").click()
    await page.get_by_text("it is done").wait_for()
    assert [path for path, _ in feed.posts] == [sent]


async def test_all_dead_letters_that_the_filter_shows_are_replayed(tabs: Watched, feed: FakeFeed) -> None:
    letters = {f"d-{number}": letter_row("writer" if number % 2 else "reader") for number in range(10)}
    feed.put(dead={**letters, "d-11": letter_row("writer", can_replay=False)})
    page = await tabs.open("#/problems")
    await page.get_by_label("Filter problems").fill("writer")
    await page.get_by_text("Replay all 5 shown").click()
    await page.locator("dialog .danger").click()
    await page.get_by_text("done", exact=True).wait_for()
    assert [(path, sorted(body["ids"])) for path, body in feed.posts] == [
        ("dead/replay", ["d-1", "d-3", "d-5", "d-7", "d-9"])
    ]
    assert "q=writer" in page.url


async def test_a_tool_call_is_approved_or_denied_with_a_reason(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(approvals={"r-1/c/1": approval_row("r-1", "c/1"), "r-2/c-2": approval_row("r-2", "c-2", tool="send")})
    page = await tabs.open("#/approvals")
    await page.get_by_text('"path": "a.md"').first.wait_for()
    await page.get_by_role("button", name="Approve delete_file for writer").click()
    await page.get_by_text("done", exact=True).wait_for()
    await page.get_by_label("Reason to deny").nth(1).fill("not at night")
    await page.get_by_role("button", name="Deny send to writer").click()
    await page.get_by_text("done", exact=True).nth(1).wait_for()
    assert feed.posts == [("approvals/r-1/c%2F1/approve", {}), ("approvals/r-2/c-2/deny", {"reason": "not at night"})]
    feed.remove("approvals", "r-1/c/1", "r-2/c-2")
    await page.get_by_text("No tool call waits for a person.").wait_for()


async def test_a_refused_action_says_why(tabs: Watched, feed: FakeFeed) -> None:
    feed.put(triggers={"writer/nightly": trigger_row("writer", "nightly")})
    feed.answer = (409, {"error": "trigger 'nightly' of 'writer': it runs already; wait for its end"})
    page = await tabs.open("#/triggers")
    await page.get_by_role("button", name="Fire nightly").click()
    await page.locator("dialog .danger").click()
    await page.locator(".told .error").get_by_text("it runs already; wait for its end").wait_for()


async def test_a_dashboard_that_only_looks_offers_no_action(tabs: Watched, feed: FakeFeed) -> None:
    fill(feed)
    feed.put(pool={"pool": pool_row(can_act=False)})
    page = await tabs.open()
    for name in ("now", "tree/a-2", "problems", "triggers", "approvals"):
        await page.goto(f"{tabs.url}#/{name}")
        await page.locator("button.action").first.wait_for()
        assert await page.locator("button.action:enabled").count() == 0
