"""Progress of a run: lines, or a live table on a terminal."""

import contextlib
import sys
from collections.abc import Mapping
from typing import IO

from actors.cli.redaction import one_line
from protocols.approval_events import ApprovalRequested
from protocols.events import (
    ActorCrashed,
    ChildGaveUp,
    ChildRestarted,
    MessageSent,
    RunCancelled,
    RunFailed,
    RunRetried,
    RunStarted,
    StampedEvent,
    TalkFailed,
)
from protocols.plain_text import visible

TROUBLE = (ActorCrashed, ApprovalRequested, ChildGaveUp, ChildRestarted, RunFailed, RunRetried, TalkFailed)
"""Events that are always written as text."""
STEPS = (RunStarted, MessageSent, RunCancelled, *TROUBLE)
"""Events written as text where no table shows them."""


def to_stderr(text: str, stream: IO[str] | None = None) -> None:
    """Write visible text to standard error. A closed standard error is not an error."""
    with contextlib.suppress(OSError, ValueError):
        print(visible(text), file=stream or sys.stderr, flush=True)


_WORDS: Mapping[type[StampedEvent], str] = {
    RunStarted: "{0.actor}: started",
    MessageSent: "{0.actor}: answered after {0.response_time:.2f} s",
    RunFailed: "{0.actor}: failed: {0.error_type}: {0.error}",
    RunRetried: "{0.actor}: attempt {0.attempt} failed: {0.error_type}: {0.error}; the next in {0.delay:.2f} s",
    RunCancelled: "{0.actor}: cancelled",
    ApprovalRequested: "{0.actor}: run {0.run_id} waits for approval of {0.tool_name}({0.arguments})",
    ActorCrashed: "{0.actor}: crashed: {0.error_type}: {0.error}",
    ChildRestarted: "{0.child}: restarted after {0.delay:.2f} s",
    ChildGaveUp: "{0.child}: given up after {0.restarts} restarts: {0.reason}",
    TalkFailed: "{0.source}: not passed on to {0.target}: {0.error_type}: {0.error}",
}


def line_of(event: StampedEvent) -> str:
    """Return an event as one line."""
    return one_line(_WORDS[type(event)].format(event))
