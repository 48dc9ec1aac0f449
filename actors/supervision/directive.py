"""The directives: what a supervisor does about an exception of a child, by the type of the exception.

| directive | the child | the supervisor |
|---|---|---|
| restart | starts anew, if its restart policy says so; this is the default | counts the restart |
| resume | continues with its current state | is not told and counts no restart |
| stop | stops, whatever its restart policy is | continues without it |
| escalate | stops | fails with the same exception |

In all four cases the asker gets the error at once and the message counts as failed.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

Directive = Literal["restart", "resume", "stop", "escalate"]
"""What happens to a child whose handler raised."""
Directives = Mapping[type[BaseException], Directive]
"""Exception types and their directives."""

_MOST_SEVERE_FIRST: Final[tuple[Directive, ...]] = ("escalate", "stop", "restart", "resume")


def directive_for(error: BaseException, directives: Directives) -> Directive:
    """Return the directive of the most specific mapped class of an exception, else restart.

    The most specific class is the first one in the method resolution order. An exception group counts as its members,
    at any depth, and the most severe directive wins: escalate, stop, restart, resume. Only an entry for a class of
    groups, such as ``ExceptionGroup``, is about the group as a whole.

    Example:
        >>> directive_for(FileNotFoundError(), {OSError: "stop", Exception: "resume"})
        'stop'
        >>> directive_for(ExceptionGroup("two", [OSError(), KeyError()]), {OSError: "stop", KeyError: "escalate"})
        'escalate'
    """
    if not directives:
        return "restart"
    kinds = {type(each) for each in _parts(error, directives)}
    answers = {next((directives[base] for base in kind.__mro__ if base in directives), "restart") for kind in kinds}
    return next(directive for directive in _MOST_SEVERE_FIRST if directive in answers)


def _parts(error: BaseException, directives: Directives) -> Iterator[BaseException]:
    """Yield the exceptions that count, without recursion, because groups may be nested to any depth."""
    left = [error]
    while left:
        each = left.pop()
        inner: tuple[BaseException, ...] | None = getattr(each, "exceptions", None)
        named = (base for base in type(each).__mro__ if base in directives)
        is_meant = any(base is not BaseException and base is not Exception for base in named)
        if inner is None or is_meant or not issubclass(type(each), BaseExceptionGroup):
            yield each
        else:
            left += inner
