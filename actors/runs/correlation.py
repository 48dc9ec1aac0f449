"""Where a run comes from: a user, the run that it is a part of, or the run whose answer a connection passes on."""

from typing import Any

from actors.runs.delivery_tracker import DeliveryTracker
from actors.runs.input_message import conversation_of
from actors.runs.request import RunOptions, RunRequest
from actors.runtime.envelope import current
from protocols.node import Origin

Lineage = tuple[str | None, DeliveryTracker, str, int]
"""What a run has of the one that it comes from: conversation (None: its own), deliveries, run, connections."""


def lineage_of(options: RunOptions, first: object, parent: RunRequest | None, origin: Origin | None) -> Lineage:
    """Return the lineage of a run.

    Args:
        options: those of the run.
        first: its first prompt.
        parent: the run it is a part of; None takes the run whose handler calls this, if any.
        origin: the run whose answer a connection passes on.
    """
    given = options.conversation_id
    if origin is not None:
        tracker: Any = origin.downstream
        return (given or origin.conversation_id, tracker, origin.run_id, origin.hops + 1)
    if parent is None and (scope := current.get()) is not None and type(scope.message) is RunRequest:
        parent = scope.message
    if parent is None:
        return (given or (None if type(first) is str else conversation_of(first)), DeliveryTracker(), "", 0)
    # Who waits for the deliveries of a part must not wait for the whole, which waits for the part.
    downstream = DeliveryTracker() if options.wait_for_connections else parent.downstream
    return (given or parent.conversation_id, downstream, parent.run_id, parent.hops)
