"""Correlation: the ids that a run takes over from a user, from its parent run, or through a connection."""

from typing import Any

from actors.runs.delivery_tracker import DeliveryTracker
from actors.runs.input_message import conversation_of
from actors.runs.request import RunOptions, RunRequest
from actors.runtime.envelope import current
from protocols.node import Origin

Correlation = tuple[str | None, DeliveryTracker, str, int]
"""Conversation (None for a new one), deliveries, parent run, and number of connections on the way."""


def correlation_of(options: RunOptions, first: object, parent: RunRequest | None, origin: Origin | None) -> Correlation:
    """Return the correlation of a run.

    Args:
        options: options of the run.
        first: first prompt of the run.
        parent: the run that contains this one. None takes the run whose handler makes this call, if any.
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
    # A caller that waits for the deliveries of a part must not wait for the whole, which waits for the part.
    downstream = DeliveryTracker() if options.wait_for_connections else parent.downstream
    return (given or parent.conversation_id, downstream, parent.run_id, parent.hops)
