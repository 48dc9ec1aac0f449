"""The pictures of docs/dashboard.md: `python -m tests.dashboard_page.pictures` makes them anew.

Each page twice on the real server: with the demo, which briefs real files, and with a pool of 200 agents.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import async_playwright
from pydantic_ai import Tool

from actors.app.pool import AgentPool
from actors.config.load import load_manifest, parse_manifest
from actors.testing.models import failing_model, scripted_model, slow_model, tool_call
from tests.dashboard.client import TOKEN, site
from tests.dashboard_page.conftest import browsing
from tests.dashboard_page.demo_tables import PAGES

if TYPE_CHECKING:
    from playwright.async_api import Browser

ROOT = Path(__file__).parent.parent.parent
IMAGES = ROOT / "docs" / "images"
BRIEFING = ROOT / "examples" / "briefing"
QUESTION = "What must we do, and what can go wrong?"
QUALITY = 20
SIZE = {"width": 1040, "height": 560}
AGENTS = 200
GROUP = 8


def large_manifest() -> str:
    """Return a pool of 200 agents in chains of eight, each begun by a trigger."""
    lines = ["name: newsroom", "storage: {type: memory}", "agents:"]
    for number in range(AGENTS):
        lines.append(f"  reader-{number:03}:\n    description: Reads the news.")
        if (number + 1) % GROUP:
            lines.append(f"    connections: [{{type: node, name: reader-{number + 1:03}}}]")
        if number % (GROUP * 5) == 0:
            trigger = f"{{type: time, name: nightly, schedule: '{number % 60} 3 * * *', prompt: Sum up the night}}"
            lines.append(f"    triggers: [{trigger}]")
    return "\n".join(lines)


async def at_work(pool: AgentPool[None], stack: AsyncExitStack) -> None:
    """Have something happen for every page."""

    def delete_file(path: str) -> str:
        return f"{path} is deleted"

    release = asyncio.Event()
    call = tool_call("delete_file", path="drafts/old.md")
    tools = [Tool(delete_file, requires_approval=True)]
    clerk = await pool.add_agent("clerk", model=scripted_model([call] * 3), tools=tools, approval_timeout=3600)
    slow = await pool.add_agent("correspondent", model=slow_model(release))
    broken = await pool.add_agent("stringer", model=failing_model(TimeoutError("the line was cut after 30 s")))
    for _ in range(3):
        with suppress(TimeoutError):
            await broken.run("What is new in Oslo?")
    open_runs = [asyncio.create_task(slow.run(f"Report from {city}")) for city in ("Lima", "Cairo", "Kyoto")]
    open_runs.append(asyncio.create_task(clerk.run("Remove the old drafts")))
    for run in open_runs:
        stack.callback(run.cancel)


async def take(browser: Browser, pool: AgentPool[None], name: str, question: str, prompts: list[Any]) -> None:
    """Run a pool and take a picture of each page."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pool)
        server = await stack.enter_async_context(site(pool))
        url = f"http://127.0.0.1:{server.port}/"
        tabs = await stack.enter_async_context(browsing(browser, url, viewport=SIZE, timezone_id="UTC"))
        page = await tabs.open(f"?token={TOKEN}")
        await at_work(pool, stack)
        for prompt in prompts:
            await pool[prompt[0]].run(*prompt[1:], wait_for_connections=True)
        shot: Any = await tabs.context.new_cdp_session(page)
        await page.get_by_text("correspondent").first.wait_for()
        for place in PAGES:
            await page.goto(f"{url}#/{place}{'?measure=tokens' if place == 'costs' else ''}")
            await page.wait_for_selector(f"nav a[href='#/{place}'][aria-current=page]")
            await page.evaluate("() => new Promise((done) => setTimeout(done, 1200))")
            taken = await shot.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
            (IMAGES / f"dashboard-{name}-{place}.webp").write_bytes(base64.b64decode(taken["data"]))


async def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    files = sorted((BRIEFING / "documents").iterdir())
    async with async_playwright() as driver:
        program = shutil.which("chromium")
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        demo = AgentPool[None](load_manifest(BRIEFING / "agents.yml"))
        await take(browser, demo, "demo", QUESTION, [("briefing", QUESTION, *files)] * 3)
        large = AgentPool[None](parse_manifest(large_manifest()), model="offline")
        prompts = [(f"reader-{number:03}", "What is new?") for number in range(0, AGENTS, GROUP)]
        await take(browser, large, "200", "What is new?", prompts)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
