"""What another process asks a running pool about tool calls that wait for approval, by its socket."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from actors.cli.exit_code import ExitCode, fail
from actors.cli.monitor_client import moments, monitor_path
from actors.cli.redaction import one_line
from protocols.approval_events import ApprovalRequested
from protocols.errors import ApprovalError

if TYPE_CHECKING:
    from actors.pool.pool import AgentPool

_LONGEST: Final = 1_000
"""Bytes of a request; see `actors.cli.monitor`."""


class ApprovalAsk(msgspec.Struct, frozen=True):
    """One request: for the calls that wait, or with a decision."""

    action: Literal["list", "approve", "deny"]
    run: str = ""
    call: str | None = None
    reason: str = ""


class ApprovalAnswer(msgspec.Struct, frozen=True):
    """The calls that waited before, or what is wrong with the request."""

    calls: tuple[ApprovalRequested, ...] = ()
    error: str = ""


def answer_ask(pool: "AgentPool[Any]", line: bytes) -> ApprovalAnswer:
    """Do what a line asks for."""
    try:
        ask = msgspec.json.decode(line, type=ApprovalAsk)
        if ask.action == "approve":
            pool.approve(ask.run, ask.call)
        elif ask.action == "deny":
            pool.deny(ask.run, ask.call, ask.reason)
    except (ApprovalError, msgspec.DecodeError) as error:
        return ApprovalAnswer(error=str(error))
    calls = pool.pending()
    return ApprovalAnswer(tuple(msgspec.structs.replace(one, arguments=one_line(one.arguments)) for one in calls))


def ask_pool(file: Path, ask: ApprovalAsk) -> tuple[ApprovalRequested, ...]:
    """Ask the running pool of a manifest; return the calls that still wait.

    Raises:
        CommandError: no such pool runs, or it refuses the decision.
    """
    line = msgspec.json.encode(ask)
    if len(line) > _LONGEST:
        fail(f"the reason is too long; a request has {_LONGEST} bytes at most")
    lines = moments(monitor_path(file), interval=0.0, once=False, ask=line)
    next(lines)  # the snapshot that everybody gets
    try:
        given = msgspec.json.decode(next(lines, b""), type=ApprovalAnswer)
    except msgspec.DecodeError:
        fail("the pool has closed the connection; it is ending, or of another version", ExitCode.FAILED)
    if given.error:
        fail(given.error, ExitCode.FAILED)
    return given.calls
