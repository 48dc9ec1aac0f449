"""The tables of a pool at work, for tests that visit every page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dashboard_page.rows import (
    NOW,
    actor_row,
    approval_row,
    blocked_row,
    cost_row,
    failure_row,
    letter_row,
    link_row,
    log_row,
    message_row,
    node_row,
    run_row,
    trigger_row,
)

if TYPE_CHECKING:
    from tests.dashboard_page.fake_feed import FakeFeed

PAGES = ("now", "tree", "flow", "conversations", "problems", "costs", "triggers", "approvals", "log")


def fill(feed: FakeFeed, text: str = "What is new?") -> None:
    """Put a row with `text` in every field of text that others write into every table."""
    feed.put(
        actors={"a-1": actor_row("root"), "a-2": actor_row(text, "a-1", last_failure=text, failed=2, restarts=1)},
        runs={
            "r-1": run_row("team", kind="team"),
            "r-2": run_row("writer", "r-1", step=text, conversation=text),
            "r-3": run_row(text, "r-2", kind="tool", state="approval", cost_known=False),
        },
        nodes={
            "team": node_row(kind="team", members=["writer", text], budget=text),
            "writer": node_row(failed=2),
            text: node_row(model=text),
        },
        links={"l-1": link_row("team", text), "l-2": link_row(text, "writer", kind=text)},
        failures={"f-1": failure_row("writer", error=text, error_type=text), "f-2": failure_row(text)},
        dead={"d-1": letter_row("writer", text=text), "d-2": letter_row(text, reason=text, can_replay=False)},
        blocked={"1": blocked_row(where=text)},
        triggers={"writer/nightly": trigger_row("writer", "nightly"), f"{text}/t": trigger_row(text, "t", state=text)},
        approvals={"r-3/c-1": approval_row("r-3", "c-1", arguments=text, tool=text)},
        costs={
            f"{minute}/{node}/gpt-x": cost_row(node, NOW - 60 * minute)
            for minute in (1, 2, 5, 130)
            for node in ("writer", text)
        },
        log={"1": log_row("started"), "2": log_row(text, level="error", node=text, kind=text)},
    )
    feed.conversations = [{"id": "c-1", "at": NOW, "node": text, "title": text, "messages": 2, "cost": "0.02"}]
    call = {"name": text, "arguments": text, "result": text, "error": ""}
    feed.messages = [message_row(text, role="user", model=""), message_row(text, tool_calls=[call], node=text)]
