"""One tree of errors: everything Understage raises for a node, a manifest, a connection, a run or a job.

```
UnderstageError
├── NodeError         NodeNotFoundError, NodeNameError, NodeStartError, NodeStoppedError
├── PromptError       EmptyPromptError, PromptFileError
├── ModelError        UnknownModelError, MissingKeyError, MissingExtraError, and ModelCallError with those below it
├── ConfigError       ManifestError
├── RunError          ChainBrokenError, EmptyChainError, MemberError, RunCancelledError, RunTimeoutError,
│                     RemoteFailureError, AlreadyRunningError, NotRunningError, ApprovalError, HostLostError
├── TalkError         ConditionError, TransformError, HopLimitError, NotQueuedError, TalkNameError
└── PickError, JobError, ToolServerError, EventDecodeError
```

Errors of the engine, such as `ActorDeadError`, have pykka's names and live with the engine. No error replaces an
exception of user code or of a tool: the caller that awaits the run gets the original. What a provider raised is of our
class as well (see `protocols.model_errors`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

_LONGEST: Final = 100
"""Signs of a wrong name that are compared with the known ones."""

_CLOSE: Final = 0.52
"""Likeness from which on a name is offered; 1 is that of two equal names."""

_MUCH_CLOSER: Final = 0.15
"""A name that is less like the wrong one by this much than the best one is not offered as well."""

_MOST: Final = 12
"""Known names that are listed when none is close."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error text that offers the known names closest to *name*; empty when there are none."""
    from difflib import SequenceMatcher, get_close_matches  # imported when a name is wrong: the engine does without it

    names = list(known)
    name = name[:_LONGEST]
    close = get_close_matches(name, names, n=3, cutoff=_CLOSE)
    if close:
        best = SequenceMatcher(None, close[0], name).ratio()
        close = get_close_matches(name, close, n=3, cutoff=best - _MUCH_CLOSER)
        return f"; did you mean {' or '.join(repr(item) for item in close)}?"
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"; known are {', '.join(sorted(names)[:_MOST])}{more}" if names else ""


_name_of: Final = type.__dict__["__name__"].__get__


def type_name(value: object) -> str:
    """Return the name of the class of an object, without asking its metaclass."""
    return str(_name_of(type(value)))


def error_text(error: BaseException, limit: int = 500) -> str:
    """Return the text of an error, cut to `limit`, or else its class; it cannot fail, even if its `__str__` does."""
    return limited_text(str, error, limit) or type_name(error)


def limited_text(make: Callable[[object], str], value: object, limit: int) -> str:
    """Return what `str` or `repr` makes of a value, cut to `limit`; it cannot fail. A lone surrogate becomes ``?``."""
    try:
        text = make(value)
    except BaseException as error:  # code of the user
        return f"<{type_name(value)} whose {make.__name__} raised {type_name(error)}>"
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return text.encode("utf-8", "replace").decode()


def safe_repr(value: object) -> str:
    """Return a short repr that cannot fail, however broken or huge the object is."""
    return limited_text(repr, value, 200)


