"""Cancelling an open run by its id: at once, or after the step under way."""

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, get_args

from msgspec.structs import replace

from actors.runs.request import RunRequest
from actors.runtime.clock import running_loop
from actors.runtime.ref import ActorRef
from actors.runtime.turn import Turn
from actors.supervision.replicas import workers_of
from protocols.errors import RunCancelledError

CancelMode = Literal["now", "step"]
"""``now`` cancels at once. ``step`` lets the step under way end, and begins no further one."""


def cancel_among(refs: Iterable[ActorRef[Any]], run_id: str, mode: CancelMode) -> bool:
    """Cancel the run that one of these actors works on; from any thread. Returns False if it is not among theirs.

    Raises:
        ValueError: the mode is unknown.
    """
    if mode not in get_args(CancelMode):
        raise ValueError(f"cancel_run: mode {mode!r} is unknown; use 'now' or 'step'")
    for cell in workers_of(refs):
        for turn in (*(cell.turns or ()), *(cell.parked or ())):
            message = turn.envelope.message
            if type(message) is RunRequest and message.run_id == run_id:
                end = partial(_end, turn, message, mode)
                with suppress(RuntimeError):  # the loop, and with it the run, has ended
                    end() if running_loop() is cell.loop else cell.loop.call_soon_threadsafe(end)
                    return True
    return False


def _end(turn: Turn, request: RunRequest, mode: CancelMode) -> None:
    envelope, name = turn.envelope, request.node.name
    if mode == "step" and turn not in (turn.cell.parked or ()):  # a parked run has no step under way
        envelope.message = replace(request, ends_after_step=True)
    elif envelope.reply is None:
        envelope.abandon("cancelled")
    else:
        envelope.reply.fail(RunCancelledError(f"node {name!r}: the run was cancelled", node=name))
