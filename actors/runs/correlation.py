"""What a run inherits: from the run that contains it, or from the one whose answer a connection passes on."""

from actors.runs.request import RunOptions, RunRequest
from actors.runtime.envelope import current
from protocols.delivery import Kept
from protocols.delivery_tracker import DeliveryTracker
from protocols.errors import RunCancelledError
from protocols.messages import is_message
from protocols.node import Origin

Correlation = tuple[str | None, DeliveryTracker, str, int, RunOptions]
"""Conversation (None for a new one), deliveries, parent run, number of connections on the way, and the options."""


def begin_step() -> None:
    """Begin a step of the current run. Raises RunCancelledError if the step before was the last."""
    scope = current.get()
    if scope is not None and type(scope.message) is RunRequest and scope.message.ends_after_step:
        raise RunCancelledError.after_step(scope.message.node.name)


def session_here() -> str | None:
    """Return the session of the run whose handler makes this call, or None."""
    run = run_here()
    return None if run is None else run.options.session


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
        options = options.inherit(origin.session)
        return (given or origin.conversation_id, origin.downstream, origin.run_id, origin.hops + 1, options)
    if parent is None and (scope := current.get()) is not None and type(scope.message) is RunRequest:
        parent = scope.message
    if parent is None:
        known = first.conversation_id if type(first) is not str and is_message(first) else None
        return (given or known, DeliveryTracker(), "", 0, options)
    # A caller that waits for the deliveries of a part must not wait for the whole, which waits for the part.
    downstream = DeliveryTracker() if options.wait_for_connections else parent.downstream
    options = options.inherit(parent.session)
    return (given or parent.conversation_id, downstream, parent.run_id, parent.hops, options)


def kept_part(parent: RunRequest | None, node: str) -> Kept | None:
    """Return what the next part of a run, by the node of this name, knows of its journal; None if that is not kept.

    Args:
        parent: the run that contains it. None takes the run whose handler makes this call, if any.
        node: the name of the node.
    """
    parent = parent or run_here()
    return None if parent is None or parent.kept is None else parent.kept.part(node)


def names_in(chain: tuple[str, ...]) -> list[str]:
    """Return the names of the nodes of a `RunRequest.chain`."""
    return [entry.partition("#")[0].rpartition("/")[2] for entry in chain if not entry.startswith("@")]


def run_here() -> RunRequest | None:
    """Return the run whose handler makes this call, or None."""
    scope = current.get()
    return scope.message if scope is not None and type(scope.message) is RunRequest else None
