"""What a supervisor does about an exception of a child, by the type of the exception.

| directive | the child | the supervisor |
|---|---|---|
| restart | starts anew, if its restart policy says so; this is the default | counts the restart |
| resume | goes on with the state it has | learns nothing; no restart is counted |
| stop | has ended, whatever its restart policy is | goes on without it |
| escalate | has ended | fails with the same exception |

In all four cases the asker gets the error at once and the message counts as failed.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

Directive = Literal["restart", "resume", "stop", "escalate"]
"""What becomes of a child whose handler raised."""
Directives = Mapping[type[BaseException], Directive]
"""Exception types to what they lead to."""

_MOST_SEVERE_FIRST: Final[tuple[Directive, ...]] = ("escalate", "stop", "restart", "resume")


def directive_for(error: BaseException, directives: Directives) -> Directive:
    """Return what an exception leads to: the entry of the most specific class that is mapped, else restart.

    The most specific one is the first in the method resolution order of the exception's class. An exception group
    counts as what is inside it, groups in groups as well, and the most severe answer wins (escalate, stop, restart,
    resume): one error that asks for a restart is not healed by another that could be resumed. Only an entry for a class
    of groups (``ExceptionGroup`` itself, say) is about the group as a whole.

    Example:
        >>> directive_for(FileNotFoundError(), {OSError: "stop", Exception: "resume"})
        'stop'
        >>> directive_for(ExceptionGroup("two", [OSError(), KeyError()]), {OSError: "stop", KeyError: "escalate"})
        'escalate'
    """
    if not directives:
        return "restart"
    answers = {_of_class(each, directives) for each in _parts(error, directives)}
    return next(directive for directive in _MOST_SEVERE_FIRST if directive in answers)


def _of_class(error: BaseException, directives: Directives) -> Directive:
    for kind in type(error).__mro__:
        if kind in directives:
            return directives[kind]
    return "restart"


def _parts(error: BaseException, directives: Directives) -> Iterator[BaseException]:
    """Yield what counts of an exception, without recursion: groups may be nested as deep as anybody likes."""
    left = [error]
    while left:
        each = left.pop()
        inner: tuple[BaseException, ...] | None = getattr(each, "exceptions", None)
        if inner is None or not issubclass(type(each), BaseExceptionGroup) or _is_meant(type(each), directives):
            yield each
        else:
            left += inner


def _is_meant(group: type[BaseException], directives: Directives) -> bool:
    return any(kind is not BaseException and kind is not Exception and kind in directives for kind in group.__mro__)