def of_kind(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Return True for an exception of these classes; unlike `isinstance`, it never asks the exception itself."""
    return issubclass(type(error), kinds)


_MOST_NOTES: Final = 8
"""Notes of ours on one exception; who raises the same object again and again adds no more."""


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception of the user; one that takes no notes stays as it is."""
    with suppress(BaseException):  # its attributes may be frozen, or functions of the user
        notes = getattr(error, "__notes__", ())
        if note not in notes and len(notes) < _MOST_NOTES:
            error.add_note(note)


def say_where(error: BaseException, where: str, node: str) -> None:
    """Begin the text of an error of ours with where it happened, unless it names that. Those of users stay as they are.

    Args:
        error: the error.
        where: a node, or a tool of an agent.
        node: name of the node, which the error is about from now on if it is about no other.
    """
    is_ours = of_kind(error, ModelError) or type(error).__module__.startswith(("actors.", "protocols."))
    if is_ours and isinstance(error, UnderstageError):
        error.node = error.node or node
        if repr(node) not in (text := str(error)):
            error.args = (f"{where}: {text}", *error.args[1:])


def name_node(error: Exception, node: str) -> None:
    """Say in the error of a run which node failed."""
    add_note(error, f"node {node!r}: the run failed")
    if isinstance(error, UnderstageError) and error.node is None:  # it is about no other node
        say_where(error, f"node {node!r}", node)


class UnderstageError(Exception):
    """Root of the tree; never raised itself."""

    def __init__(self, text: str, *, node: str | None = None, message: object = None) -> None:
        super().__init__(text)
        self.node = node
        """Name of the node that the error is about; None if it is not about one node."""
        self.message = message
        """The message that was being handled, for storing or sending again; None if there was none."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def cause_text(error: BaseException) -> str:
    """Return the text of an error of ours, and kind and text of any other error."""
    if of_kind(error, UnderstageError):
        return error_text(error)
    return f"{type_name(error)}: {limited_text(str, error, 500)}"


class NodeError(UnderstageError):
    """A node cannot be found, named, started or used. Not about the work it does: that is `RunError`."""


class NodeNotFoundError(NodeError, KeyError):
    """A name leads to no node of the pool or team. Not raised for a stopped node: that is `NodeStoppedError`."""

    @classmethod
    def of(cls, name: str, known: Iterable[str], where: str = "pool") -> "NodeNotFoundError":
        """Say which name was looked for, where, and which names come closest."""
        names = list(known)
        hint = nearest(name, names) or f"; the {where} is empty"
        return cls(f"no node {name!r} in the {where}{hint}", node=name)


class NodeNameError(NodeError, ValueError):
    """A name is empty or already taken where names must be unique (in a pool, among the members of a team)."""


class NodeStartError(NodeError, RuntimeError):
    """A node could not be entered; what had been opened is closed again and the cause is chained."""


class NodeStoppedError(NodeError, RuntimeError):
    """A run method was called on a node that has been stopped for good.

    A node that is being restarted keeps its mailbox and does not raise this.
    """

    is_kept: bool = False
    """True if the run is in a journal, and is done when the node runs again, here or in another process."""


class PromptError(UnderstageError, ValueError):
    """The input cannot be turned into a prompt; nothing was run."""


class EmptyPromptError(PromptError):
    """No prompt was given, or it holds nothing but blanks."""


class PromptFileError(PromptError):
    """A file of a prompt is missing, unreadable, too large, or neither text nor a known medium."""


class ModelError(UnderstageError):
    """A model cannot be made from its name, or a request to it failed (`protocols.model_errors`)."""


class UnknownModelError(ModelError, ValueError):
    """No provider and no built-in model has this name."""


class MissingKeyError(ModelError):
    """The provider is known but its key is not set; the text names the environment variable."""


class MissingExtraError(ModelError, ImportError):
    """The provider is known but its library is not installed; the text names the extra to install."""


class ConfigError(UnderstageError):
    """A setting given in code or environment cannot be used. One in a manifest is a `ManifestError`."""


class ManifestError(ConfigError, ValueError):
    """A manifest is missing, unreadable or wrong; says the file, the key path or line, and what was expected."""

    def __init__(
        self,
        text: str,
        *,
        file: str | None = None,
        key: str | None = None,
        line: int | None = None,
        node: str | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (file, line) if part is not None)
        where = ", ".join(part for part in (place, key) if part)
        super().__init__(f"{where}: {text}" if where else text, node=node)
        self.file = file
        """Manifest file; None for a manifest that was not read from a file."""
        self.key = key
        """Path of the key, with dots; None when the error is about the whole file."""
        self.line = line
        """Line in the file, from 1; None when unknown."""


class RunError(UnderstageError, RuntimeError):
    """A run could not be started or finished. A failure inside a node keeps its own exception instead."""


class ChainBrokenError(RunError, ValueError):
    """A step of a streamed chain failed; the cause is chained. Without streaming the step's own exception is raised."""


class EmptyChainError(RunError, IndexError):
    """A team or chain without members, or whose picker left none, was run."""


class MemberError(RunError):
    """Members of a team failed and the policy does not accept that; lists each as ``name: error``."""

    def __init__(self, text: str, *, errors: Mapping[str, Exception] | None = None, node: str | None = None) -> None:
        super().__init__(text, node=node)
        self.errors = dict(errors or {})
        """Exceptions by member name."""

    @classmethod
    def of(cls, team: str, errors: Mapping[str, Exception]) -> "MemberError":
        """Name the team and list its failures."""
        listed = "; ".join(f"{name}: {error_text(error)}" for name, error in errors.items())
        return cls(f"team {team!r}: {len(errors)} member(s) failed: {listed}", errors=errors, node=team)


class RunCancelledError(RunError):
    """A run was cancelled, or its node ended. Not raised for a deadline: that is `RunTimeoutError`."""

    partial: str = ""
    """The text so far of a run that ended after a step; see `MessageNode.cancel_run`."""
    messages: Sequence[Any] = ()
    """Messages of the models so far of such a run, for `message_history=`."""

    @classmethod
    def after_step(cls, node: str) -> "RunCancelledError":
        """Say that a node began no further step, because its run was cancelled."""
        return cls(f"node {node!r}: the run was cancelled after its last step", node=node)


class RunTimeoutError(RunError, TimeoutError):
    """A run was not finished within its time. The work has been cancelled, unless it is kept and others wait for it."""


class HostLostError(RunError):
    """The host of a node was lost while it had a run. Whether the run was done is not known."""


class RemoteFailureError(RunError):
    """A run failed in another process, with an error whose class is not known to be the same here."""

    kind: str = ""
    """Name of its class there; the text begins with it."""


class AlreadyRunningError(RunError):
    """A second background run was started while one is going on; stop it first."""


class NotRunningError(RunError):
    """No background run is there to wait for, or the run would never end (`wait` on an unlimited run)."""


class ApprovalError(RunError):
    """A decision about a tool call for which no run waits (any more), or one run more than may wait."""


class ToolServerError(UnderstageError, RuntimeError):
    """A server of tools (MCP) could not be started, was lost during a call, or was not back in time.

    Not raised when a tool fails or answers too late: that is told to the model, which may try again.
    """

    def __init__(self, text: str, *, server: str = "", node: str | None = None, message: object = None) -> None:
        super().__init__(text, node=node, message=message)
        self.server = server
        """Name of the server."""


class TalkError(UnderstageError):
    """A connection cannot be made, or cannot pass a message on. The run of its source is not affected."""


class ConditionError(TalkError):
    """A filter, stop or exit condition of a connection raised; the message was not delivered there."""


class TransformError(TalkError):
    """The transform of a connection raised or returned nothing usable; the message was not delivered there."""


class HopLimitError(TalkError):
    """A message was forwarded more often than allowed, which ends a cycle of connections."""


class NotQueuedError(TalkError):
    """`trigger()` was called on a connection that does not queue its messages."""


class TalkNameError(TalkError, ValueError):
    """A connection was given a name that another one of the pool has."""


class PickError(UnderstageError, ValueError):
    """A picker answered an unknown member, too few or too many, or there was nothing to pick from."""


class JobError(UnderstageError):
    """A job does not fit the node it was given to, or its run failed (the cause is chained)."""


class EventDecodeError(UnderstageError, ValueError):
    """Bytes are no event: malformed, of an unknown kind, or with fields of the wrong type."""
