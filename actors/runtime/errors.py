"""Errors of the actor engine; those about dead actors are also Pykka's `ActorDeadError`."""

from typing import Any, cast

import pykka

from protocols.errors import UnderstageError
from protocols.mailbox import MailboxFullError as MailboxFullError


class Reject(UnderstageError):  # noqa: N818 - a declared answer, named as users read it: `raise Reject("no money")`
    """Raise it in a handler to refuse one message without crashing the actor.

    The asker gets it; a message without asker becomes a dead letter with reason ``rejected``. Subclass it for your
    own protocol.
    """


class UnhandledMessageError(Reject):
    """The actor has no handler for this message; the actor lives on. Not a crash, and not `ActorDeadError`."""


class AskTimeoutError(UnderstageError, pykka.Timeout, TimeoutError):
    """No reply came before the deadline of an ask. The work was cancelled, or is never started if it was queued."""

    at_work: str = ""
    """Who worked on the message then, as far as the message knows."""
    is_rest: bool = False
    """True if the time was what the asking handler had left."""


class ActorRestartingError(AskTimeoutError):
    """The deadline passed while the actor waited for its restart, so the message was never started."""


class AskCycleError(UnderstageError):
    """This handler would wait for an actor that itself waits for the handler. Raised at once, naming the chain.

    It may wait for a reply, a start, an end, or room in a mailbox.
    """

    advice = "Use tell, hand the reply on with `forward`, or declare the actor reentrant with max_concurrency"

    def __init__(self, chain: tuple[str, ...]) -> None:
        who = " -> ".join(chain)
        super().__init__(f"ask cycle: {who}; each waits for the next one, so none could ever answer. {self.advice}")
        self.chain = chain


class SelfStopError(AskCycleError):
    """A handler waits for the stop of an actor that cannot stop before this handler returns. It is still asked to."""

    advice = "The stop goes on; do not await it in this handler, or await it in a task of its own"


class StashOverflowError(UnderstageError):
    """The stash of an actor is full. The message being stashed was not kept."""


class ActorStoppingError(UnderstageError, pykka.ActorDeadError):
    """The actor has been asked to stop, or has stopped, and takes no new messages."""


class ActorCrashedError(UnderstageError):
    """The handler ended with a `BaseException` that must not be raised in a bystander; it is the `__cause__`."""


class AbandonedError(UnderstageError, pykka.ActorDeadError):
    """The handler ignored its cancellation, so it was cut loose and its actor went on without it."""


class ActorStartError(UnderstageError):
    """The constructor or `on_start` failed, so no actor runs. The original error is the `__cause__`."""


class StartTimeoutError(ActorStartError):
    """`on_start` took longer than the start timeout and was cancelled."""


class AlreadyStartedError(ActorStartError):
    """Another living actor of this system has this name; it is in `.ref`."""

    def __init__(self, name: str, ref: Any) -> None:
        super().__init__(f"name {name!r} is taken by {ref}; stop that actor first or choose another name")
        self.name = name
        self.ref = ref


class IgnoreStart(Exception):  # noqa: N818 - a decision of on_start, not a failure
    """Raise it in `on_start` to end the start without an actor and without an error (Erlang's ``ignore``)."""


class DeathPactError(UnderstageError):
    """A watched actor ended and the watcher had declared that it does not want to outlive it."""


class RestartIntensityExceededError(UnderstageError):
    """A supervisor gave up: its children needed more restarts than its intensity allows. The last cause is chained."""


class BlockingCallError(UnderstageError):
    """A blocking wait was asked for on the event loop's own thread, where it could never end. Use ``await``."""


class WrongLoopError(UnderstageError):
    """The actor lives on another event loop than the one that is running here."""


class RuntimeClosedError(UnderstageError, pykka.ActorDeadError):
    """The actor system, or the event loop it lived on, is closed."""


class ForkedRuntimeError(RuntimeClosedError):
    """This process was forked after the system had started; its loop and threads exist only in the parent."""


def without_frames(error: BaseException | None, depth: int = 8) -> BaseException | None:
    """Return a copy without traceback, whose frames keep alive what a handler held."""
    if error is None or not depth:
        return None
    kind = type(error)
    try:
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            copy: BaseException = group.derive([without_frames(one, depth - 1) or one for one in group.exceptions])
        else:
            builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
            args = builtin.__reduce__(error)[1]
            copy = kind.__new__(kind, *args)
            builtin.__init__(copy, *args)
        vars(copy).update(vars(error))
        copy.__cause__ = without_frames(error.__cause__, depth - 1)
    except BaseException:  # a class of the user
        return ActorCrashedError(f"{kind.__name__}, which cannot be copied")
    return copy
