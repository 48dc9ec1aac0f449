"""The two facts of a successful run in brief, for subscribers that only count: no number, no time, no JSON.

They stand for the `RunStarted`, `MessageReceived`, `MessageSent` and `RunCompleted` of a run, which cost ten times as
much to make. See `actors.runtime.event_stream.EventStream.subscribe_in_batches` for who gets them.
"""

from decimal import Decimal

import msgspec

from protocols.cost import ZERO_COST


class RunBegan(msgspec.Struct, frozen=True, gc=False):
    """What counts of the `RunStarted` of a run that waits for something."""

    actor: str
    """Name of the node."""
    run_id: str
    parent_run_id: str = ""
    """Run this one is a part of; empty for a run that a user started."""


class RunAnswered(msgspec.Struct, frozen=True, gc=False):
    """What counts of a `MessageSent` and the `RunCompleted` that follows it."""

    actor: str
    """Name of the node."""
    run_id: str
    byte_count: int = 0
    """Length of the content in bytes of UTF-8."""
    response_time: float = 0.0
    """Seconds the answer took."""
    is_whole: bool = False
    """True if no `RunBegan` came before: the run ended at once, and this counts both."""
    parent_run_id: str = ""
    """As in `RunBegan`, if this is whole."""
    has_more: bool = False
    """Whether any of what follows was given, so that for a mere text nothing else has to be looked at."""
    input_tokens: int = 0
    """Tokens read."""
    output_tokens: int = 0
    """Tokens written."""
    cost: Decimal = ZERO_COST
    """Money in US dollars, exact."""
    cost_known: bool = True
    """False when no price list knows the model."""
    tool_calls: int = 0
    """Calls of tools made for the answer."""
    composed: bool = False
    """True for the answer of a team or chain, whose members have already been counted."""
